//! A link and str0m's `Rtc` as a browser would be, on virtual time.

use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::config::{DtlsCert, Fingerprint as TheirFingerprint};
use str0m::net::{Protocol as TheirProtocol, Receive};
use str0m::{Event as TheirEvent, Input, Output as TheirOutput, Rtc, RtcConfig};

use super::channel::{LABEL, PROTOCOL, RECEIVE_MAX, SEND_MAX, STREAMS_MAX};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn connects_as_dtls_server_and_as_client() {
    for is_dtls_client in [true, false] {
        let mut pair = Pair::new(Habits {
            is_dtls_client,
            ..Habits::default()
        });
        pair.connect();
        let start = pair.now;
        assert!(
            pair.run_until(SECOND, Pair::is_up),
            "client: {is_dtls_client}"
        );
        assert!(pair.now - start < Duration::from_millis(400));
        let Some(Event::Connected {
            profile,
            material,
            is_client,
        }) = pair.event(|event| matches!(event, Event::Connected { .. }))
        else {
            panic!("not told");
        };
        assert_eq!(*is_client, !is_dtls_client);
        assert_eq!(*profile, Profile::AeadAes256Gcm);
        assert_eq!(material.bytes().len(), 2 * (32 + 12));
        assert_eq!(format!("{material:?}"), "KeyingMaterial(..)");
        let path = Path {
            source: OURS,
            destination: THEIRS,
        };
        assert_eq!(pair.link.path(), Some(path));
        assert!(matches!(pair.events.first(), Some(Event::Path(told)) if *told == path));
        assert!(pair.link.is_connected());
        let round_trip = pair.link.round_trip().expect("a check was answered");
        assert_eq!(round_trip, 2 * DELAY);
        assert_eq!(pair.link.refused(), 0);
    }
}

#[test]
fn checks_that_come_before_the_answer_are_not_lost() {
    let mut pair = Pair::new(Habits::default());
    pair.run(5 * SECOND);
    assert!(pair.events.is_empty());
    assert_eq!(pair.link.path(), None);
    let start = pair.now;
    pair.connect();
    assert!(pair.run_until(SECOND, Pair::is_up));
    assert!(pair.now - start < Duration::from_millis(500));
}

#[test]
fn a_client_that_wants_to_control_too_connects() {
    let mut pair = Pair::new(Habits {
        is_controlling: true,
        ..Habits::default()
    });
    pair.connect();
    assert!(pair.run_until(2 * SECOND, Pair::is_up));
}

#[test]
fn a_certificate_that_was_not_announced_is_refused() {
    for is_dtls_client in [true, false] {
        let mut pair = Pair::new(Habits {
            is_dtls_client,
            ..Habits::default()
        });
        let mut remote = pair.remote();
        remote.fingerprint.bytes[31] ^= 1;
        pair.link.connect(pair.now, remote, true);
        pair.run(5 * SECOND);
        let failure = pair.event(|event| matches!(event, Event::Failed(_)));
        assert!(
            matches!(failure, Some(Event::Failed(Failure::WrongCertificate))),
            "{failure:?}"
        );
        assert!(!pair.link.is_connected());
        assert_eq!(
            pair.count(|event| matches!(event, Event::Connected { .. })),
            0
        );
        let sent = pair.sent;
        pair.run(5 * SECOND);
        assert_eq!(pair.sent, sent, "it is of no use any more");
    }
}

#[test]
fn a_certificate_announced_by_an_unknown_hash_is_refused() {
    let mut pair = Pair::new(Habits::default());
    let mut remote = pair.remote();
    remote.fingerprint.hash = "md5".to_owned();
    pair.link.connect(pair.now, remote, true);
    pair.run(2 * SECOND);
    let unknown = Failure::UnknownHash("md5".to_owned());
    let told = |event: &Event| matches!(event, Event::Failed(failure) if *failure == unknown);
    assert_eq!(pair.count(told), 1);
}

/// dimpl panics when the certificate does not fit where it is put.
#[test]
fn a_certificate_of_any_size_is_read() {
    for is_dtls_client in [true, false] {
        let mut pair = Pair::new(Habits {
            is_dtls_client,
            certificate: Some(large_certificate()),
            ..Habits::default()
        });
        pair.connect();
        assert!(pair.run_until(5 * SECOND, Pair::is_up));
    }
}

#[test]
fn an_endless_handshake_ends() {
    let mut pair = Pair::new(Habits::default());
    pair.deaf = true;
    pair.connect();
    assert!(pair.run_until(SECOND, |pair| pair.link.path().is_some()));
    let hello = pair.dtls_to_us.first().cloned();
    let hello = hello.unwrap_or_else(|| {
        pair.run(SECOND);
        pair.dtls_to_us.first().cloned().expect("a hello")
    });
    for _ in 0..1_000 {
        pair.link.handle_dtls(pair.now, THEIRS, &hello);
        pair.take();
    }
    let told = |event: &Event| matches!(event, Event::Failed(Failure::EndlessHandshake));
    assert_eq!(pair.count(told), 1);
}

