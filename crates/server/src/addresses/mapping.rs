//! What a NAT makes of the media port, asked of the STUN servers that the administrator names.
//!
//! Requests leave by the media sockets themselves, since a NAT maps each socket for itself; the
//! answers arrive there as well, at whichever worker the system hands them to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tertulia_bridge::{MappingAnswer, Transmit, mapping_answer, mapping_request};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

/// Where workers put answers of STUN servers.
#[derive(Clone)]
pub(crate) struct Answers {
    expected: Arc<AtomicU64>,
    mail: mpsc::Sender<Received>,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    from: SocketAddr,
    answer: MappingAnswer,
}

/// Asks STUN servers.
pub(crate) struct Asker {
    /// How the ids of the requests begin that are on their way; 0 is none.
    expected: Arc<AtomicU64>,
    answers: mpsc::Receiver<Received>,
}

impl Answers {
    /// Takes in a datagram that is no endpoint's, if it answers a request of ours. Without a lock,
    /// and for all but STUN's responses with one comparison.
    pub(crate) fn take(&self, from: SocketAddr, data: &[u8]) -> bool {
        if !matches!(data, [0x01, 0x01 | 0x11, ..]) {
            return false;
        }
        let expected = self.expected.load(Ordering::Relaxed);
        // Nobody who has not seen a request can guess how it begins.
        let is_expected = expected != 0 && data.get(8..16) == Some(&expected.to_be_bytes()[..]);
        if is_expected && let Some(answer) = mapping_answer(data) {
            // More answers than requests are repetitions.
            let _ = self.mail.try_send(Received { from, answer });
        }
        is_expected
    }
}

impl Asker {
    /// An asker, and what the workers are given for it.
    pub(crate) fn new() -> (Asker, Answers) {
        let (mail, answers) = mpsc::channel(WAITING);
        let expected = Arc::<AtomicU64>::default();
        let asker = Asker {
            expected: Arc::clone(&expected),
            answers,
        };
        (asker, Answers { expected, mail })
    }

    /// How `server` sees each of our addresses; those without an answer are missing. `seed` is
    /// drawn anew for each call.
    pub(crate) async fn ask(
        &mut self,
        seed: u64,
        server: SocketAddr,
        locals: &[SocketAddr],
        send: impl Fn(Transmit),
    ) -> BTreeMap<SocketAddr, SocketAddr> {
        let seed = seed.max(1);
        self.expected.store(seed, Ordering::Relaxed);
        let mut open: BTreeMap<[u8; 12], SocketAddr> = BTreeMap::new();
        for (index, local) in (0u32..).zip(locals) {
            let mut id = [0; 12];
            for (to, from) in id
                .iter_mut()
                .zip(seed.to_be_bytes().into_iter().chain(index.to_be_bytes()))
            {
                *to = from;
            }
            open.insert(id, *local);
        }
        let mut mapped = BTreeMap::new();
        for patience in PATIENCE {
            if open.is_empty() {
                break;
            }
            for (id, local) in &open {
                send(Transmit {
                    source: *local,
                    destination: server,
                    contents: mapping_request(*id),
                });
            }
            let deadline = Instant::now() + patience;
            while !open.is_empty() {
                let Ok(Some(received)) = timeout_at(deadline, self.answers.recv()).await else {
                    break;
                };
                if received.from != server {
                    debug!(from = %received.from, "an answer from elsewhere than was asked");
                    continue;
                }
                let Some(local) = open.remove(&received.answer.id) else {
                    continue;
                };
                match received.answer.outcome {
                    Ok(public) if is_plausible(local, public) => {
                        mapped.insert(local, public);
                    }
                    Ok(public) => {
                        warn!(%server, %public, "a STUN server's answer can't be true: {FIX}");
                    }
                    Err(error) => warn!(%server, "a STUN server is of no use, {error}: {FIX}"),
                }
            }
        }
        self.expected.store(0, Ordering::Relaxed);
        mapped
    }
}

/// Whether others could send to what a server says.
fn is_plausible(local: SocketAddr, public: SocketAddr) -> bool {
    let is_unicast = match public.ip() {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_multicast() && !v6.is_unspecified(),
    };
    local.is_ipv4() == public.is_ipv4()
        && is_unicast
        && !public.ip().is_loopback()
        && public.port() != 0
}

