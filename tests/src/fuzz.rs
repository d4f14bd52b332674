//! What fuzzing calls: one function per kind of foreign bytes. Each returns whatever it is fed;
//! a panic is a bug. `tests/fuzz_corpus.rs` runs them over their corpora, `fuzz/` under
//! `cargo fuzz`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_bridge::{
    Batch, DESCRIPTOR_BYTES_MAX, DatagramRoute, Descriptor, DescriptorEdit, Output, Worker,
    mapping_answer,
};
use tertulia_model::bridge::EndpointOffer;
use tertulia_model::jid::{DomainPart, FullJid};
use tertulia_model::{
    AllocationId, BridgeCommand, BridgeEvent, ChannelId, ConferenceId, EndpointId, Hosts, Now,
    SessionId, SessionProfile,
};
use tertulia_sim::node::{ConnectionId, Disk, Node, NodeConfig, NodeOutput};
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};
use tertulia_stanza::disco::{DataForm, DiscoInfo};
use tertulia_stanza::jingle::Jingle;
use tertulia_stanza::muc::UserX;
use tertulia_stanza::mute::{MuteRequest, StartMuted};
use tertulia_stanza::source_info::Sending;
use tertulia_stanza::{Condition, Element, Stanza, sources};
use tertulia_stream::{
    Bosh, BoshOutput, ClientSession, Config, Frame, Initiator, InitiatorConfig, Negotiation,
    NegotiationOutput, Sealer, read_body, read_frame,
};

/// A target: its name, which is that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 17] = [
    ("negotiation", negotiation),
    ("bosh", bosh),
    ("session", session),
    ("initiator", initiator),
    ("stanza", stanza),
    ("jingle", jingle),
    ("sources", compact_sources),
    ("conference_request", conference_request),
    ("token", token),
    ("meeting", meeting),
    ("channel", channel),
    ("datagram", datagram),
    ("descriptor", descriptor),
    ("turn", turn),
    ("rtp", rtp),
    ("rtcp", rtcp),
    ("arrivals", arrivals),
];

/// Messages to the TURN server.
pub fn turn(data: &[u8]) {
    crate::fuzz_turn::turn(data);
}

/// A datagram that is taken for RTP, behind a byte that chooses the ids of extensions.
pub fn rtp(data: &[u8]) {
    crate::fuzz_media::rtp(data);
}

/// A datagram of RTCP, decrypted.
pub fn rtcp(data: &[u8]) {
    crate::fuzz_media::rtcp(data);
}

/// When which packets of one stream arrive, four bytes each.
pub fn arrivals(data: &[u8]) {
    crate::fuzz_media::arrivals(data);
}

/// Frames, one a line, before log-in.
pub fn negotiation(data: &[u8]) {
    let mut machine = Negotiation::new(
        config(),
        Arc::new(Hosts::new(domain())),
        Arc::new(Sealer::new([1; 32])),
        None,
        [2; 32],
        now(),
    );
    for frame in frames(data) {
        machine.handle_frame(now(), frame);
        while let Some(output) = machine.poll_output() {
            match output {
                NegotiationOutput::Send(frame) => well_formed(&frame),
                NegotiationOutput::Bind { .. } => machine.bound(now(), &jid(), None),
                NegotiationOutput::Resume { .. } => machine.resume_refused(now()),
                NegotiationOutput::Close { .. } => {}
            }
        }
    }
    machine.handle_timeout(now().later(Duration::from_secs(60)));
}

/// Bodies of HTTP requests, one a line, of one BOSH session that logs in; a line that is none is a
/// request whose connection breaks.
pub fn bosh(data: &[u8]) {
    let mut now = now();
    let mut machine = Negotiation::over_bosh(
        config(),
        Arc::new(Hosts::new(domain())),
        Arc::new(Sealer::new([1; 32])),
        [2; 32],
        now,
    );
    let mut bodies = frames(data).map(|text| read_body(&config().limits, text));
    let Some(Ok(first)) = bodies.next() else {
        return;
    };
    let mut bosh = Bosh::open(&config(), "sid".to_owned(), 0, first, now);
    let mut last = 0;
    for (request, body) in (1..).zip(bodies) {
        step_bosh(&mut bosh, &mut machine, now);
        now = now.later(Duration::from_secs(1));
        match body {
            Ok(body) => {
                bosh.handle_request(now, request, body);
                last = request;
            }
            Err(_) => bosh.handle_gone(now, last),
        }
        bosh.handle_timeout(now);
    }
    step_bosh(&mut bosh, &mut machine, now);
    bosh.close(now, 1012);
    step_bosh(&mut bosh, &mut machine, now);
}