#[test]
fn each_datagram_of_the_handshake_may_be_lost() {
    for is_dtls_client in [true, false] {
        for lost in 0..7 {
            for to_us in [true, false] {
                let mut pair = Pair::new(Habits {
                    is_dtls_client,
                    ..Habits::default()
                });
                pair.lose_dtls = Some((to_us, lost));
                pair.connect();
                pair.run_until(10 * SECOND, Pair::is_talking);
                assert!(
                    pair.is_talking(),
                    "client: {is_dtls_client}, lost: {lost}, to us: {to_us}"
                );
            }
        }
    }
}

/// The flight that is lost is ours: it is sent again long before a second has passed.
#[test]
fn a_lost_flight_of_ours_is_sent_again_soon() {
    let mut pair = Pair::new(Habits {
        is_dtls_client: false,
        ..Habits::default()
    });
    pair.lose_dtls = Some((false, 0));
    pair.connect();
    let start = pair.now;
    assert!(pair.run_until(2 * SECOND, Pair::is_up));
    assert!(pair.now - start < Duration::from_millis(700));
}

/// Nothing answers our last flight, and the client asks for it again after a second only.
#[test]
fn our_last_flight_is_sent_again_until_the_client_is_heard() {
    let mut pair = Pair::new(Habits::default());
    pair.connect();
    assert!(pair.run_until(SECOND, |pair| pair.link.is_connected()));
    let flight = pair.wire.iter();
    let flight = flight.filter(|one| !one.to_us && one.data[0] >= 20).count();
    assert!(flight > 0);
    pair.wire.retain(|one| one.to_us);
    let start = pair.now;
    let (before, is_heard) = (pair.dtls_from_us.len(), Pair::is_up);
    assert!(pair.run_until(SECOND, is_heard));
    assert!(pair.now - start < Duration::from_millis(300));
    // It speaks over its association at once, and that is enough.
    let again = pair.dtls_from_us.len() - before;
    assert_eq!(again, flight);
    let spoken = |pair: &Pair| pair.link.has_channel();
    assert!(pair.run_until(SECOND, spoken));
    pair.run(5 * SECOND);
    for millis in [750, 1_750, 3_750] {
        let due = start + Duration::from_millis(millis);
        assert!(!pair.dtls_from_us.contains(&due), "after {millis} ms");
    }
}

/// Nor for ever, and not where media has shown that it has arrived.
#[test]
fn our_last_flight_is_not_sent_again_for_ever() {
    for has_media in [false, true] {
        let mut pair = Pair::new(Habits::default());
        pair.connect();
        assert!(pair.run_until(SECOND, |pair| pair.link.is_connected()));
        pair.deaf = true;
        let at = pair.now;
        if has_media {
            pair.link.note_media();
        }
        let before = pair.dtls_from_us.len();
        pair.is_mute = true;
        pair.run(20 * SECOND);
        let mut times = pair.dtls_from_us.split_off(before);
        times.dedup();
        let times: Vec<u128> = times.iter().map(|time| (*time - at).as_millis()).collect();
        let expected: &[u128] = if has_media {
            &[]
        } else {
            &[250, 750, 1_750, 3_750]
        };
        assert_eq!(times, expected);
    }
}

#[test]
fn checks_may_be_lost() {
    for lost in 0..6 {
        let mut pair = Pair::new(Habits::default());
        pair.lose_stun = Some(lost);
        pair.connect();
        assert!(pair.run_until(4 * SECOND, Pair::is_up), "lost: {lost}");
    }
}

#[test]
fn texts_go_both_ways() {
    let mut pair = Pair::talking();
    let long: String = ('a'..='z').cycle().take(SEND_MAX).collect();
    for text in ["hello", "", "grüß Gott", &long] {
        let sent = pair.link.write_text(pair.now, text);
        assert_eq!(sent, Ok(()), "{} bytes", text.len());
        pair.take();
        // str0m cannot send nothing.
        if !text.is_empty() {
            pair.say(text);
        }
        pair.run(3 * SECOND);
    }
    let expected = ["hello", "", "grüß Gott", &long];
    assert!(pair.heard == expected.map(str::as_bytes));
    let expected = ["hello", "grüß Gott", &long];
    assert!(pair.texts() == expected);
    let longer = format!("{long}!");
    let refused = pair.link.write_text(pair.now, &longer);
    assert_eq!(refused, Err(WriteError::TooLong));
    assert!(RECEIVE_MAX as usize >= long.len());
}

#[test]
fn text_as_bytes_is_understood_and_what_is_no_text_is_refused() {
    let mut pair = Pair::talking();
    let id = pair.channel.expect("talking");
    let mut channel = pair.rtc.channel(id).expect("open");
    assert!(channel.write(true, b"bytes").expect("open"));
    pair.poll_rtc();
    let mut channel = pair.rtc.channel(id).expect("open");
    assert!(channel.write(true, &[0xff, 0xfe]).expect("open"));
    pair.poll_rtc();
    pair.run(SECOND);
    assert_eq!(pair.texts(), ["bytes"]);
    assert_eq!(pair.link.refused(), 1);
}

