//! What is counted by address.

use crate::client::{Client, has};
use crate::server::{Folder, Server};

/// An error would be final for Jitsi's clients: who is not served now asks again.
#[tokio::test]
async fn so_many_new_rooms_in_a_minute_and_no_error_beyond_them() {
    let data = Folder::new();
    let one = [("TERTULIA_LIMITS__NEW_ROOMS_PER_MINUTE", "1")];
    let server = Server::start_with_environment(&data, &one).await;
    let mut romeo = Client::login(&server.web).await;
    romeo.join("tea").await;
    for (room, is_ready) in [("coffee", "false"), ("tea", "true"), ("cocoa", "false")] {
        romeo
            .send(&format!(
                "<iq xmlns='jabber:client' type='set' to='focus.localhost' id='{room}'>\
                 <conference xmlns='http://jitsi.org/protocol/focus' \
                 room='{room}@conference.localhost' machine-uid='m'/></iq>"
            ))
            .await;
        let reply = romeo.gets_all(&["<iq", "ready="]).await;
        assert!(has(&reply, "type", "result"), "{reply}");
        assert!(has(&reply, "id", room), "{reply}");
        assert!(has(&reply, "ready", is_ready), "{reply}");
        let body = format!(
            r#"{{"room":"{room}@conference.localhost","machineUid":"m","properties":{{}}}}"#
        );
        let path = format!("/conference-request/v1?room={room}");
        let (status, reply) = server.web.http("POST", &path, &[], &body).await;
        assert_eq!(status, 200, "{reply}");
        let expected = format!("\"ready\":{is_ready}");
        assert!(reply.contains(&expected), "{room}: {reply}");
    }
    // Whoever joins all the same is told to ask again.
    romeo
        .send(
            "<presence xmlns='jabber:client' to='coffee@conference.localhost/romeo'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>",
        )
        .await;
    let refused = romeo.gets("coffee@conference.localhost/romeo").await;
    assert!(refused.contains("room-does-not-exist"), "{refused}");
}
