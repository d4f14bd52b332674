//! Who has which standing, whether inside or not: by identity, so that it outlives a visit, and
//! for the whole family of rooms.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use tertulia_model::jid::BareJid;
use tertulia_model::{DeviceId, SessionId, SessionProfile};
use tertulia_room::Occupant;
use tertulia_stanza::muc::Affiliation;

use crate::journal::Journal;

/// By what somebody is known again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    /// Somebody who logged in.
    Account(BareJid),
    /// The device of a guest (DESIGN 10): all that is left of a guest after a crash.
    Device(DeviceId),
    /// A guest's name. It is drawn for one session and nobody's after it.
    Guest(BareJid),
}

impl Identity {
    /// All that somebody is known by.
    pub(crate) fn all_of(profile: &SessionProfile, device: Option<DeviceId>) -> Vec<Identity> {
        if let Some(account) = &profile.account {
            return vec![Identity::Account(account.clone())];
        }
        let guest = Identity::Guest(profile.jid.to_bare());
        device
            .map(Identity::Device)
            .into_iter()
            .chain([guest])
            .collect()
    }

    /// By what somebody is known for longest.
    pub(crate) fn strongest(profile: &SessionProfile, device: Option<DeviceId>) -> Identity {
        match (&profile.account, device) {
            (Some(account), _) => Identity::Account(account.clone()),
            (None, Some(device)) => Identity::Device(device),
            (None, None) => Identity::Guest(profile.jid.to_bare()),
        }
    }

    /// By what an occupant is known for longest.
    pub(crate) fn of(occupant: &Occupant) -> Identity {
        Identity::strongest(occupant.profile(), occupant.device())
    }

    /// Whether somebody may come back by it in another session, or after a crash. What is not so
    /// is never in the journal: each page that a guest opens would leave an entry there, and in a
    /// long meeting they would be more than it may have.
    pub(crate) fn outlives_session(&self) -> bool {
        !matches!(self, Identity::Guest(_))
    }

    fn bare_jid(&self) -> Option<&BareJid> {
        match self {
            Identity::Account(jid) | Identity::Guest(jid) => Some(jid),
            Identity::Device(_) => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Account(jid) => write!(f, "account:{jid}"),
            Identity::Device(device) => write!(f, "device:{device}"),
            Identity::Guest(jid) => write!(f, "guest:{jid}"),
        }
    }
}

impl FromStr for Identity {
    type Err = ();

    fn from_str(text: &str) -> Result<Identity, ()> {
        let (kind, value) = text.split_once(':').ok_or(())?;
        match kind {
            "account" => value.parse().map(Identity::Account).map_err(drop),
            "guest" => value.parse().map(Identity::Guest).map_err(drop),
            "device" => value.parse().map(Identity::Device).map_err(drop),
            _ => Err(()),
        }
    }
}

/// What people decided about each other, and what follows from how they came.
pub(crate) struct Standings {
    /// By the will of a moderator. Also says who has been put back to none: such a one is elected
    /// after all others.
    granted: BTreeMap<Identity, Affiliation>,
    /// By a rule: who came first, knew the password, was there when the lobby opened. As strangers
    /// can make as many of these as they have devices, the oldest make room for new ones.
    noted: BTreeMap<Identity, Noted>,
    /// Of each of both.
    count_max: usize,
    next_note: u64,
    /// The guests who have come to the meeting and whose sessions live.
    guests: BTreeMap<SessionId, BareJid>,
}

#[derive(Clone, Copy)]
struct Noted {
    affiliation: Affiliation,
    /// Counts up.
    at: u64,
}

impl Standings {
    /// Before anything was said.
    pub(crate) fn new(count_max: usize) -> Standings {
        Standings {
            granted: BTreeMap::new(),
            noted: BTreeMap::new(),
            count_max,
            next_note: 0,
            guests: BTreeMap::new(),
        }
    }

