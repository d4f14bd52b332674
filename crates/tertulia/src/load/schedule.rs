//! When who joins.

use std::time::Duration;

/// The moments, from the beginning, at which somebody joins a room (by index). Rooms are filled
/// one after the other, and opened no faster than a server lets one address open them.
pub(super) fn joins(
    rooms: usize,
    participants: usize,
    per_second: f64,
    rooms_per_minute: u32,
) -> Vec<(Duration, usize)> {
    let step = Duration::from_secs_f64(1.0 / per_second);
    let room_step = Duration::from_secs(60) / rooms_per_minute;
    let mut at = Duration::ZERO;
    let mut joins = Vec::new();
    for room in 0..rooms {
        // What a minute allows may come at once.
        let later = room.saturating_sub(rooms_per_minute as usize - 1);
        at = at.max(room_step * u32::try_from(later).unwrap_or(u32::MAX));
        for _ in 0..participants {
            joins.push((at, room));
            at += step;
        }
    }
    joins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_after_the_other() {
        let millis = Duration::from_millis;
        let expected = [(0, 0), (100, 0), (200, 1), (300, 1)];
        let expected = expected.map(|(at, room)| (millis(at), room));
        assert_eq!(joins(2, 2, 10.0, 25), expected);
    }

    #[test]
    fn rooms_are_opened_no_faster_than_allowed() {
        let joins = joins(100, 1, 1000.0, 30);
        for start in 0..240 {
            let (from, to) = (Duration::from_secs(start), Duration::from_secs(start + 60));
            let opened = joins
                .iter()
                .filter(|(at, _)| (from..to).contains(at))
                .count();
            assert!(opened <= 60, "{opened} from {start} s");
        }
        let at = |room: usize| joins[room].0.as_secs();
        assert_eq!((at(29), at(30), at(89)), (0, 2, 120));
    }
}