#[test]
fn a_full_channel_says_when_there_is_room() {
    let mut pair = Pair::talking();
    let text = "x".repeat(10_000);
    let mut written = 0;
    for _ in 0..3 {
        let refused = loop {
            match pair.link.write_text(pair.now, &text) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
            pair.take();
        };
        assert_eq!(refused, WriteError::NoRoom);
        let rooms = pair.count(is_room);
        assert!(pair.run_until(10 * SECOND, |pair| pair.count(is_room) > rooms));
        pair.run(5 * SECOND);
        assert_eq!(pair.count(is_room), rooms + 1, "told once");
    }
    assert!(written >= 3 * 10, "{written}");
    assert_eq!(pair.heard.len(), written);
    assert!(pair.heard.iter().all(|heard| heard == text.as_bytes()));
    // Who was not refused is not told.
    pair.link.write_text(pair.now, &text).expect("room");
    pair.take();
    pair.run(SECOND);
    assert_eq!(pair.count(is_room), 3);
}

#[test]
fn lost_messages_are_sent_again_soon() {
    let mut pair = Pair::talking();
    // Of ten messages the last is lost: no later one tells of it.
    for number in 0..10 {
        pair.lose_next = number == 9;
        let text = number.to_string();
        pair.link.write_text(pair.now, &text).expect("room");
        pair.take();
    }
    let start = pair.now;
    assert!(pair.run_until(2 * SECOND, |pair| pair.heard.len() == 10));
    let taken = pair.now - start;
    assert!(taken < Duration::from_millis(900), "{taken:?}");
}

#[test]
fn texts_arrive_in_order_over_a_lossy_network() {
    let mut pair = Pair::talking();
    pair.loss_percent = 15;
    for number in 0..100 {
        let text = number.to_string();
        pair.link.write_text(pair.now, &text).expect("room");
        pair.take();
        pair.say(&text);
        pair.run(Duration::from_millis(50));
    }
    let all = |pair: &Pair| pair.heard.len() >= 100 && pair.texts().len() >= 100;
    assert!(pair.run_until(120 * SECOND, all));
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert!(pair.texts() == expected);
    let heard = pair.heard.iter().map(|heard| heard.as_slice());
    assert!(heard.eq(expected.iter().map(|text| text.as_bytes())));
}

#[test]
fn only_jitsis_channel_is_used() {
    let mut pair = Pair::new(Habits {
        labels: vec!["chat", "file"],
        ..Habits::default()
    });
    pair.connect();
    pair.run(2 * SECOND);
    assert!(pair.link.is_connected());
    assert_eq!(pair.opened.len(), 2, "they are accepted");
    assert!(!pair.link.has_channel());
    let refused = pair.link.write_text(pair.now, "hello");
    assert_eq!(refused, Err(WriteError::NotOpen));
    pair.open(LABEL, "");
    pair.run(SECOND);
    assert!(pair.link.has_channel());
    for id in pair.opened.clone() {
        let mut channel = pair.rtc.channel(id).expect("open");
        assert!(channel.write(false, b"text").expect("open"));
        pair.poll_rtc();
    }
    pair.run(SECOND);
    assert_eq!(pair.texts(), ["text"], "of the third alone");
    assert_eq!(pair.link.refused(), 2);
    pair.link.write_text(pair.now, "hello").expect("open");
    pair.take();
    pair.run(SECOND);
    assert_eq!(pair.heard, [b"hello"]);
}

#[test]
fn a_channel_is_known_by_its_protocol_too() {
    let mut pair = Pair::new(Habits {
        labels: Vec::new(),
        ..Habits::default()
    });
    pair.connect();
    pair.open("other", PROTOCOL);
    assert!(pair.run_until(2 * SECOND, |pair| pair.link.has_channel()));
}

#[test]
fn a_channel_can_be_closed_and_opened_again() {
    let mut pair = Pair::talking();
    let id = pair.channel.take().expect("talking");
    pair.rtc.direct_api().close_data_channel(id);
    pair.poll_rtc();
    pair.run(2 * SECOND);
    assert_eq!(pair.count(|event| matches!(event, Event::ChannelClosed)), 1);
    assert!(!pair.link.has_channel());
    let refused = pair.link.write_text(pair.now, "hello");
    assert_eq!(refused, Err(WriteError::NotOpen));
    pair.open(LABEL, PROTOCOL);
    assert!(pair.run_until(2 * SECOND, Pair::is_talking));
    pair.say("again");
    pair.run(SECOND);
    assert_eq!(pair.texts(), ["again"]);
    assert_eq!(pair.count(|event| matches!(event, Event::ChannelOpen)), 2);
}

#[test]
fn a_client_without_an_offered_channel_gets_none() {
    let mut pair = Pair::new(Habits::default());
    let remote = pair.remote();
    pair.link.connect(pair.now, remote, false);
    pair.run(3 * SECOND);
    assert!(pair.link.is_connected());
    assert!(!pair.link.has_channel() && pair.channel.is_none());
}