    /// The standings of a meeting that was cut off.
    pub(crate) fn restored(journal: &mut Journal, count_max: usize) -> Standings {
        let mut standings = Standings::new(count_max);
        for (identity, affiliation) in read(journal, GRANTED) {
            if identity.outlives_session() {
                standings.granted.insert(identity, affiliation);
            } else {
                // Former versions kept the names of guests, whose sessions are over by now.
                journal.remove(&format!("{GRANTED}{identity}"));
            }
        }
        for (identity, affiliation) in read(journal, NOTED) {
            standings.note(journal, [identity], affiliation);
        }
        standings
    }

    /// Somebody comes whose end will be told.
    pub(crate) fn meet(&mut self, profile: &SessionProfile) {
        if profile.account.is_none() {
            self.guests.insert(profile.id, profile.jid.to_bare());
        }
    }

    /// A session is over. What was said of its guest under a name that nobody has any more is
    /// forgotten; that name.
    pub(crate) fn end(&mut self, session: SessionId) -> Option<Identity> {
        let name = self.guests.remove(&session)?;
        if self.guests.values().any(|other| *other == name) {
            return None;
        }
        let guest = Identity::Guest(name);
        self.granted.remove(&guest);
        self.noted.remove(&guest);
        Some(guest)
    }

    /// The standing of somebody, if anything was ever said about it.
    pub(crate) fn of(
        &self,
        profile: &SessionProfile,
        device: Option<DeviceId>,
    ) -> Option<Affiliation> {
        let identities = Identity::all_of(profile, device);
        let known = identities.iter().filter_map(|i| self.get(i));
        // Who is kept out is kept out by whatever it is known; otherwise the device knows best,
        // since it is the first.
        let mut known = known.collect::<Vec<_>>().into_iter();
        let first = known.next()?;
        if known.any(|affiliation| affiliation == Affiliation::Outcast) {
            return Some(Affiliation::Outcast);
        }
        Some(first)
    }

    /// The standing of somebody who may be elsewhere.
    pub(crate) fn of_absent(&self, who: &BareJid) -> Option<Affiliation> {
        let mut known = self.all();
        let found = known.find(|(identity, _)| identity.bare_jid() == Some(who));
        found.map(|(_, affiliation)| affiliation)
    }

    /// Everybody with that standing who is known by an address.
    pub(crate) fn with(&self, affiliation: Affiliation) -> Vec<BareJid> {
        let with = self.all().filter(|(_, a)| *a == affiliation);
        with.filter_map(|(identity, _)| identity.bare_jid().cloned())
            .collect()
    }

    /// Whether anybody at all has that standing.
    pub(crate) fn has(&self, affiliation: Affiliation) -> bool {
        self.all().any(|(_, a)| a == affiliation)
    }

    /// Whether a moderator may say so much more.
    pub(crate) fn has_room_for(&self, grants: usize) -> bool {
        self.granted.len() + grants <= self.count_max
    }

    /// A moderator wants it so.
    pub(crate) fn grant(
        &mut self,
        journal: &mut Journal,
        who: impl IntoIterator<Item = Identity>,
        affiliation: Affiliation,
    ) {
        for identity in who {
            self.forget(journal, [identity.clone()]);
            keep(journal, GRANTED, &identity, affiliation);
            self.granted.insert(identity, affiliation);
        }
    }

    /// It follows from a rule.
    pub(crate) fn note(
        &mut self,
        journal: &mut Journal,
        who: impl IntoIterator<Item = Identity>,
        affiliation: Affiliation,
    ) {
        for identity in who {
            if let Some(granted) = self.granted.get_mut(&identity) {
                *granted = affiliation;
                keep(journal, GRANTED, &identity, affiliation);
                continue;
            }
            let is_new = !self.noted.contains_key(&identity);
            if is_new && !self.make_room(journal, affiliation) {
                continue;
            }
            keep(journal, NOTED, &identity, affiliation);
            let at = self.next_note;
            self.next_note += 1;
            self.noted.insert(identity, Noted { affiliation, at });
        }
    }

    /// Forgets everything that was said. The caller empties the journal.
    pub(crate) fn clear(&mut self) {
        self.granted.clear();
        self.noted.clear();
    }

