//! The bridge channel's WebSocket: who may open it, and that it lives and is replaced.

use futures_util::StreamExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, attribute, dial};
use crate::server::{Folder, SOON, Server};

#[tokio::test]
async fn only_with_the_right_path_and_password() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let (mut romeo, mut juliet) = (
        Client::login(&server.web).await,
        Client::login(&server.web).await,
    );
    romeo.join("tea").await;
    juliet.join("tea").await;
    let url = channel_url(&mut juliet).await;
    let base = format!("ws://{}", server.web.authority());
    let path = url
        .strip_prefix(&base)
        .unwrap_or_else(|| panic!("{url} at {base}"));

    let parts: Vec<&str> = path.split(['/', '?']).collect();
    let [_, service, id, conference, endpoint, password] = parts[..] else {
        panic!("{path}")
    };
    assert_eq!((service, endpoint), ("colibri-ws", juliet.nick()));
    let refused = [
        (
            format!("/colibri-ws/other/{conference}/{endpoint}?{password}"),
            404,
        ),
        (format!("/colibri-ws/{id}/{conference}"), 404),
        (format!("/colibri-ws/{id}/other/{endpoint}?{password}"), 403),
        (
            format!("/colibri-ws/{id}/{conference}/00000000?{password}"),
            403,
        ),
        (
            format!("/colibri-ws/{id}/{conference}/{endpoint}?pwd=wrong"),
            403,
        ),
        (format!("/colibri-ws/{id}/{conference}/{endpoint}"), 403),
    ];
    for (path, status) in refused {
        assert_eq!(
            dial(&server.web, &path, &[]).await.err(),
            Some(status),
            "{path}"
        );
    }
    assert_eq!(server.web.get(path).await.0, 426, "no WebSocket");

    let mut first = dial(&server.web, path, &[]).await.unwrap();
    let hello = timeout(SOON, first.next()).await.unwrap().unwrap().unwrap();
    assert!(hello.to_text().unwrap().contains("ServerHello"), "{hello}");
    let _second = dial(&server.web, path, &[]).await.unwrap();
    let code = timeout(SOON, async {
        while let Some(Ok(message)) = first.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None::<u16>
    });
    assert_eq!(code.await.unwrap(), Some(1000), "replaced");
}

/// The URL in the session-initiate.
async fn channel_url(client: &mut Client) -> String {
    let offer = client.gets_offer().await;
    let at = offer.split_once("<web-socket").unwrap().1;
    attribute(at, "url")
}

impl Client {
    /// The session-initiate of the focus; what it asks before is answered.
    pub(crate) async fn gets_offer(&mut self) -> String {
        loop {
            let text = self.next().await;
            if text.contains("disco#info") && text.contains("type=\"get\"") {
                let (from, id) = (attribute(&text, "from"), attribute(&text, "id"));
                self.send(&format!(
                    "<iq xmlns='jabber:client' type='result' to='{from}' id='{id}'>\
                     <query xmlns='http://jabber.org/protocol/disco#info'>\
                     <feature var='urn:xmpp:jingle:apps:rtp:audio'/>\
                     <feature var='urn:xmpp:jingle:apps:rtp:video'/>\
                     <feature var='urn:xmpp:jingle:transports:ice-udp:1'/>\
                     <feature var='urn:xmpp:jingle:apps:dtls:0'/></query></iq>"
                ))
                .await;
            } else if text.contains("session-initiate") && text.contains("<web-socket") {
                return text;
            }
        }
    }
}