#[test]
fn who_opens_too_many_channels_loses_the_transport() {
    let mut pair = Pair::talking();
    for number in 0..=STREAMS_MAX {
        pair.open(&format!("{number}"), "");
    }
    pair.run(2 * SECOND);
    assert_eq!(pair.count(|event| matches!(event, Event::ChannelClosed)), 1);
    assert_eq!(pair.count(|event| matches!(event, Event::Closed)), 1);
    let refused = pair.link.write_text(pair.now, "hello");
    assert_eq!(refused, Err(WriteError::NotOpen));
}

#[test]
fn ice_restarts_in_place() {
    let mut pair = Pair::talking();
    pair.events.clear();
    let moved = SocketAddr::from(([203, 0, 113, 9], 50_000));
    for address in [THEIRS, moved] {
        pair.restart(address);
        pair.run(SECOND);
        assert_eq!(
            pair.link.path().map(|path| path.destination),
            Some(address),
            "found at once"
        );
        pair.say("still here");
        pair.link.write_text(pair.now, "so am I").expect("open");
        pair.take();
        pair.run(SECOND);
    }
    assert_eq!(pair.texts(), ["still here"; 2]);
    assert_eq!(pair.heard, [b"so am I"; 2]);
    let told = |event: &Event| matches!(event, Event::Connected { .. } | Event::Closed);
    assert_eq!(pair.count(told), 0);
    // Checks with the old credentials are nobody's.
    let stale = pair
        .stale_check
        .clone()
        .expect("a check before the restart");
    assert!(!pair.link.accepts(moved, &stale));
    assert!(!pair.link.handle_stun(pair.now, moved, OURS, &stale));
}

#[test]
fn a_client_that_moves_is_followed_when_its_old_address_is_given_up() {
    let mut pair = Pair::talking();
    let moved = SocketAddr::from(([192, 0, 2, 77], 4_242));
    pair.seen_at = moved;
    pair.run(4 * SECOND);
    let path = pair.link.path().expect("a path");
    assert_eq!(path.destination, THEIRS, "ICE waits for answers");
    pair.link.give_up_address(pair.now, THEIRS);
    pair.take();
    pair.run(Duration::from_millis(500));
    let path = pair.link.path().expect("a path");
    assert_eq!(path.destination, moved);
    // It comes back to where it was: refused as long as it is not readmitted.
    pair.seen_at = THEIRS;
    pair.run(4 * SECOND);
    pair.link.give_up_address(pair.now, moved);
    pair.take();
    pair.run(SECOND);
    assert_eq!(pair.link.path().map(|path| path.destination), Some(moved));
    pair.link.readmit_address(pair.now, THEIRS);
    pair.take();
    pair.run(SECOND);
    assert_eq!(pair.link.path().map(|path| path.destination), Some(THEIRS));
    pair.say("back");
    pair.run(2 * SECOND);
    assert_eq!(pair.texts(), ["back"]);
}

#[test]
fn a_client_is_called_back_wherever_it_is_known_to_be() {
    let mut pair = Pair::talking();
    let other = SocketAddr::from(([192, 0, 2, 77], 4_242));
    // No check comes from there by itself so soon; the former address is not given up at first.
    for (round, (here, former)) in [(other, THEIRS), (THEIRS, other)]
        .repeat(4)
        .iter()
        .enumerate()
    {
        pair.seen_at = *here;
        if round > 0 {
            pair.link.give_up_address(pair.now, *here);
        }
        pair.link.readmit_address(pair.now, *here);
        pair.take();
        assert!(
            pair.run_until(Duration::from_millis(300), |pair| {
                pair.link.path().map(|path| path.destination) == Some(*here)
            }),
            "round {round}"
        );
        assert!(pair.link.has_answered(*here));
        pair.link.give_up_address(pair.now, *former);
        pair.take();
        assert!(!pair.link.has_answered(*former), "round {round}");
    }
    // Whoever does not answer is not reached.
    let nobody = SocketAddr::from(([192, 0, 2, 78], 4_242));
    pair.link.readmit_address(pair.now, nobody);
    pair.take();
    pair.run(3 * SECOND);
    assert!(!pair.link.has_answered(nobody));
    assert_eq!(pair.link.path().map(|path| path.destination), Some(THEIRS));
}

#[test]
fn silence_is_told() {
    let mut pair = Pair::talking();
    pair.deaf = true;
    pair.seen_at = SocketAddr::from(([192, 0, 2, 200], 1));
    let told = |event: &Event| matches!(event, Event::IceDisconnected);
    assert!(pair.run_until(40 * SECOND, |pair| pair.count(told) == 1));
    pair.deaf = false;
    pair.seen_at = THEIRS;
    pair.run(10 * SECOND);
    pair.say("hello");
    pair.run(5 * SECOND);
    assert_eq!(pair.texts(), ["hello"]);
}