    /// Forgets what was said: whoever comes back is anybody.
    pub(crate) fn forget(
        &mut self,
        journal: &mut Journal,
        who: impl IntoIterator<Item = Identity>,
    ) {
        for identity in who {
            for prefix in [GRANTED, NOTED] {
                journal.remove(&format!("{prefix}{identity}"));
            }
            self.granted.remove(&identity);
            self.noted.remove(&identity);
        }
    }

    fn get(&self, who: &Identity) -> Option<Affiliation> {
        let granted = self.granted.get(who).copied();
        granted.or_else(|| Some(self.noted.get(who)?.affiliation))
    }

    fn all(&self) -> impl Iterator<Item = (&Identity, Affiliation)> {
        let granted = self.granted.iter().map(|(who, a)| (who, *a));
        granted.chain(self.noted.iter().map(|(who, n)| (who, n.affiliation)))
    }

    /// Whether there is room for one more, maybe in place of another: the oldest of the lowest that
    /// is not above it. Members come and go and push no owner out.
    fn make_room(&mut self, journal: &mut Journal, affiliation: Affiliation) -> bool {
        if self.noted.len() < self.count_max {
            return true;
        }
        let lower = self
            .noted
            .iter()
            .filter(|(_, n)| n.affiliation <= affiliation);
        let oldest = lower.min_by_key(|(_, n)| (n.affiliation, n.at));
        let oldest = oldest.map(|(who, _)| who.clone());
        if let Some(who) = &oldest {
            self.forget(journal, [who.clone()]);
        }
        oldest.is_some()
    }
}

/// What the journal knows under a prefix and can be understood.
fn read(journal: &Journal, prefix: &str) -> Vec<(Identity, Affiliation)> {
    let read = |(key, value): (&str, &str)| {
        let identity: Identity = key.parse().ok()?;
        Some((identity, Affiliation::from_name(value)?))
    };
    journal.under(prefix).filter_map(read).collect()
}

fn keep(journal: &mut Journal, prefix: &str, who: &Identity, affiliation: Affiliation) {
    if who.outlives_session() {
        journal.set(&format!("{prefix}{who}"), affiliation.as_str());
    }
}

const GRANTED: &str = "affiliation/";
const NOTED: &str = "noted/";

#[cfg(test)]
mod tests {
    use super::*;

    impl Standings {
        fn len(&self) -> usize {
            self.all().count()
        }
    }

    fn profile(name: &str) -> SessionProfile {
        SessionProfile {
            id: SessionId(1),
            jid: format!("{name}@localhost/r").parse().unwrap(),
            websocket_base: String::new(),
            is_loopback: false,
            room: None,
            account: None,
            address: std::net::Ipv4Addr::LOCALHOST.into(),
        }
    }

    #[test]
    fn a_guest_is_known_by_its_device_after_all_else_is_gone() {
        let (mut journal, mut standings) = (Journal::default(), Standings::new(9));
        let device = Some(DeviceId(7));
        let ann = Identity::all_of(&profile("ann"), device);
        standings.grant(&mut journal, ann.clone(), Affiliation::Owner);
        let found = standings.of(&profile("ann"), None);
        assert_eq!(found, Some(Affiliation::Owner), "while it is there");
        let again = Standings::restored(&mut journal, 9);
        assert_eq!(again.of(&profile("new"), device), Some(Affiliation::Owner));
        assert_eq!(again.of(&profile("ann"), None), None);
        assert_eq!(again.of(&profile("new"), Some(DeviceId(8))), None);
        standings.grant(&mut journal, ann.clone(), Affiliation::None);
        let again = Standings::restored(&mut journal, 9);
        assert_eq!(again.of(&profile("new"), device), Some(Affiliation::None));
        standings.forget(&mut journal, ann);
        assert_eq!(Standings::restored(&mut journal, 9).len(), 0);
    }

