//! How a client goes on from other addresses: by itself, or with an ICE restart in place (RFC 8445,
//! 2.4), which gives both sides new credentials while DTLS, SRTP, the data channel and all that is
//! known of the client stay.
//!
//! ICE knows one pair of credentials at a time, so the former ones are valid until the client's
//! answer is there; its first checks with the new ones may find nobody, and are repeated within
//! milliseconds. From then on media goes where it went until a check with the new credentials has
//! shown a new path. The former addresses are given up as soon as one comes from another address:
//! ICE would prefer a dead path to a new one for some twenty seconds. Without a restart that holds
//! for the address that media goes to, once nothing comes from there and media comes from elsewhere.
//!
//! Media that comes from an unknown address shows that the client is there by what it is sealed
//! with: its NAT has forgotten it, and its next check may be seconds away. Who forwards a packet
//! that it has caught can look the same, so that nothing is sent there until our own check, which
//! leaves at once, has been answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tertulia_model::bridge::{Candidate, IceCredentials};

use crate::seat::Seat;

/// What an endpoint's restarts need to know.
pub(crate) struct Restart {
    /// Where the client can reach us.
    candidates: Vec<Candidate>,
    /// Credentials that it was offered and has not answered.
    offered: Option<Offered>,
    /// Its addresses from before the last restart, as long as they have not been used since, and
    /// those that were given up.
    former: Formers,
    answered: Option<Instant>,
}

struct Offered {
    tag: u32,
    ice: IceCredentials,
}

struct Former {
    address: SocketAddr,
    is_given_up: bool,
}

/// At most [`FORMER_MAX`] of them, the latest.
#[derive(Default)]
struct Formers(Vec<Former>);

impl Formers {
    /// In doubt, unless it is in the list.
    fn doubt(&mut self, address: SocketAddr) {
        if self.0.iter().all(|old| old.address != address) {
            self.0.push(Former {
                address,
                is_given_up: false,
            });
            let excess = self.0.len().saturating_sub(FORMER_MAX);
            self.0.drain(..excess);
        }
    }

    /// Whether that is news.
    fn give_up(&mut self, address: SocketAddr) -> bool {
        self.doubt(address);
        let known = self.0.iter_mut().find(|old| old.address == address);
        known.is_some_and(|old| !std::mem::replace(&mut old.is_given_up, true))
    }

    /// The address is used. Whether it had been given up; None if it is not in the list.
    fn confirm(&mut self, address: SocketAddr) -> Option<bool> {
        let place = self.0.iter().position(|old| old.address == address)?;
        Some(self.0.remove(place).is_given_up)
    }

    /// Whether the address had been given up; it is not any more.
    fn readmit(&mut self, address: SocketAddr) -> bool {
        let mut given_up = self.0.iter().filter(|old| old.is_given_up);
        given_up.any(|old| old.address == address) && self.confirm(address) == Some(true)
    }

    /// Those of the last restart that were not given up yet, which they are now.
    fn give_up_rest(&mut self) -> impl Iterator<Item = SocketAddr> {
        let rest = self.0.iter_mut().filter(|old| !old.is_given_up);
        rest.map(|old| {
            old.is_given_up = true;
            old.address
        })
    }
}

impl Restart {
    pub(crate) fn new(candidates: Vec<Candidate>) -> Restart {
        Restart {
            candidates,
            offered: None,
            former: Formers::default(),
            answered: None,
        }
    }

    /// Whether an address is still to be shown to be of use after a restart.
    pub(crate) fn is_in_doubt(&self) -> bool {
        !self.former.0.is_empty()
    }
}

impl Seat {
    /// Our half of a restarted transport. Asked again before the client has answered, it is the
    /// same one.
    pub(crate) fn offer_restart(
        &mut self,
        tag: u32,
        ice: IceCredentials,
    ) -> (IceCredentials, Vec<Candidate>) {
        let restart = &mut self.restart;
        let offered = restart.offered.get_or_insert(Offered { tag, ice });
        (offered.ice.clone(), restart.candidates.clone())
    }

    /// The client's half of it. False if none was offered.
    pub(crate) fn answer_restart(
        &mut self,
        theirs: IceCredentials,
        addresses: &[SocketAddr],
        now: Instant,
    ) -> bool {
        let restart = &mut self.restart;
        let Some(offered) = restart.offered.take() else {
            return false;
        };
        restart.answered = Some(now);
        restart.former.0.retain(|former| former.is_given_up);
        for (address, _) in &self.addresses {
            restart.former.doubt(*address);
        }
        self.tag = offered.tag;
        self.endpoint.reconnect(now, offered.ice, theirs, addresses);
        true
    }

    /// Media of the client comes from an address that was unknown.
    pub(crate) fn move_to(&mut self, address: SocketAddr, now: Instant) {
        self.restart.former.readmit(address);
        self.endpoint.readmit_address(now, address);
    }

    /// Media of the client comes from one of its addresses. If nothing comes any more from where
    /// its own is sent, it has moved. Whether its transport has something to do.
    pub(crate) fn follow(&mut self, from: SocketAddr, now: Instant) -> bool {
        let Some(former) = self.endpoint.destination().filter(|old| *old != from) else {
            return false;
        };
        if self.restart.former.readmit(from) {
            self.endpoint.readmit_address(now, from);
            return true;
        }
        let is_used = |(address, heard): &(SocketAddr, Instant)| {
            *address == former && now.saturating_duration_since(*heard) < SILENCE
        };
        let has_moved = !self.addresses.iter().any(is_used)
            && self.endpoint.has_answered(from)
            && self.restart.former.give_up(former);
        if has_moved {
            self.endpoint.give_up_address(now, former);
        }
        has_moved
    }

    /// A check with the credentials of the last restart came from this address.
    pub(crate) fn confirm_address(&mut self, from: SocketAddr, now: Instant) {
        let restart = &mut self.restart;
        let known = restart.former.confirm(from);
        let is_new = known.is_none();
        if known == Some(true) {
            self.endpoint.readmit_address(now, from);
        }
        // One that is used again says nothing about the others at first.
        let is_late = restart
            .answered
            .is_some_and(|answered| now.saturating_duration_since(answered) >= PATIENCE);
        if is_new || is_late {
            for former in restart.former.give_up_rest() {
                self.endpoint.give_up_address(now, former);
            }
        }
    }
}

/// A client that keeps its addresses has used all of them again after so long.
const PATIENCE: Duration = Duration::from_secs(1);
/// A client that sends media sends reports too, many in a second, and all the same way.
const SILENCE: Duration = Duration::from_millis(300);
const FORMER_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn whoever_moves_often_is_followed_for_ever() {
        let mut formers = Formers::default();
        for port in 0..3 * FORMER_MAX as u16 {
            assert!(formers.give_up(address(port)), "{port}");
            assert!(!formers.give_up(address(port)), "once");
            assert!(formers.0.len() <= FORMER_MAX);
        }
        let latest = 3 * FORMER_MAX as u16 - 1;
        assert_eq!(formers.confirm(address(latest)), Some(true));
        assert_eq!(formers.confirm(address(latest)), None);
        assert_eq!(formers.confirm(address(0)), None, "the oldest went");
    }

    #[test]
    fn what_is_in_doubt_is_in_the_list_once() {
        let mut formers = Formers::default();
        formers.doubt(address(1));
        formers.doubt(address(2));
        assert!(formers.give_up(address(1)));
        assert_eq!(formers.give_up_rest().collect::<Vec<_>>(), [address(2)]);
        assert_eq!(formers.confirm(address(1)), Some(true));
        assert_eq!(formers.confirm(address(1)), None);
    }
}