#[test]
fn our_goodbye_is_heard() {
    let mut pair = Pair::talking();
    pair.link
        .write_text(pair.now, "the last word")
        .expect("open");
    pair.link.close(pair.now);
    pair.take();
    pair.run(2 * SECOND);
    assert!(pair.is_closed, "told by DTLS");
    assert_eq!(pair.heard, [b"the last word"]);
    let sent = pair.sent;
    pair.link.close(pair.now);
    let stun = pair.last_check.clone().expect("checks");
    assert!(!pair.link.accepts(THEIRS, &stun));
    pair.link.handle_stun(pair.now, THEIRS, OURS, &stun);
    pair.link.handle_dtls(pair.now, THEIRS, &[22; 30]);
    pair.take();
    pair.run(60 * SECOND);
    assert_eq!(pair.sent, sent);
    assert_eq!(pair.count(|event| matches!(event, Event::Closed)), 0);
}

#[test]
fn the_clients_goodbye_is_told_once() {
    let mut pair = Pair::talking();
    pair.rtc.close().expect("alive");
    pair.poll_rtc();
    pair.run(5 * SECOND);
    assert_eq!(pair.count(|event| matches!(event, Event::Closed)), 1);
    let sent = pair.sent;
    pair.run(30 * SECOND);
    assert_eq!(pair.sent, sent);
}

#[test]
fn strangers_are_refused() {
    let mut pair = Pair::talking();
    let stranger = SocketAddr::from(([198, 51, 100, 66], 6_666));
    let check = pair.last_check.clone().expect("checks");
    assert!(pair.link.accepts(stranger, &check), "it is signed");
    let mut forged = check.clone();
    let last = forged.len() - 1;
    forged[last - 10] ^= 1;
    assert!(!pair.link.accepts(stranger, &forged));
    assert!(!pair.link.handle_stun(pair.now, stranger, OURS, &forged));
    assert!(
        !pair
            .link
            .handle_stun(pair.now, stranger, OURS, &check[..30])
    );
    assert!(!pair.link.handle_dtls(pair.now, stranger, &[22; 100]));
    assert!(!pair.link.accepts(stranger, &[22; 100]));
    assert!(
        pair.link.accepts(THEIRS, &[22; 100]),
        "where it is known to be"
    );
    assert_eq!(pair.link.refused(), 3);
    pair.say("undisturbed");
    pair.run(SECOND);
    assert_eq!(pair.texts(), ["undisturbed"]);
}

#[test]
fn garbage_at_any_stage_does_no_harm() {
    let mut pair = Pair::new(Habits::default());
    pair.connect();
    for step in 0..60u8 {
        pair.run(Duration::from_millis(10));
        let recorded = [pair.last_check.clone(), pair.dtls_to_us.last().cloned()];
        for data in recorded.into_iter().flatten() {
            for length in [0, 1, 13, 20, data.len() / 2, data.len() - 1] {
                let mut cut = data[..length].to_vec();
                pair.link.handle_stun(pair.now, THEIRS, OURS, &cut);
                // A flight cut short is understood as far as it goes; it is no garbage.
                if let Some(first) = cut.first_mut() {
                    *first = 63;
                    pair.link.handle_dtls(pair.now, THEIRS, &cut);
                }
            }
            let mut flipped = data.clone();
            let at = usize::from(step) * 7 % flipped.len();
            flipped[at] ^= 0x10;
            pair.link.handle_stun(pair.now, THEIRS, OURS, &flipped);
            pair.take();
        }
    }
    assert!(pair.run_until(10 * SECOND, Pair::is_talking));
    pair.say("whole");
    pair.run(SECOND);
    assert_eq!(pair.texts(), ["whole"]);
}

#[test]
fn a_quiet_link_is_rarely_woken() {
    let mut pair = Pair::talking();
    pair.run(5 * SECOND);
    let woken = pair.woken;
    pair.run(60 * SECOND);
    let woken = pair.woken - woken;
    assert!((10..=60).contains(&woken), "{woken} times in a minute");
    // Nothing to wait for before the client's half is there, and never again after the end.
    let mut link = Pair::new(Habits::default()).link;
    let Output::Timeout(first) = link.poll() else {
        panic!("nothing has happened");
    };
    assert_eq!(first, link.clock + IDLE);
    link.close(link.clock);
    assert!(matches!(link.poll(), Output::Timeout(at) if at == link.clock + IDLE));
}

#[test]
fn time_never_goes_back() {
    let mut pair = Pair::talking();
    let now = pair.now;
    pair.link.handle_timeout(now - SECOND);
    pair.link.write_text(now - SECOND, "hello").expect("open");
    pair.take();
    assert!(matches!(pair.link.poll(), Output::Timeout(at) if at > now));
    assert!(pair.link.wake() > now);
    pair.link.write_text(now, "world").expect("open");
    assert_eq!(pair.link.wake(), now, "there is something to poll");
    pair.take();
    pair.run(SECOND);
    assert_eq!(pair.heard, [b"hello", b"world"]);
}