    #[test]
    fn a_guests_name_ends_with_its_last_session() {
        let (mut journal, mut standings) = (Journal::default(), Standings::new(9));
        let again = SessionProfile {
            id: SessionId(2),
            ..profile("ann")
        };
        for profile in [&profile("ann"), &again] {
            standings.meet(profile);
            let all = Identity::all_of(profile, Some(DeviceId(7)));
            standings.grant(&mut journal, all, Affiliation::Owner);
        }
        assert_eq!(standings.len(), 2);
        assert_eq!(standings.end(SessionId(1)), None, "the other one has it");
        assert_eq!(standings.len(), 2);
        let gone = standings.end(SessionId(2)).unwrap();
        assert_eq!(gone.to_string(), "guest:ann@localhost");
        assert_eq!(standings.end(SessionId(2)), None);
        let device = Some(DeviceId(7));
        assert_eq!(
            (standings.len(), standings.of(&profile("new"), device)),
            (1, Some(Affiliation::Owner))
        );
        assert_eq!(journal.under(GRANTED).count(), 1);
    }

    #[test]
    fn names_that_a_former_version_kept_are_thrown_away() {
        let mut journal = Journal::new(BTreeMap::from([
            (format!("{GRANTED}guest:ann@localhost"), "owner".to_owned()),
            (
                format!("{GRANTED}account:bob@localhost"),
                "owner".to_owned(),
            ),
        ]));
        assert_eq!(Standings::restored(&mut journal, 9).len(), 1);
        let change = journal.poll().unwrap();
        assert!(change.key.ends_with("guest:ann@localhost") && change.value.is_none());
        assert_eq!(journal.poll(), None);
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let mut journal = Journal::default();
        for key in ["nobody", "device:xyz", "guest:@", "account:a@b@c"] {
            journal.set(&format!("{GRANTED}{key}"), "owner");
        }
        journal.set(
            &format!("{GRANTED}{}", Identity::Device(DeviceId(1))),
            "king",
        );
        assert_eq!(Standings::restored(&mut journal, 9).len(), 0);
    }

    #[test]
    fn strangers_push_out_the_oldest_stranger_and_nobody_else() {
        let (mut journal, mut standings) = (Journal::default(), Standings::new(3));
        let device = |n| [Identity::Device(DeviceId(n))];
        let of = |standings: &Standings, n| standings.of(&profile("new"), Some(DeviceId(n)));
        standings.note(&mut journal, device(1), Affiliation::Owner);
        standings.grant(&mut journal, device(2), Affiliation::Outcast);
        for n in 10..100 {
            standings.note(&mut journal, device(n), Affiliation::Member);
            // Who comes back is not old.
            standings.note(&mut journal, device(10), Affiliation::Member);
        }
        assert_eq!(standings.len(), 4);
        assert_eq!(of(&standings, 1), Some(Affiliation::Owner));
        assert_eq!(of(&standings, 2), Some(Affiliation::Outcast));
        for (n, expected) in [(10, Some(Affiliation::Member)), (98, None)] {
            assert_eq!(of(&standings, n), expected, "{n}");
        }
        assert_eq!(journal.under("").count(), 4);
        let again = Standings::restored(&mut journal, 3);
        assert_eq!(again.len(), 4);
        assert_eq!(of(&again, 1), Some(Affiliation::Owner));

        for n in 200..203 {
            standings.note(&mut journal, device(n), Affiliation::Owner);
        }
        standings.note(&mut journal, device(300), Affiliation::Member);
        assert_eq!(of(&standings, 300), None, "nobody is below it");
        assert!(standings.has_room_for(2) && !standings.has_room_for(3));
    }

    #[test]
    fn what_a_rule_gives_to_whom_it_was_granted_before_takes_no_other_place() {
        let (mut journal, mut standings) = (Journal::default(), Standings::new(1));
        let device = Some(DeviceId(7));
        let who = || [Identity::Device(DeviceId(7))];
        standings.note(&mut journal, who(), Affiliation::Owner);
        standings.grant(&mut journal, who(), Affiliation::None);
        assert_eq!(standings.len(), 1);
        assert_eq!(
            standings.of(&profile("ann"), device),
            Some(Affiliation::None)
        );
        standings.note(&mut journal, who(), Affiliation::Owner);
        assert_eq!((standings.len(), standings.has_room_for(1)), (1, false));
        assert_eq!(Standings::restored(&mut journal, 1).len(), 1);
    }
}
