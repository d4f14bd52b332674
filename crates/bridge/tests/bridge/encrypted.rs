//! End-to-end encryption: what the bridge can't read it forwards by what Jitsi leaves in the clear,
//! payload descriptors and the first bytes of each frame.

use std::time::Duration;

use tertulia_model::bridge::EndpointOffer;

use crate::room::{OFFER, Room};
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn encrypted_video_is_switched_and_rewritten_like_any_other() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    let rewriting = EndpointOffer {
        has_ssrc_rewriting: true,
        ..OFFER
    };
    let r = room.join_with("r", rewriting, |_| {});
    room.run(SECOND);
    room.clients[0].film();
    room.clients[0].video.as_mut().unwrap().is_encrypted = true;
    for height in [180, 720, 180, 360] {
        room.ask(1, height);
        room.ask(r, height);
        room.run(5 * SECOND);
    }
    let plain = room.clients[1].stream(room.clients[0].video_ssrc());
    let slot = room.clients[r].ssrc_of("a-v0").unwrap();
    let rewritten = room.clients[r].stream(slot);
    for packets in [plain, rewritten] {
        assert!(packets.len() > 1_000, "{}", packets.len());
        assert!(packets[0].is_keyframe_start());
        let mut seen = vec![packets[0].stamp().0];
        for pair in packets.windows(2) {
            let (a, b) = (pair[0].stamp(), pair[1].stamp());
            assert!(pair[1].number > pair[0].number);
            if a.0 != b.0 {
                assert!(pair[1].is_keyframe_start());
                seen.push(b.0);
            }
        }
        assert_eq!(seen.last(), Some(&1));
        assert!(seen.contains(&0) && seen.contains(&2), "{seen:?}");
        // Nothing behind the descriptor was touched.
        let noise = |packet: &&crate::room::client::Received| packet.stamp().2 > 0;
        for packet in packets.iter().filter(noise) {
            let (_, frame, part, _) = packet.stamp();
            let first = (frame * 31 + u64::from(part) * 7 + 1)
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            assert_eq!(packet.payload[6], (first >> 56) as u8);
        }
    }
    assert_eq!(room.statistics().dropped.unused_rtp, 0);
}
