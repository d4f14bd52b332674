//! What people decided about a meeting outlives the process that heard it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, attribute, has};
use crate::server::{Folder, Server, run};

#[tokio::test]
async fn after_sigkill_rights_and_password_are_what_they_were() {
    let data = Folder::new();
    let mut server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    let presence = romeo.come("tea", "romeo", "").await;
    assert!(is_owner(&presence), "the first one: {presence}");
    let mut juliet = Client::login(&server.web).await;
    juliet.come("tea", "juliet", "").await;
    let mut nurse = Client::login(&server.web).await;
    nurse.come("tea", "nurse", "").await;
    romeo.grant("tea", &juliet, "owner").await;
    romeo.grant("tea", &nurse, "owner").await;
    romeo.set_password("tea", "rose").await;
    // The last thing before the end.
    romeo.grant("tea", &nurse, "none").await;
    server.signal("KILL");
    server.ended().await;

    let mut server = Server::start(&data).await;
    let mut stranger = Client::login(&server.web).await;
    let refused = stranger.come("tea", "stranger", "").await;
    assert!(refused.contains("not-authorized"), "{refused}");
    let mut nurse = Client::login(&server.web).await;
    let presence = nurse.come("tea", "nurse", "rose").await;
    assert!(has(&presence, "affiliation", "none"), "{presence}");
    for device in ["juliet", "romeo"] {
        let mut client = Client::login(&server.web).await;
        let presence = client.come("tea", device, "rose").await;
        assert!(is_owner(&presence), "{device}: {presence}");
    }
    let refused = stranger.come("tea", "stranger", "thorn").await;
    assert!(refused.contains("not-authorized"), "{refused}");

    // A stop that is no crash keeps it as well.
    server.signal("TERM");
    server.ended().await;
    let server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    let presence = romeo.come("tea", "romeo", "rose").await;
    assert!(is_owner(&presence), "{presence}");
}

#[tokio::test]
async fn what_was_confirmed_survives_a_kill_at_any_moment() {
    let data = Folder::new();
    let password = |number: u32| format!("rose-{number}");
    let mut confirmed = 0;
    let server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    romeo.come("tea", "romeo", "").await;
    romeo.set_password("tea", &password(confirmed)).await;
    drop(server);
    for round in 0..5 {
        let server = Server::start(&data).await;
        let mut romeo = Client::login(&server.web).await;
        let presence = romeo.come("tea", "romeo", &password(confirmed)).await;
        if has(&presence, "type", "error") {
            // The one after it may have been written, and its confirmation lost.
            confirmed += 1;
            let presence = romeo.come("tea", "romeo", &password(confirmed)).await;
            assert!(is_owner(&presence), "round {round}: {presence}");
        }
        let pid = server.child.id().unwrap().to_string();
        let kill = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(40 + 17 * round)).await;
            let mut kill = tokio::process::Command::new("kill");
            kill.args(["-s", "KILL", &pid]).status().await.unwrap();
        });
        let before = confirmed;
        while romeo
            .try_set_password("tea", &password(confirmed + 1))
            .await
        {
            confirmed += 1;
        }
        kill.await.unwrap();
        assert!(
            confirmed > before,
            "the kill came too early to see anything"
        );
    }
}

#[tokio::test]
async fn a_meeting_that_was_ended_is_forgotten() {
    let data = Folder::new();
    let mut server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    romeo.come("tea", "romeo", "").await;
    romeo.set_password("tea", "rose").await;
    romeo
        .send(
            "<message xmlns='jabber:client' to='endconference.localhost'>\
             <end_conference/></message>",
        )
        .await;
    romeo.gets("<destroy").await;
    check_forgotten(&server, "after the end for all").await;
    server.signal("KILL");
    server.ended().await;
    let server = Server::start(&data).await;
    check_forgotten(&server, "after a crash").await;
}

