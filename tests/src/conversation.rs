//! Conversation scripts: what clients say, and what each of them gets to see.
//!
//! A script is a text file `tests/conversation/*.talk`, read line by line. `#` begins a comment;
//! what is indented belongs to the statement above it. Every script starts with an empty server.
//!
//! ```text
//! juliet logs in                     connects, logs in, binds and enables stream management
//! juliet connects                    opens a socket and says nothing
//! juliet requests tea                asks the focus for the conference and waits until it is ready
//! juliet joins tea [as NICK]         requests it and sends the presence; the nick is her name
//! juliet has joined tea [as NICK]    and waits until she is in; what came by then is forgotten
//! juliet leaves tea                  sends the unavailable presence
//! juliet sends [N times]             the frame below; `xmlns` of a stanza may be left out
//! juliet gets [within 30s]           frames like those below, in this order, others between them
//! juliet gets nothing for 1s         not one unread frame now, and none within the second
//! juliet gets no presence for 1s     the same of one kind: presence, message or iq
//! juliet forgets what came           drops what is unread
//! juliet is closed with 1008         the server closes the socket with this code
//! juliet loses the socket            the connection breaks without a word
//! juliet closes the socket with 1001
//! juliet resumes                     dials and resumes; both sides send again what was lost
//! juliet resumes in vain             the server does not know the session; the stream is bound anew
//! juliet says goodbye                unavailable presence and <close/>
//! juliet stops reading               what comes is not read any more
//! 60s pass
//! the server crashes                 and a new one starts at once
//! the server restarts                stops as SIGTERM asks it to, and a new one starts
//! the server ends the meetings       as Ctrl-C asks it to
//! nothing is left                    no session, conference, endpoint; within two minutes
//! ```
//!
//! Clients acknowledge what they read, answer the focus when it asks what they can do, and do
//! nothing else by themselves.
//!
//! In frames, `{juliet}` is her full JID, `{juliet.token}` her resumption id, `{x*1000}` a thousand
//! x. In expected frames an attribute or text `{name}` that is not known yet is remembered under
//! that name, and `*` is anything. A frame is like an expected one if it has its name, namespace,
//! attributes, text and children; it may have more. `<no>…</no>` names children that it must not
//! have.

mod memory;
mod pattern;
mod person;
mod script;

use std::collections::BTreeMap;
use std::time::Duration;

pub use memory::Memory;

use person::Person;
use script::{Kind, Statement, Step};

/// A server under test.
pub trait Server {
    /// A new socket, with what its URL says as `previd`.
    fn connect(&mut self, previd: Option<&str>) -> Socket;
    /// A frame to the server.
    fn send(&mut self, socket: Socket, frame: &str);
    /// Closes a socket, or lets it break.
    fn close(&mut self, socket: Socket, code: Option<u16>);
    /// Lets time pass until something happens, at most this long; how long it took, and what
    /// happened.
    fn wait(&mut self, at_most: Duration) -> (Duration, Vec<Event>);
    /// Ends the server at once and starts another one.
    fn crash(&mut self);
    /// Tells the server to stop, and starts another one; what the first one did last.
    fn restart(&mut self) -> Vec<Event>;
    /// Tells the server to end its meetings.
    fn end(&mut self);
    /// What is left in it; empty if nothing is.
    fn remains(&self) -> String;
}

/// A client's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Socket(pub u64);

/// What a server does to a socket.
#[derive(Clone, Debug)]
pub enum Event {
    Frame(Socket, String),
    Closed(Socket, u16),
}

/// Plays a script. The error names the line and says what was expected and what came.
pub fn play(server: &mut dyn Server, text: &str) -> Result<(), String> {
    let steps = script::parse(text)?;
    let mut stage = Stage {
        server,
        people: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    for step in &steps {
        stage
            .step(step)
            .map_err(|error| format!("line {}: {error}", step.line))?;
    }
    Ok(())
}

struct Stage<'a> {
    server: &'a mut dyn Server,
    people: BTreeMap<String, Person>,
    /// What expected frames have captured.
    names: BTreeMap<String, String>,
}