#[test]
fn addresses_of_ours_are_told_as_candidates() {
    let mut pair = Pair::new(Habits::default());
    let public = LocalAddress::ServerReflexive {
        address: SocketAddr::from(([203, 0, 113, 1], 10_000)),
        base: OURS,
    };
    let candidate = pair.link.add_local(public).expect("new");
    assert_eq!(candidate.address, public);
    let host = pair.candidate.priority;
    assert!(host > candidate.priority, "RFC 8445, 5.1.2");
    assert_eq!(pair.link.add_local(LocalAddress::Host(OURS)), None);
    let any = SocketAddr::from(([0, 0, 0, 0], 1));
    assert_eq!(pair.link.add_local(LocalAddress::Host(any)), None);
}

#[test]
fn fingerprints_are_of_one_certificate_only() {
    let certificate = Certificate::generate().expect("works here");
    let der = certificate.own().certificate;
    let fingerprint = certificate.fingerprint();
    assert_eq!(
        (fingerprint.hash.as_str(), fingerprint.bytes.len()),
        ("sha-256", 32)
    );
    assert_eq!(fingerprint.is_of(&der), Some(true));
    assert_eq!(fingerprint.is_of(&der[1..]), Some(false));
    let other = Certificate::generate().expect("works here");
    assert_eq!(other.fingerprint().is_of(&der), Some(false));
    // RFC 6234's sizes; "abc" hashed by SHA-1 is the RFC 3174's first example.
    let abc = [
        0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50, 0xc2,
        0x6c, 0x9c, 0xd0, 0xd8, 0x9d,
    ];
    let old = Fingerprint {
        hash: "SHA-1".to_owned(),
        bytes: abc.to_vec(),
    };
    assert_eq!(old.is_of(b"abc"), Some(true));
    for (hash, length) in [("sha-384", 48), ("sha-512", 64)] {
        let long = Fingerprint {
            hash: hash.to_owned(),
            bytes: vec![0; length],
        };
        assert_eq!(long.is_of(b"abc"), Some(false));
    }
    assert!(!format!("{certificate:?}").contains("private"));
}

/// The same seed, the same times at which flights are sent again.
#[test]
fn a_seed_fixes_the_timers() {
    let times = |seed| {
        let mut pair = Pair::new(Habits {
            is_dtls_client: false,
            seed: Some(seed),
            ..Habits::default()
        });
        pair.deaf = true;
        pair.connect();
        let start = pair.now;
        pair.run(12 * SECOND);
        let times = pair.dtls_from_us.iter().map(|at| *at - start);
        times.collect::<Vec<_>>()
    };
    let first = times(7);
    assert!(first.len() >= 5, "{first:?}");
    assert_eq!(first, times(7));
    assert_ne!(first, times(8));
}

/// How the peer behaves.
#[derive(Clone)]
struct Habits {
    is_dtls_client: bool,
    is_controlling: bool,
    /// Of the channels that it opens.
    labels: Vec<&'static str>,
    certificate: Option<DtlsCert>,
    seed: Option<u64>,
}

impl Default for Habits {
    fn default() -> Habits {
        Habits {
            is_dtls_client: true,
            is_controlling: false,
            labels: vec![LABEL],
            certificate: None,
            seed: None,
        }
    }
}

struct Parcel {
    at: Instant,
    to_us: bool,
    from: SocketAddr,
    to: SocketAddr,
    data: Vec<u8>,
}

/// A link, a peer and the network between them.
struct Pair {
    now: Instant,
    link: Link,
    candidate: LocalCandidate,
    ours: IceCredentials,
    rtc: Rtc,
    is_dtls_client: bool,
    rtc_wake: Instant,
    wire: Vec<Parcel>,
    /// Where we see the peer; it does not know of it.
    seen_at: SocketAddr,
    /// Nothing that we send arrives but checks and their answers, and not even these when the
    /// peer was seen elsewhere.
    deaf: bool,
    /// Nothing of the peer's DTLS arrives.
    is_mute: bool,
    lose_next: bool,
    /// To us or to the peer, which datagram of DTLS.
    lose_dtls: Option<(bool, usize)>,
    lose_stun: Option<usize>,
    loss_percent: u32,
    dice: u32,
    events: Vec<Event>,
    channel: Option<ChannelId>,
    opened: Vec<ChannelId>,
    heard: Vec<Vec<u8>>,
    is_closed: bool,
    /// Datagrams that we have sent, and times that we were woken.
    sent: usize,
    woken: usize,
    dtls_to_us: Vec<Vec<u8>>,
    dtls_from_us: Vec<Instant>,
    last_check: Option<Vec<u8>>,
    stale_check: Option<Vec<u8>>,
}