/// Lets a BOSH session and the log-in on it do what they can.
fn step_bosh(bosh: &mut Bosh, machine: &mut Negotiation, now: Now) {
    while let Some(frame) = bosh.poll_frame() {
        machine.handle_frame(now, &frame);
        while let Some(output) = machine.poll_output() {
            match output {
                NegotiationOutput::Send(frame) => bosh.send(&frame),
                NegotiationOutput::Bind { .. } => machine.bound(now, &jid(), None),
                NegotiationOutput::Resume { .. } => panic!("there is nothing to resume"),
                NegotiationOutput::Close { code, .. } => bosh.close(now, code),
            }
        }
    }
    bosh.flush(now);
    while let Some(output) = bosh.poll_output() {
        if let BoshOutput::Respond { body, .. } = output {
            well_formed(&body);
        }
    }
}

/// Frames, one a line, of a session.
pub fn session(data: &[u8]) {
    let profile = SessionProfile {
        id: SessionId(1),
        jid: jid(),
        websocket_base: String::new(),
        is_loopback: true,
        room: None,
        account: None,
        address: [127, 0, 0, 1].into(),
    };
    let mut machine = ClientSession::new(config(), Arc::new(profile), "token".to_owned(), now());
    for frame in frames(data) {
        machine.handle_frame(now(), frame);
        while let Some(output) = machine.poll_output() {
            if let tertulia_stream::SessionOutput::Send(frame) = output {
                well_formed(&frame);
            }
        }
    }
    machine.handle_socket_closed(now(), None);
    machine.resume(now(), u32::try_from(data.len()).unwrap_or_default());
    while machine.poll_output().is_some() {}
}

/// Frames, one a line, of a server.
pub fn initiator(data: &[u8]) {
    let mut machine = Initiator::new(InitiatorConfig { domain: domain() }, now());
    machine.handle_socket_opened(now());
    for frame in frames(data) {
        machine.handle_frame(now(), frame);
        while let Some(output) = machine.poll_output() {
            if let tertulia_stream::InitiatorOutput::Send(frame) = output {
                well_formed(&frame);
            }
        }
    }
}

/// One stanza: read, looked at, answered, written, and read again.
pub fn stanza(data: &[u8]) {
    let Some(stanza) = read_stanza(data) else {
        return;
    };
    for child in stanza.children() {
        let _ = DiscoInfo::parse(child);
        let _ = DataForm::parse(child);
        let _ = UserX::parse(child);
        let _ = ConferenceRequest::parse(child);
        let _ = ConferenceReply::parse(child);
        let _ = StartMuted::parse(child);
    }
    let _ = MuteRequest::parse(&stanza);
    let _ = Sending::of("1a2b3c4d", stanza.children());
    let _ = stanza.error_condition();
    well_formed(&stanza.error(Condition::BadRequest).to_string());
    let written = stanza.to_string();
    let again = read_stanza(written.as_bytes()).expect("what was written can be read");
    assert_eq!(
        again.payload(),
        stanza.payload(),
        "the payload is relayed byte for byte"
    );
    let rebuilt = stanza.clone().with_children(stanza.children().to_vec());
    well_formed(&rebuilt.to_string());
}

/// A Jingle element, read, written, and read again.
pub fn jingle(data: &[u8]) {
    let Some(element) = element(data) else { return };
    let Ok(jingle) = Jingle::parse(&element) else {
        return;
    };
    let _ = jingle.sources("1a2b3c4d");
    let _ = jingle.complete_transport();
    let stanza = Stanza::iq("set", "1").with_child(jingle.to_element());
    well_formed(&stanza.to_string());
}

