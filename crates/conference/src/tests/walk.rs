//! Random words to all services, of people who come, go, lose their sockets and come back, a
//! server that crashes, and groups who come one after the other.

use serde_json::{Value, json};
use tertulia_model::Capability;
use tertulia_room::rights::Standing;
use tertulia_stanza::WithAttribute;

use super::wire::*;
use super::*;
use crate::standings::Identity;

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.u32() as usize % from.len()]
}

const NICKS: [&str; 3] = ["ann", "bob", "cat"];

fn any_jid(random: &mut Random) -> String {
    let nick = pick(random, &["ann", "bob", "cat", "focus", "nobody", ""]);
    let room = pick(
        random,
        &["tea@conference.localhost", "tea@conference.localhost", "@"],
    );
    format!("{room}/{nick}")
}

fn any_value(random: &mut Random) -> Value {
    match random.u32() % 6 {
        0 => Value::Null,
        1 => json!({ "audio": true }),
        2 => json!({ "groupChatRestricted": true, "pollCreationRestricted": false }),
        3 => json!({ "audio": "<b>", "__proto__": 1 }),
        4 => json!([[], {}, "&quot;", -1.5]),
        _ => json!({ "audio": false, "video": true }),
    }
}

fn any_json(random: &mut Random) -> Value {
    let id = pick(random, &["p1", "p2", "", "__proto__"]);
    match random.u32() % 5 {
        0 => json!({ "type": "polls", "command": "new-poll", "pollId": id, "question": "?",
            "answers": [{ "name": "&quot;" }, { "name": "b" }] }),
        1 => {
            let marks: Vec<bool> = (0..random.u32() % 4).map(|n| n == 1).collect();
            json!({ "type": "polls", "command": "answer-poll", "pollId": id, "answers": marks })
        }
        2 => json!({ "fileId": id, "fileName": "f", "fileSize": 1, "fileType": "t",
            "timestamp": 1 }),
        3 => json!({ "key": pick(random, &["startMuted", "permissions", "services", "a", ""]),
            "data": any_value(random) }),
        _ => any_value(random),
    }
}

fn any_word(random: &mut Random) -> Stanza {
    let media = pick(random, &["audio", "video", "desktop", "smell"]);
    let jid = any_jid(random);
    let room = "tea@conference.localhost";
    let json = any_json(random).to_string();
    let element = |name: &str, namespace: &str| Element::builder(name, namespace);
    let own = ns::JITSI_MEET;
    match random.u32() % 12 {
        0 => {
            let is_on = pick(random, &["true", "true", "false", "maybe"]);
            let command = format!("<av_moderation enable='{is_on}' mediaType='{media}'/>");
            to_service("avmoderation", &command)
        }
        1 | 2 => {
            let list = pick(
                random,
                &["jidToWhitelist", "jidToWhitelist", "jidToBlacklist"],
            );
            let command = format!("<av_moderation {list}='{jid}' mediaType='{media}'/>");
            to_service("avmoderation", &command)
        }
        3 | 4 => {
            let metadata = element("room_metadata", own).with("room", room);
            to_service_with("metadata", metadata.append(json).build())
        }
        5 | 6 => to_service_with("polls", text_element("json-message", own, &json)),
        7 => {
            let add = element("file-sharing", own).with("type", "add");
            to_service_with("filesharing", add.append(json).build())
        }
        8 => {
            let id = pick(random, &["p1", "p2"]);
            let remove = element("file-sharing", own).with("type", "remove");
            to_service_with("filesharing", remove.with("fileId", id).build())
        }
        9 => {
            let mute = format!("http://jitsi.org/jitmeet/{media}");
            let mute = element("mute", &mute).with("jid", jid).append("true");
            Stanza::iq("set", "m")
                .with_to(to("focus"))
                .with_child(mute.build())
        }
        10 => {
            let id = pick(random, &["m1", "m2"]);
            let retract = element("retract", ns::RETRACT).with("id", id).build();
            let body = text_element("body", ns::CLIENT, "hello");
            let child = pick(random, &[&retract, &body]).clone();
            let message = Stanza::new(Kind::Message)
                .with_type("groupchat")
                .with_id(id);
            message.with_to(to("")).with_child(child)
        }
        _ => {
            let face = element("faceLandmarks", own).with("room", room);
            let face = face.with("duration", "1").with("timestamp", "1");
            let face = face.with("faceExpression", pick(random, &["sad", "<b>"]));
            to_service_with("speakerstats", face.build())
        }
    }
}

/// Nobody may send what a moderator has not allowed them, and everybody else may.
fn check_rights(w: &World) {
    let hall = w.conference.main_hall();
    for occupant in hall.room.occupants() {
        let is_moderator = occupant.standing().is_moderator();
        let who = Identity::of(occupant);
        let taken = hall.moderation.taken_from(&who);
        let taken: Vec<Capability> = taken.filter(|_| !is_moderator).collect();
        for media in [Capability::Speak, Capability::Camera, Capability::Screen] {
            let may = occupant.capabilities().has(media);
            assert_eq!(
                may,
                !taken.contains(&media),
                "{} {media:?}",
                occupant.nick()
            );
        }
    }
}

/// What has been decided in the room.
fn decided(w: &World) -> String {
    let hall = w.conference.main_hall();
    let anybody = Standing::of(Affiliation::None);
    let metadata = hall.metadata_for_newcomer(&w.conference.config, &anybody, None);
    let (moderation, polls, files) = (&hall.moderation, &hall.polls, &hall.files);
    format!("{metadata} {moderation:?} {polls:?} {files:?}")
}

#[test]
fn random_words_to_all_services() {
    let (mut survived, mut groups) = (0, 0);
    for seed in 0..60 {
        let mut random = Random::from_seed([seed; 32]);
        let mut w = World::of(seed);
        let mut generation = 0;
        for _ in 0..300 {
            if w.is_closed {
                let before = decided(&w);
                let pause = Duration::from_secs(u64::from(random.u32() % 60));
                w = World::at(w.now.later(pause), seed, w.journal.clone());
                generation += 1;
                groups += 1;
                assert_eq!(decided(&w), before, "seed {seed}: until somebody comes");
            }
            let session = u64::from(random.u32() % 4) + 1 + 10 * generation;
            let nick = pick(&mut random, &NICKS);
            match random.u32() % 24 {
                0..=3 => {
                    w.request(session, &format!("device {}", session % 10));
                    w.join(session, nick);
                }
                4 => w.send(session, leave().with_to(to(nick))),
                5 => w.session(session, SessionChange::Paused),
                6 => w.session(session, SessionChange::Resumed),
                7 => {
                    w.session(session, SessionChange::Ended(EndReason::Closed));
                    generation += 1;
                }
                8 => w.wait(u64::from(random.u32() % 20)),
                9 => answer_bridge(&mut w),
                10 if random.u32().is_multiple_of(4) => {
                    let before = decided(&w);
                    w = World::with(seed, w.journal.clone());
                    generation += 1;
                    assert_eq!(decided(&w), before, "seed {seed}: a crash undoes nothing");
                    survived += 1;
                }
                _ => {
                    let word = any_word(&mut random);
                    w.send(session, word);
                }
            }
            check_rights(&w);
        }
        for session in 0..=10 * (generation + 1) {
            w.session(session, SessionChange::Ended(EndReason::Closed));
        }
        w.wait(120);
        assert!(w.is_closed, "seed {seed}");
        assert_eq!(w.conference.census(), Census::default());
    }
    assert!(survived > 20 && groups > 20, "{survived} {groups}");
}