#[tokio::test]
async fn ctrl_c_ends_meetings_for_good() {
    let data = Folder::new();
    let mut server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    romeo.come("tea", "romeo", "").await;
    romeo.set_password("tea", "rose").await;
    server.signal("INT");
    server.ended().await;
    let server = Server::start(&data).await;
    check_forgotten(&server, "after Ctrl-C").await;
}

#[tokio::test]
async fn what_lingered_long_enough_is_deleted() {
    let data = Folder::new();
    let short = [
        ("TERTULIA_ROOM__JOURNAL_LINGER", "1 s"),
        ("TERTULIA_ROOM__INITIAL_TIMEOUT", "1 s"),
    ];
    let server = Server::start_with_environment(&data, &short).await;
    let mut romeo = Client::login(&server.web).await;
    romeo.come("tea", "romeo", "").await;
    romeo.set_password("tea", "rose").await;
    // The meeting lives on longer than that.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut stranger = Client::login(&server.web).await;
    let refused = stranger.come("tea", "stranger", "").await;
    assert!(refused.contains("not-authorized"), "{refused}");
    leave(stranger).await;
    leave(romeo).await;
    for _ in 0..5 {
        // Whoever asks makes the meeting live on.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let mut stranger = Client::login(&server.web).await;
        if is_owner(&stranger.come("tea", "stranger", "").await) {
            return;
        }
        leave(stranger).await;
    }
    panic!("the password is still there");
}

#[tokio::test]
async fn a_breakout_room_brings_its_meeting_back() {
    let data = Folder::new();
    let mut server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    romeo.come("tea", "romeo", "").await;
    romeo
        .send(
            "<message xmlns='jabber:client' to='breakout.localhost'>\
             <breakout_rooms type='features/breakout-rooms/add' subject='Verona'/></message>",
        )
        .await;
    let update = romeo.gets_all(&["breakout-rooms/update", "Verona"]).await;
    let (before, _) = update.split_once("@breakout.localhost").unwrap();
    let name = before.rsplit(['"', ';']).next().unwrap();
    let breakout = format!("{name}@breakout.localhost");
    server.signal("KILL");
    server.ended().await;

    // Nobody has asked for the main room yet.
    let server = Server::start(&data).await;
    let mut juliet = Client::login(&server.web).await;
    let presence = juliet.come(&breakout, "juliet", "").await;
    assert!(!has(&presence, "type", "error"), "{presence}");
    let mut romeo = Client::login(&server.web).await;
    let presence = romeo.come(&breakout, "romeo", "").await;
    assert!(is_owner(&presence), "{presence}");

    // One that no meeting has: no error to the request, which would be final, but to the join.
    let mut lost = Client::login(&server.web).await;
    let refused = lost.come("0000@breakout.localhost", "lost", "").await;
    assert!(refused.contains("not-allowed"), "{refused}");
    assert!(
        !refused.contains("Room creation is restricted"),
        "{refused}"
    );
    let request = "{\"room\":\"0000@breakout.localhost\",\"machineUid\":\"m\",\"properties\":{}}";
    let headers = [("Content-Type", "application/json")];
    let (status, answer) = server
        .web
        .http("POST", "/conference-request/v1", &headers, request)
        .await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\"ready\":true"), "{answer}");
}

#[tokio::test]
async fn a_journal_that_cannot_be_used_is_one_line() {
    let data = Folder::new();
    let _server = Server::start(&data).await;
    check_refused(&data, "in use by another program").await;
    let data = Folder::new();
    std::fs::write(
        data.0.join("tertulia.sqlite"),
        "no database\n".repeat(1_000),
    )
    .unwrap();
    check_refused(&data, "damaged (file is not a database); move it away").await;
}