/// Answers that wait; there are no more than interfaces.
const WAITING: usize = 64;
/// Requests get lost: how long each is waited for before the next one.
const PATIENCE: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
];
const FIX: &str = "name another one in bridge.stun_servers, or the address in \
    bridge.external_addresses";

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    const LOCAL: &str = "10.0.0.5:10000";
    const OTHER: &str = "10.0.0.6:10000";
    const SERVER: &str = "192.0.2.9:3478";
    const PUBLIC: &str = "198.51.100.7:40000";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// What a STUN server answers to a request.
    fn response(request: &[u8], public: &str) -> Vec<u8> {
        let public = at(public);
        let IpAddr::V4(ip) = public.ip() else {
            panic!("an IPv4 address");
        };
        let key = &request[4..];
        let port = public.port() ^ u16::from_be_bytes([key[0], key[1]]);
        let mut response = vec![1, 1, 0, 12];
        response.extend_from_slice(key);
        response.extend([0, 0x20, 0, 8, 0, 1]);
        response.extend(port.to_be_bytes());
        response.extend(ip.octets().iter().zip(key).map(|(byte, key)| byte ^ key));
        response
    }

    #[tokio::test(start_paused = true)]
    async fn each_local_address_learns_its_own_mapping() {
        let (mut asker, answers) = Asker::new();
        let mapped = asker
            .ask(7, at(SERVER), &[at(LOCAL), at(OTHER)], |request| {
                assert_eq!(request.destination, at(SERVER));
                let public = if request.source == at(LOCAL) {
                    PUBLIC
                } else {
                    OTHER
                };
                let answer = response(&request.contents, public);
                assert!(answers.take(at(SERVER), &answer));
            })
            .await;
        let expected = [(at(LOCAL), at(PUBLIC)), (at(OTHER), at(OTHER))];
        assert_eq!(mapped, BTreeMap::from(expected));
        let late = response(&mapping_request([0; 12]), PUBLIC);
        assert!(!answers.take(at(SERVER), &late), "nothing is expected");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_request_is_repeated_with_the_same_id_and_silence_ends() {
        let (mut asker, answers) = Asker::new();
        let first = RefCell::new(None);
        let count = Cell::new(0);
        let mapped = asker
            .ask(7, at(SERVER), &[at(LOCAL)], |request| {
                count.set(count.get() + 1);
                let before = first.replace(Some(request.contents.clone()));
                if let Some(before) = before {
                    assert_eq!(before, request.contents);
                    assert!(answers.take(at(SERVER), &response(&request.contents, PUBLIC)));
                }
            })
            .await;
        assert_eq!((mapped.len(), count.get()), (1, 2));
        let began = Instant::now();
        let mapped = asker.ask(8, at(SERVER), &[at(LOCAL)], |_| {}).await;
        assert!(mapped.is_empty());
        assert_eq!(began.elapsed(), PATIENCE.iter().sum::<Duration>());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_answer_to_what_was_asked_is_not_believed() {
        let (mut asker, answers) = Asker::new();
        let mapped = asker
            .ask(7, at(SERVER), &[at(LOCAL)], |request| {
                let right = response(&request.contents, PUBLIC);
                assert!(!answers.take(at(SERVER), &request.contents), "a request");
                let mut guessed = right.clone();
                guessed[9] ^= 1;
                assert!(!answers.take(at(SERVER), &guessed), "another id");
                let mut last = right.clone();
                last[19] ^= 1;
                assert!(answers.take(at(SERVER), &last), "an id never used");
                assert!(answers.take(at(OTHER), &right), "from elsewhere");
            })
            .await;
        assert!(mapped.is_empty());
        for lie in ["127.0.0.1:9", "0.0.0.0:9", "224.0.0.1:9", "198.51.100.7:0"] {
            let mapped = asker
                .ask(9, at(SERVER), &[at(LOCAL)], |request| {
                    answers.take(at(SERVER), &response(&request.contents, lie));
                })
                .await;
            assert!(mapped.is_empty(), "{lie}");
        }
    }
}