/// The compact form of sources.
pub fn compact_sources(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(read) = sources::parse_json(text) else {
        return;
    };
    let _ = sources::parse_json(&sources::to_json(&read));
    well_formed(
        &Stanza::iq("set", "1")
            .with_child(sources::to_element(&read))
            .to_string(),
    );
}

/// The HTTP form of a conference request, and of its reply.
pub fn conference_request(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(request) = ConferenceRequest::parse_json(text) {
        well_formed(
            &Stanza::iq("set", "1")
                .with_child(request.to_element())
                .to_string(),
        );
        let _ = ConferenceRequest::parse_json(&request.to_json());
    }
    if let Ok(reply) = ConferenceReply::parse_json(text) {
        well_formed(
            &Stanza::iq("result", "1")
                .with_child(reply.to_element())
                .to_string(),
        );
    }
}

/// A resumption token.
pub fn token(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Sealer::new([1; 32]).open(text);
    }
}

/// Frames, one a line, of the moderator of a meeting of two: through room, focus and bridge. `SID`
/// stands for the id of the Jingle session that the focus has offered.
pub fn meeting(data: &[u8]) {
    let media = SocketAddr::from(([192, 0, 2, 1], 10_000));
    let mut now = now();
    let mut node = Node::new(
        Arc::new(NodeConfig::usual(media)),
        Disk::default(),
        [3; 32],
        now,
    );
    let (romeo, juliet) = (ConnectionId(1), ConnectionId(2));
    for (connection, nick) in [(juliet, "juliet"), (romeo, "romeo")] {
        let address = SocketAddr::from(([192, 0, 2, 9], 9));
        node.connect(now, connection, address, "", None);
        for frame in ENTER {
            node.frame(now, connection, &frame.replace("NICK", nick));
        }
    }
    // Nobody says what it can do: the offers come when the focus no longer waits for that.
    now = now.later(Duration::from_secs(10));
    node.timeout(now);
    let mut sid = String::new();
    while let Some(output) = node.poll_output() {
        if let NodeOutput::Frame { connection, text } = output
            && connection == juliet
            && let Some((_, rest)) = text.split_once(" sid='")
        {
            sid = rest.split('\'').next().unwrap_or_default().to_owned();
        }
    }
    assert!(!sid.is_empty(), "juliet was invited");
    for frame in frames(data) {
        now = now.later(Duration::from_millis(20));
        node.timeout(now);
        node.frame(now, juliet, &frame.replace("SID", &sid));
        while let Some(output) = node.poll_output() {
            if let NodeOutput::Frame { text, .. } = output {
                well_formed(&text);
            }
        }
    }
    node.timeout(now.later(Duration::from_secs(40)));
}

/// Messages, one a line, on the bridge channel.
pub fn channel(data: &[u8]) {
    let (mut worker, password) = worker_with_endpoint();
    let (conference, endpoint) = (ConferenceId::new("c"), endpoint());
    let opened = worker.open_channel(now(), &conference, &endpoint, &password, ChannelId(1));
    opened.expect("the password of the allocation");
    let mut batch = Batch::default();
    for message in frames(data) {
        worker.handle_channel_text(now(), ChannelId(1), message, &mut batch);
        while worker.poll_output().is_some() {}
    }
    worker.handle_timeout(now().later(Duration::from_secs(5)), &mut batch);
}

/// One datagram from an unknown address. The first byte chooses whether an endpoint exists.
pub fn datagram(data: &[u8]) {
    let (mut worker, _) = worker_with_endpoint();
    let from = SocketAddr::from(([192, 0, 2, 9], 9));
    let to = SocketAddr::from(([192, 0, 2, 1], 10_000));
    let mut batch = Batch::default();
    if worker.route(now(), from, data) == DatagramRoute::Here {
        worker.handle_datagram(now(), from, to, data, &mut batch);
    }
    worker.finish_batch(now(), &mut batch);
    while worker.poll_output().is_some() {}
    // Answers of STUN servers arrive on the same port.
    let _ = mapping_answer(data);
}

