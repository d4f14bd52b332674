//! A client that speaks XMPP over WebSocket by hand.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::server::{SOON, Web};

/// A WebSocket to the server.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) jid: String,
}

/// Opens a WebSocket, or gives the HTTP status of the refusal; 0 if there was no answer.
pub(crate) async fn dial(
    server: &Web,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<WebSocketStream<TcpStream>, u16> {
    let url = format!("ws://{}{path}", server.authority());
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let Ok(stream) = TcpStream::connect(server.address).await else {
        return Err(0);
    };
    let dialled = tokio_tungstenite::client_async(request, stream);
    match timeout(SOON, dialled).await.expect("an answer") {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(_) => Err(0),
    }
}

pub(crate) const XMPP: (&str, &str) = ("Sec-WebSocket-Protocol", "xmpp");

const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";

impl Client {
    /// A socket on which nothing was said yet.
    pub(crate) async fn connect(server: &Web, query: &str) -> Client {
        let socket = dial(server, &format!("/xmpp-websocket{query}"), &[XMPP])
            .await
            .unwrap();
        Client {
            socket,
            jid: String::new(),
        }
    }

    /// Logged in, nothing bound.
    pub(crate) async fn authenticated(server: &Web, query: &str) -> Client {
        let mut client = Client::connect(server, query).await;
        client.send(OPEN).await;
        let first = client.next().await;
        assert!(first.starts_with("<open "), "{first}");
        client.gets("ANONYMOUS").await;
        client
            .send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
            .await;
        client.gets("<success").await;
        client.send(OPEN).await;
        client.gets("<open ").await;
        client.gets("urn:ietf:params:xml:ns:xmpp-bind").await;
        client
    }

    /// Logged in and bound.
    pub(crate) async fn login(server: &Web) -> Client {
        let mut client = Client::authenticated(server, "?room=tea").await;
        client.bind().await;
        client
    }

    pub(crate) async fn bind(&mut self) {
        self.send(
            "<iq xmlns='jabber:client' type='set' id='b'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        )
        .await;
        let bound = self.gets("<jid").await;
        let jid = bound
            .split_once("<jid")
            .unwrap()
            .1
            .split_once('>')
            .unwrap()
            .1;
        self.jid = jid.split('<').next().unwrap().to_owned();
    }

    /// The nick that Jitsi's clients take.
    pub(crate) fn nick(&self) -> &str {
        &self.jid[..8]
    }

    /// Asks for the conference and joins its room.
    pub(crate) async fn join(&mut self, room: &str) {
        self.send(&format!(
            "<iq xmlns='jabber:client' type='set' to='focus.localhost' id='c'>\
             <conference xmlns='http://jitsi.org/protocol/focus' \
             room='{room}@conference.localhost' machine-uid='m-{}'/></iq>",
            self.nick()
        ))
        .await;
        let reply = self.gets("http://jitsi.org/protocol/focus").await;
        assert!(
            has(&reply, "ready", "true") && has(&reply, "type", "result"),
            "{reply}"
        );
        self.enter(room).await;
    }

    /// Joins a room that lives.
    pub(crate) async fn enter(&mut self, room: &str) {
        self.send(&format!(
            "<presence xmlns='jabber:client' to='{room}@conference.localhost/{}'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>",
            self.nick()
        ))
        .await;
        let own = format!("{room}@conference.localhost/{}", self.nick());
        let presence = self.gets_all(&[&own, "<presence"]).await;
        assert!(!has(&presence, "type", "error"), "{presence}");
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next text.
    pub(crate) async fn next(&mut self) -> String {
        loop {
            match timeout(SOON, self.socket.next())
                .await
                .expect("a message")
                .expect("no end")
            {
                Ok(Message::Text(text)) => return text.as_str().to_owned(),
                Ok(Message::Close(frame)) => panic!("closed: {frame:?}"),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The next text that contains this.
    pub(crate) async fn gets(&mut self, part: &str) -> String {
        self.gets_all(&[part]).await
    }

    /// The next text that contains all of these.
    pub(crate) async fn gets_all(&mut self, parts: &[&str]) -> String {
        let mut seen = Vec::new();
        let found = timeout(SOON, async {
            loop {
                let text = self.next().await;
                if parts.iter().all(|part| text.contains(part)) {
                    return text;
                }
                seen.push(text);
            }
        });
        found
            .await
            .unwrap_or_else(|_| panic!("no {parts:?} in {seen:#?}"))
    }

    /// Reads to the end; the close code, and all texts before it.
    pub(crate) async fn end(&mut self) -> (Option<u16>, Vec<String>) {
        let mut texts = Vec::new();
        loop {
            match timeout(SOON, self.socket.next()).await.expect("an end") {
                Some(Ok(Message::Text(text))) => texts.push(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    return (frame.map(|frame| frame.code.into()), texts);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return (None, texts),
            }
        }
    }
}

/// Whether a text has this attribute, in either kind of quotes.
pub(crate) fn has(text: &str, name: &str, value: &str) -> bool {
    text.contains(&format!("{name}='{value}'")) || text.contains(&format!("{name}=\"{value}\""))
}

/// The value of the first attribute of this name.
pub(crate) fn attribute(text: &str, name: &str) -> String {
    let (_, rest) = text
        .split_once(&format!(" {name}="))
        .unwrap_or_else(|| panic!("{text}"));
    let quote = rest.chars().next().unwrap();
    rest[1..].split(quote).next().unwrap().replace("&amp;", "&")
}