impl Pair {
    fn new(habits: Habits) -> Pair {
        let now = Instant::now();
        let certificate = Certificate::generate().expect("works here");
        let ours = credentials("ours");
        let settings = Settings {
            dtls_timer_seed: Some(habits.seed.unwrap_or(1)),
        };
        let mut link = Link::new(&certificate, ours.clone(), settings, now);
        let candidate = link.add_local(LocalAddress::Host(OURS)).expect("new");
        let mut config = RtcConfig::new().set_rtp_mode(true);
        if let Some(certificate) = habits.certificate {
            config = config.set_dtls_cert(certificate);
        }
        let mut rtc = config.build(now);
        rtc.add_local_candidate(theirs(THEIRS));
        rtc.add_remote_candidate(theirs(OURS));
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(habits.is_controlling);
        direct.set_remote_ice_credentials(their_creds(&ours));
        let fingerprint = certificate.fingerprint();
        direct.set_remote_fingerprint(TheirFingerprint {
            hash_func: fingerprint.hash.clone(),
            bytes: fingerprint.bytes.clone(),
        });
        direct.start_dtls(habits.is_dtls_client).expect("once");
        direct.start_sctp(true);
        let mut pair = Pair {
            now,
            link,
            candidate,
            ours,
            rtc,
            is_dtls_client: habits.is_dtls_client,
            rtc_wake: now,
            wire: Vec::new(),
            seen_at: THEIRS,
            deaf: false,
            is_mute: false,
            lose_next: false,
            lose_dtls: None,
            lose_stun: None,
            loss_percent: 0,
            dice: 1,
            events: Vec::new(),
            channel: None,
            opened: Vec::new(),
            heard: Vec::new(),
            is_closed: false,
            sent: 0,
            woken: 0,
            dtls_to_us: Vec::new(),
            dtls_from_us: Vec::new(),
            last_check: None,
            stale_check: None,
        };
        for label in habits.labels {
            pair.open(label, "");
        }
        pair
    }

    /// With the data channel open.
    fn talking() -> Pair {
        let mut pair = Pair::new(Habits::default());
        pair.connect();
        assert!(pair.run_until(2 * SECOND, Pair::is_talking));
        pair
    }

    fn remote(&mut self) -> Remote {
        let direct = self.rtc.direct_api();
        let creds = direct.local_ice_credentials();
        let fingerprint = direct.local_dtls_fingerprint();
        Remote {
            ice: IceCredentials {
                ufrag: creds.ufrag,
                pwd: creds.pass,
            },
            fingerprint: Fingerprint {
                hash: fingerprint.hash_func.clone(),
                bytes: fingerprint.bytes.clone(),
            },
            is_dtls_client: self.is_dtls_client,
            addresses: Vec::new(),
        }
    }

    fn connect(&mut self) {
        let remote = self.remote();
        self.link.connect(self.now, remote, true);
        self.take();
    }

    /// New credentials on both sides; the peer is at this address from now on.
    fn restart(&mut self, address: SocketAddr) {
        self.stale_check = self.last_check.clone();
        let tag = format!("again{}", address.port());
        self.ours = credentials(&tag);
        let theirs = credentials(&format!("their{tag}"));
        let mut direct = self.rtc.direct_api();
        direct.set_local_ice_credentials(their_creds(&theirs));
        direct.set_remote_ice_credentials(their_creds(&self.ours));
        self.seen_at = address;
        let addresses = [address];
        self.link
            .restart(self.now, self.ours.clone(), theirs, &addresses);
        if address != THEIRS {
            self.link.give_up_address(self.now, THEIRS);
        }
        self.poll_rtc();
        self.take();
    }

    fn open(&mut self, label: &str, protocol: &str) {
        self.rtc.direct_api().create_data_channel(ChannelConfig {
            label: label.to_owned(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
            protocol: protocol.to_owned(),
        });
        self.poll_rtc();
    }

    fn say(&mut self, text: &str) {
        let id = self.channel.expect("open");
        let mut channel = self.rtc.channel(id).expect("open");
        assert!(channel.write(false, text.as_bytes()).expect("room"));
        self.poll_rtc();
    }

    fn is_up(&self) -> bool {
        self.link.is_connected() && self.rtc.is_connected()
    }

    fn is_talking(&self) -> bool {
        self.link.has_channel() && self.channel.is_some()
    }

    fn event(&self, is_it: impl Fn(&Event) -> bool) -> Option<&Event> {
        self.events.iter().find(|event| is_it(event))
    }

    fn count(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| is_it(event)).count()
    }