async fn check_refused(data: &Folder, words: &str) {
    let free = "127.0.0.1:0";
    let folder = data.0.to_str().unwrap();
    // The usual ports of the rest may be a running server's, which would be a line more.
    let config = data.0.join("tertulia.toml");
    std::fs::write(&config, "[turn]\nenabled = false\n").unwrap();
    let arguments = [
        &["serve", "--config", config.to_str().unwrap()][..],
        &["--data", folder, "--listen", free],
        &["--listen-plain", free, "--media-port", "0"],
    ];
    let output = run(&arguments.concat()).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    let file = data.0.join("tertulia.sqlite");
    assert!(error.contains(file.to_str().unwrap()), "{error}");
    assert!(error.contains(words) && error.contains("--data"), "{error}");
}

/// Somebody else is the first one in a room without a password.
async fn check_forgotten(server: &Server, when: &str) {
    let mut stranger = Client::login(&server.web).await;
    let presence = stranger.come("tea", "stranger", "").await;
    assert!(is_owner(&presence), "{when}: {presence}");
    leave(stranger).await;
}

async fn leave(mut client: Client) {
    client
        .send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
        .await;
    client.end().await;
}

fn is_owner(presence: &str) -> bool {
    has(presence, "affiliation", "owner") && has(presence, "role", "moderator")
}

impl Client {
    /// Asks for the conference and joins, from this device; the presence that answers.
    async fn come(&mut self, room: &str, device: &str, password: &str) -> String {
        let room = match room.contains('@') {
            true => room.to_owned(),
            false => format!("{room}@conference.localhost"),
        };
        self.send(&format!(
            "<iq xmlns='jabber:client' type='set' to='focus.localhost' id='c'>\
             <conference xmlns='http://jitsi.org/protocol/focus' room='{room}' \
             machine-uid='{device}'/></iq>"
        ))
        .await;
        let reply = self.gets("http://jitsi.org/protocol/focus").await;
        assert!(has(&reply, "ready", "true"), "{reply}");
        let nick = self.nick().to_owned();
        self.send(&format!(
            "<presence xmlns='jabber:client' to='{room}/{nick}'>\
             <x xmlns='http://jabber.org/protocol/muc'><password>{password}</password></x>\
             </presence>"
        ))
        .await;
        let own = format!("{room}/{nick}");
        self.gets_all(&[&own, "<presence"]).await
    }

    async fn grant(&mut self, room: &str, whom: &Client, affiliation: &str) {
        let jid = whom.jid.split('/').next().unwrap();
        self.ask(&format!(
            "<iq xmlns='jabber:client' type='set' to='{room}@conference.localhost' id='g'>\
             <query xmlns='http://jabber.org/protocol/muc#admin'>\
             <item jid='{jid}' affiliation='{affiliation}'/></query></iq>"
        ))
        .await;
    }

    async fn set_password(&mut self, room: &str, password: &str) {
        self.ask(&password_form(room, password)).await;
    }

    /// Whether it was confirmed before the connection broke.
    async fn try_set_password(&mut self, room: &str, password: &str) -> bool {
        let form = password_form(room, password);
        if self.socket.send(Message::text(form)).await.is_err() {
            return false;
        }
        while let Some(Ok(message)) = self.socket.next().await {
            let text = message.into_text().unwrap();
            if text.contains("<iq") && has(&text, "id", "p") {
                assert!(has(&text, "type", "result"), "{text}");
                return true;
            }
        }
        false
    }

    /// Sends a request and waits for its result.
    async fn ask(&mut self, iq: &str) {
        let id = attribute(iq, "id");
        self.send(iq).await;
        loop {
            let answer = self.gets("<iq").await;
            if has(&answer, "id", &id) {
                assert!(has(&answer, "type", "result"), "{answer}");
                return;
            }
        }
    }
}

fn password_form(room: &str, password: &str) -> String {
    format!(
        "<iq xmlns='jabber:client' type='set' to='{room}@conference.localhost' id='p'>\
         <query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
         <field var='muc#roomconfig_roomsecret'><value>{password}</value></field>\
         <field var='muc#roomconfig_passwordprotectedroom'><value>1</value></field>\
         </x></query></iq>"
    )
}