/// Dependency descriptors of one stream, each behind its length. What can be read is written again
/// with other numbers, and can still be read.
pub fn descriptor(data: &[u8]) {
    let (mut theirs, mut ours) = (None, None);
    let mut rest = data;
    while let Some((length, more)) = rest.split_first() {
        let (bytes, more) = more.split_at(usize::from(*length).min(more.len()));
        rest = more;
        let Ok((read, own)) = Descriptor::read(bytes, theirs.as_ref()) else {
            continue;
        };
        theirs = own.or(theirs);
        let edit = DescriptorEdit {
            number: !read.number,
            template_shift: *length,
            active: (length % 2 == 0).then_some(0x5555_5555),
        };
        let mut into = [0; DESCRIPTOR_BYTES_MAX];
        if let Some(length) = read.write_edited(bytes, &edit, &mut into) {
            let written = into.get(..length).expect("it was written");
            if let Ok((again, own)) = Descriptor::read(written, ours.as_ref()) {
                assert_eq!(again.number, edit.number);
                ours = own.or(ours);
            }
        }
    }
}

fn worker_with_endpoint() -> (Worker, String) {
    let media = SocketAddr::from(([192, 0, 2, 1], 10_000));
    let config = Arc::clone(&NodeConfig::usual(media).bridge);
    let mut worker = Worker::new(config, 0, [4; 32], now());
    let allocate = BridgeCommand::Allocate {
        endpoint: endpoint(),
        allocation: AllocationId(1),
        offer: EndpointOffer {
            has_rtx: true,
            has_transport_cc: true,
            has_data_channel: true,
            has_ssrc_rewriting: false,
            has_red: false,
            is_loopback: false,
        },
    };
    worker.handle_command(
        now(),
        &ConferenceId::new("c"),
        allocate,
        &mut Batch::default(),
    );
    let mut password = String::new();
    while let Some(output) = worker.poll_output() {
        if let Output::Event {
            event: BridgeEvent::Allocated { transport, .. },
            ..
        } = output
        {
            password = transport.channel_password;
        }
    }
    (worker, password)
}

/// What we send must be readable to anybody.
fn well_formed(frame: &str) {
    if let Err(error) = Element::from_reader(frame.as_bytes()) {
        panic!("we wrote {frame:.500}: {error}");
    }
}

fn read_stanza(data: &[u8]) -> Option<Stanza> {
    let text = std::str::from_utf8(data).ok()?;
    match read_frame(&config().limits, text) {
        Ok(Frame::Stanza { stanza, .. } | Frame::Misaddressed { stanza, .. }) => Some(stanza),
        _ => None,
    }
}

/// An element as it comes inside a stanza, past the reader's limits.
fn element(data: &[u8]) -> Option<Element> {
    let text = std::str::from_utf8(data).ok()?;
    let mut frame = "<iq xmlns='jabber:client' type='set' id='1'>".to_owned();
    frame.push_str(text);
    frame.push_str("</iq>");
    read_stanza(frame.as_bytes())?.children().first().cloned()
}

fn frames(data: &[u8]) -> impl Iterator<Item = &str> {
    let lines = data.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter(|line| !line.is_empty())
}

fn config() -> Arc<Config> {
    let media = SocketAddr::from(([192, 0, 2, 1], 10_000));
    Arc::clone(&NodeConfig::usual(media).stream)
}

fn domain() -> DomainPart {
    DomainPart::new("localhost")
        .expect("a literal domain")
        .into_owned()
}

fn jid() -> FullJid {
    "1a2b3c4d@localhost/x".parse().expect("a literal JID")
}

fn endpoint() -> EndpointId {
    "1a2b3c4d".parse().expect("a literal id")
}

/// One moment for the whole process: what happens depends on nothing but the data.
pub(crate) fn now() -> Now {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let wall = chrono::DateTime::from_timestamp(1_790_000_000, 0).expect("a valid time");
    Now {
        mono: *START.get_or_init(Instant::now),
        wall,
    }
}

/// What brings a client into the room.
const ENTER: [&str; 7] = [
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>",
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>",
    "<iq xmlns='jabber:client' type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
    "<iq xmlns='jabber:client' type='set' id='2' to='focus.localhost'><conference \
     xmlns='http://jitsi.org/protocol/focus' room='tea@conference.localhost'/></iq>",
    "<presence xmlns='jabber:client' to='tea@conference.localhost/NICK'>\
     <x xmlns='http://jabber.org/protocol/muc'/></presence>",
];