/// How long something may take that is not said to take longer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Stage<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        match &step.statement {
            Statement::Pass(time) => self.pass(*time),
            Statement::Crash => {
                self.server.crash();
                for person in self.people.values_mut() {
                    person.socket = None;
                }
            }
            Statement::Restart => {
                let events = self.server.restart();
                self.take_in(events);
            }
            Statement::End => {
                self.server.end();
                self.pass(Duration::ZERO);
            }
            Statement::NothingIsLeft => {
                self.pass(Duration::from_secs(120));
                let remains = self.server.remains();
                if !remains.is_empty() {
                    return Err(format!("something is left: {remains}"));
                }
            }
            Statement::Of(name, action) => return self.act(name, action),
        }
        Ok(())
    }

    fn act(&mut self, name: &str, action: &script::Action) -> Result<(), String> {
        use script::Action;
        match action {
            Action::Connect => self.connect(name, None),
            Action::LogIn => return self.log_in(name),
            Action::Request(room) => return self.request(name, room),
            Action::Join { room, nick, wait } => {
                let nick = nick.as_deref().unwrap_or(name);
                self.request(name, room)?;
                self.send(name, &person::join(room, nick))?;
                if *wait {
                    self.expect(name, PATIENCE, &[person::joined(room, nick)])?;
                    self.expect(name, PATIENCE, &[person::subject(room)])?;
                    self.person(name)?.forget();
                }
            }
            Action::Leave(room) => {
                let leave = format!(
                    "<presence xmlns='jabber:client' to='{room}@conference.localhost/{name}' \
                     type='unavailable'/>"
                );
                self.send(name, &leave)?;
            }
            Action::Send { times, frame } => {
                let frame = self.fill_in(frame);
                for _ in 0..*times {
                    self.send(name, &frame)?;
                }
            }
            Action::Get { within, patterns } => {
                return self.expect(name, within.unwrap_or(PATIENCE), patterns);
            }
            Action::GetNothing { kind, time } => {
                self.pass(*time);
                return self
                    .person(name)?
                    .unread_of(*kind)
                    .map_or(Ok(()), |frame| Err(format!("{name} got {frame}")));
            }
            Action::Forget => {
                self.pass(Duration::ZERO);
                self.person(name)?.forget();
            }
            Action::IsClosed(code) => return self.is_closed(name, *code),
            Action::Close(code) => {
                if let Some(socket) = self.person(name)?.socket.take() {
                    self.server.close(socket, *code);
                }
                self.pass(Duration::ZERO);
            }
            Action::Resume { in_vain } => return self.resume(name, *in_vain),
            Action::SayGoodbye => {
                self.send(name, "<presence xmlns='jabber:client' type='unavailable'/>")?;
                self.send_raw(name, "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
            }
            Action::StopReading => {
                self.pass(Duration::ZERO);
                self.person(name)?.is_reading = false;
            }
            Action::ExpectRewriting => self.person(name)?.expects_rewriting = true,
        }
        Ok(())
    }

    fn connect(&mut self, name: &str, previd: Option<&str>) {
        let socket = self.server.connect(previd);
        let person = self.people.entry(name.to_owned()).or_default();
        person.socket = Some(socket);
        person.is_reading = true;
        person.closed = None;
        self.pass(Duration::ZERO);
    }

    /// Everything up to the features after log-in.
    fn authenticate(&mut self, name: &str, previd: Option<&str>) -> Result<(), String> {
        self.connect(name, previd);
        self.person(name)?.forget();
        self.send_raw(name, person::OPEN);
        self.expect_text(name, person::MECHANISMS)?;
        self.send_raw(name, person::AUTH);
        self.expect_text(name, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
        self.send_raw(name, person::OPEN);
        self.expect_text(name, person::FEATURES)
    }

    fn log_in(&mut self, name: &str) -> Result<(), String> {
        self.authenticate(name, None)?;
        self.bind(name)
    }

    fn bind(&mut self, name: &str) -> Result<(), String> {
        self.person(name)?.start_anew();
        self.send_raw(name, person::BIND);
        self.expect_text(name, person::BOUND)?;
        let jid = self.names.remove("bound").unwrap_or_default();
        self.names.insert(name.to_owned(), jid);
        self.send_raw(name, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        self.expect_text(
            name,
            "<enabled xmlns='urn:xmpp:sm:3' resume='true' id='{token}'/>",
        )?;
        let token = self.names.remove("token").unwrap_or_default();
        self.names.insert(format!("{name}.token"), token);
        self.person(name)?.is_counting = true;
        Ok(())
    }

    fn resume(&mut self, name: &str, in_vain: bool) -> Result<(), String> {
        let token = self
            .names
            .get(&format!("{name}.token"))
            .cloned()
            .unwrap_or_default();
        let handled = self.person(name)?.handled;
        self.authenticate(name, Some(&token))?;
        let resume = format!("<resume xmlns='urn:xmpp:sm:3' h='{handled}' previd='{token}'/>");
        self.send_raw(name, &resume);
        if in_vain {
            self.expect_text(name, person::RESUME_FAILED)?;
            return self.bind(name);
        }
        self.expect_text(name, "<resumed xmlns='urn:xmpp:sm:3' h='{h}'/>")?;
        let h = self
            .names
            .remove("h")
            .and_then(|h| h.parse().ok())
            .unwrap_or_default();
        for frame in self.person(name)?.unacknowledged_after(h)? {
            self.send_raw(name, &frame);
        }
        Ok(())
    }

    fn request(&mut self, name: &str, room: &str) -> Result<(), String> {
        self.send(name, &person::request(name, room))?;
        self.expect_text(name, &person::ready(room))
    }

    fn is_closed(&mut self, name: &str, code: u16) -> Result<(), String> {
        for _ in 0..2 {
            if let Some(closed) = self.person(name)?.closed.take() {
                let text = format!("{name}'s socket was closed with {closed}, not {code}");
                return if closed == code { Ok(()) } else { Err(text) };
            }
            self.pass(PATIENCE);
        }
        Err(format!("{name}'s socket is still open"))
    }

    /// Waits for these frames; the first of them is taken from what is unread.
    fn expect(&mut self, name: &str, within: Duration, expected: &[String]) -> Result<(), String> {
        for text in expected {
            let filled = self.fill_in(text);
            let pattern = pattern::parse(&filled)?;
            let mut left = within;
            let skipped = loop {
                let names = &mut self.names;
                let person = self.people.get_mut(name).ok_or_else(|| unknown(name))?;
                let Err(unread) = person.take(|frame| pattern::matches(&pattern, frame, names))
                else {
                    break None;
                };
                let (passed, happened) = self.wait(left);
                left = left.saturating_sub(passed);
                if left.is_zero() && !happened {
                    break Some(unread);
                }
            };
            if let Some(skipped) = skipped {
                let came = if skipped.is_empty() {
                    "nothing".to_owned()
                } else {
                    skipped.join("\n  ")
                };
                return Err(format!("{name} did not get\n  {filled}\nbut\n  {came}"));
            }
        }
        Ok(())
    }

    fn expect_text(&mut self, name: &str, text: &str) -> Result<(), String> {
        self.expect(name, PATIENCE, &[text.to_owned()])
    }

    fn pass(&mut self, time: Duration) {
        let mut left = time;
        loop {
            let (passed, happened) = self.wait(left);
            left = left.saturating_sub(passed);
            if left.is_zero() && !happened {
                return;
            }
        }
    }

    /// Lets something happen; how long it took, and whether anything did.
    fn wait(&mut self, at_most: Duration) -> (Duration, bool) {
        let (passed, events) = self.server.wait(at_most);
        let happened = !events.is_empty();
        self.take_in(events);
        (passed, happened)
    }

    fn take_in(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Frame(socket, frame) => self.read(socket, &frame),
                Event::Closed(socket, code) => {
                    let of = self.people.values_mut().find(|p| p.socket == Some(socket));
                    if let Some(person) = of {
                        person.socket = None;
                        person.closed = Some(code);
                    }
                }
            }
        }
    }

    fn read(&mut self, socket: Socket, frame: &str) {
        let Some(person) = self.people.values_mut().find(|p| p.socket == Some(socket)) else {
            return;
        };
        for answer in person.read(frame) {
            self.server.send(socket, &answer);
        }
    }

    /// Sends a stanza (counted) or another frame.
    fn send(&mut self, name: &str, frame: &str) -> Result<(), String> {
        self.person(name)?.count_sent(frame);
        self.send_raw(name, frame);
        Ok(())
    }

    fn send_raw(&mut self, name: &str, frame: &str) {
        if let Some(socket) = self.people.get(name).and_then(|person| person.socket) {
            self.server.send(socket, frame);
        }
        self.pass(Duration::ZERO);
    }

    fn person(&mut self, name: &str) -> Result<&mut Person, String> {
        self.people.get_mut(name).ok_or_else(|| unknown(name))
    }

    /// Replaces `{name}` where the name is known, and `{x*5}`.
    fn fill_in(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let value = after.split_once('}').and_then(|(name, rest)| {
                let known = self.names.get(name).cloned();
                let repeated = || {
                    // Braces of JSON around it mean themselves.
                    let (unit, count) = name.split_once('*')?;
                    if unit.contains('{') {
                        return None;
                    }
                    Some(unit.repeat(count.parse().ok()?))
                };
                Some((known.or_else(repeated)?, rest))
            });
            match value {
                Some((value, after)) => {
                    filled.push_str(&value);
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

fn unknown(name: &str) -> String {
    format!("{name} has not connected")
}

impl Person {
    /// The first unread frame of a kind, or of any.
    fn unread_of(&self, kind: Option<Kind>) -> Option<String> {
        let is_meant = |frame: &&tertulia_stanza::Element| {
            kind.is_none_or(|kind| frame.name() == kind.as_str())
        };
        self.unread.iter().find(is_meant).map(String::from)
    }
}
