use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tertulia_conference::Entry;
use tertulia_model::RoomJid;

/// What survives a crash of a node: the journals of its meetings, as crate `store` keeps them. A
/// change is on it at once and for good.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    journals: BTreeMap<RoomJid, Kept>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    entries: BTreeMap<String, String>,
    /// When the meeting was over; None while it goes on, or was cut off.
    ended: Option<Instant>,
}

impl Disk {
    /// What is kept of a meeting in this room, and kept on from now on.
    pub(super) fn load(
        &mut self,
        room: &RoomJid,
        now: Instant,
        linger: Duration,
    ) -> BTreeMap<String, String> {
        let kept = self.journals.entry(room.clone()).or_default();
        if kept.ended.take().is_some_and(|ended| ended + linger <= now) {
            kept.entries.clear();
        }
        kept.entries.clone()
    }

    pub(super) fn write(&mut self, room: &RoomJid, entry: Entry) {
        let kept = self.journals.entry(room.clone()).or_default();
        match entry.value {
            Some(value) => kept.entries.insert(entry.key, value),
            None => kept.entries.remove(&entry.key),
        };
    }

    pub(super) fn forget(&mut self, room: &RoomJid) {
        self.journals.remove(room);
    }

    /// The meeting is over; what is kept lingers.
    pub(super) fn ended(&mut self, room: &RoomJid, now: Instant) {
        if let Some(kept) = self.journals.get_mut(room) {
            kept.ended = Some(now);
        }
    }

    /// Breakout rooms that meetings have, each with its main room.
    pub(super) fn breakout_rooms(&self) -> BTreeMap<RoomJid, RoomJid> {
        let of_meeting = |(main, kept): (&RoomJid, &Kept)| {
            let rooms = kept.entries.keys().filter_map(|key| {
                let jid: jid::BareJid = key.strip_prefix("breakout/")?.parse().ok()?;
                Some((RoomJid::new(jid)?, main.clone()))
            });
            rooms.collect::<Vec<_>>()
        };
        self.journals.iter().flat_map(of_meeting).collect()
    }

    /// How many changes are kept, all meetings together.
    pub fn entries(&self) -> usize {
        self.journals.values().map(|kept| kept.entries.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_lingers_and_is_forgotten_on_purpose() {
        let room = RoomJid::new("tea@conference.localhost".parse().unwrap()).unwrap();
        let (mut disk, now, linger) = (Disk::default(), Instant::now(), Duration::from_secs(60));
        let entry = |key: &str, value: Option<&str>| Entry {
            key: key.to_owned(),
            value: value.map(str::to_owned),
        };
        disk.write(&room, entry("breakout/x@breakout.localhost", Some("Group")));
        disk.write(&room, entry("password", Some("rose")));
        disk.write(&room, entry("password", None));
        assert_eq!(disk.entries(), 1);
        let breakouts: Vec<String> = disk
            .breakout_rooms()
            .keys()
            .map(|j| j.to_string())
            .collect();
        assert_eq!(breakouts, ["x@breakout.localhost"]);
        disk.ended(&room, now);
        let load = |disk: &mut Disk, later| disk.load(&room, now + later, linger).len();
        assert_eq!(load(&mut disk, linger / 2), 1);
        // It went on meanwhile, and ends again.
        disk.ended(&room, now + linger);
        assert_eq!(load(&mut disk, linger * 2), 0);
        disk.write(&room, entry("password", Some("rose")));
        disk.forget(&room);
        assert_eq!(disk.entries(), 0);
    }
}
