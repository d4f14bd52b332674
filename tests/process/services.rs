//! Commands to the services of a meeting name no room: which meeting they are for.

use crate::client::Client;
use crate::server::{Folder, Server};

#[tokio::test]
async fn the_room_of_the_url_then_the_one_that_one_is_in_then_none() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let mut nobody = Client::login(&server.web).await;
    let refusal = nobody.add_breakout_room("Padua").await;
    assert!(refusal.contains("item-not-found"), "{refusal}");

    // Connected for tea, but only coffee lives.
    let mut romeo = Client::login(&server.web).await;
    romeo.join("coffee").await;
    let answer = romeo.add_breakout_room("Verona").await;
    assert!(is_update(&answer, "Verona"), "{answer}");

    // In both of them, last seen in coffee.
    let mut juliet = Client::login(&server.web).await;
    juliet.join("tea").await;
    juliet.join("coffee").await;
    let answer = juliet.add_breakout_room("Mantua").await;
    assert!(is_update(&answer, "Mantua"), "{answer}");
    assert!(!answer.contains("Verona"), "tea has only its own: {answer}");

    // Tea lives, but one is not inside.
    let refusal = nobody.add_breakout_room("Padua").await;
    assert!(refusal.contains("forbidden"), "{refusal}");
}

fn is_update(answer: &str, name: &str) -> bool {
    answer.contains("features/breakout-rooms/update") && answer.contains(name)
}

impl Client {
    /// The list of breakout rooms with this one, or the refusal.
    async fn add_breakout_room(&mut self, name: &str) -> String {
        self.send(&format!(
            "<message xmlns='jabber:client' to='breakout.localhost' id='add-{name}'>\
             <breakout_rooms type='features/breakout-rooms/add' subject='{name}'/></message>"
        ))
        .await;
        loop {
            let text = self.gets("<message").await;
            let is_refusal = text.contains("<error") && text.contains(&format!("add-{name}"));
            if is_refusal || is_update(&text, name) {
                return text;
            }
        }
    }
}