    fn texts(&self) -> Vec<&str> {
        let texts = self.events.iter().filter_map(|event| match event {
            Event::ChannelText(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Whether it became true in this time.
    fn run_until(&mut self, time: Duration, is_done: impl Fn(&Pair) -> bool) -> bool {
        let end = self.now + time;
        loop {
            if is_done(self) {
                return true;
            }
            let wake = self.take();
            let parcel = self.wire.iter().map(|parcel| parcel.at).min();
            let next = parcel.into_iter().chain([wake, self.rtc_wake, end]).min();
            self.now = self.now.max(next.expect("an end"));
            if self.now >= end {
                return is_done(self);
            }
            if wake <= self.now {
                self.woken += 1;
                self.link.handle_timeout(self.now);
                self.take();
            }
            if self.rtc_wake <= self.now {
                self.poll_rtc();
            }
            let now = self.now;
            let due: Vec<Parcel> = self
                .wire
                .extract_if(.., |parcel| parcel.at <= now)
                .collect();
            for parcel in due {
                self.deliver(parcel);
            }
        }
    }

    fn deliver(&mut self, parcel: Parcel) {
        let Parcel { from, to, data, .. } = &parcel;
        let is_dtls = (20..64).contains(&data[0]);
        if parcel.to_us {
            if is_dtls && self.is_mute {
                return;
            }
            if is_dtls {
                self.dtls_to_us.push(data.clone());
                self.link.handle_dtls(self.now, *from, data);
            } else if data[0] < 2 {
                if data[..2] == [0, 1] {
                    self.last_check = Some(data.clone());
                }
                self.link.handle_stun(self.now, *from, *to, data);
            }
            self.take();
        } else if *to == self.seen_at && !(self.deaf && (is_dtls || self.seen_at != THEIRS)) {
            let receive = Receive::new(TheirProtocol::Udp, *from, THEIRS, data);
            let input = Input::Receive(self.now, receive.expect("readable"));
            self.rtc.handle_input(input).expect("understood");
            self.poll_rtc();
        }
    }

    /// Takes everything out of the link; when it wants to be woken.
    fn take(&mut self) -> Instant {
        loop {
            match self.link.poll() {
                Output::Timeout(wake) => return wake,
                Output::Event(event) => self.events.push(event),
                Output::Transmit(transmit) => {
                    self.sent += 1;
                    assert!(transmit.contents.len() <= 1_200, "it passes every network");
                    if (20..64).contains(&transmit.contents[0]) {
                        self.dtls_from_us.push(self.now);
                    }
                    if !std::mem::take(&mut self.lose_next) {
                        let Transmit {
                            source,
                            destination,
                            contents,
                        } = transmit;
                        self.post(false, source, destination, contents);
                    }
                }
            }
        }
    }

    fn poll_rtc(&mut self) {
        self.rtc
            .handle_input(Input::Timeout(self.now))
            .expect("alive");
        loop {
            let Ok(output) = self.rtc.poll_output() else {
                self.rtc_wake = self.now + 60 * SECOND;
                return;
            };
            match output {
                TheirOutput::Timeout(wake) => {
                    self.rtc_wake = wake.max(self.now + Duration::from_millis(1));
                    return;
                }
                TheirOutput::Transmit(transmit) => {
                    let contents: Vec<u8> = transmit.contents.into();
                    self.post(true, self.seen_at, transmit.destination, contents);
                }
                TheirOutput::Event(event) => match event {
                    TheirEvent::ChannelOpen(id, label) => {
                        if label == LABEL || label == "other" {
                            self.channel = Some(id);
                        }
                        self.opened.push(id);
                    }
                    TheirEvent::ChannelData(data) => self.heard.push(data.data),
                    TheirEvent::Closed => self.is_closed = true,
                    _ => {}
                },
            }
        }
    }

    fn post(&mut self, to_us: bool, from: SocketAddr, to: SocketAddr, data: Vec<u8>) {
        if (20..64).contains(&data[0])
            && let Some((way, left)) = &mut self.lose_dtls
            && *way == to_us
        {
            if *left == 0 {
                self.lose_dtls = None;
                return;
            }
            *left -= 1;
        }
        if data[0] < 2
            && let Some(left) = &mut self.lose_stun
        {
            if *left == 0 {
                self.lose_stun = None;
                return;
            }
            *left -= 1;
        }
        // Numerical Recipes' generator; its high bits are random enough.
        self.dice = self
            .dice
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        if (self.dice >> 16) % 100 < self.loss_percent {
            return;
        }
        self.wire.push(Parcel {
            at: self.now + DELAY,
            to_us,
            from,
            to,
            data,
        });
    }
}

fn is_room(event: &Event) -> bool {
    matches!(event, Event::ChannelRoom)
}

fn theirs(address: SocketAddr) -> str0m::Candidate {
    str0m::Candidate::host(address, "udp").expect("an address")
}

fn their_creds(credentials: &IceCredentials) -> str0m::ice::IceCreds {
    str0m::ice::IceCreds {
        ufrag: credentials.ufrag.clone(),
        pass: credentials.pwd.clone(),
    }
}

fn credentials(tag: &str) -> IceCredentials {
    IceCredentials {
        ufrag: format!("{tag}fragment"),
        pwd: format!("{tag}passwordpasswordpassword"),
    }
}

/// With names of four thousand bytes.
fn large_certificate() -> DtlsCert {
    let names: Vec<String> = (0..120)
        .map(|number| format!("a-rather-long-name-{number:03}.example.org"))
        .collect();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("works here");
    let params = rcgen::CertificateParams::new(names).expect("names");
    let certificate = params.self_signed(&key).expect("works here");
    let certificate = certificate.der().to_vec();
    assert!(certificate.len() > 4_000);
    DtlsCert {
        certificate,
        private_key: key.serialize_der(),
    }
}

const DELAY: Duration = Duration::from_millis(20);
const OURS: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)),
    10_000,
);
const THEIRS: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 5)),
    5_005,
);
