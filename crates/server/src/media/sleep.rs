//! How a media thread sleeps: until its socket has something, somebody rings, or a time comes.
//!
//! One system call for each time that it sleeps, and none to ring for a thread that is awake. An
//! executor's timers and readiness cost several (a call to wake the thread that is asking, one
//! more look at each socket, a wake-up for each time that a sent packet makes room).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

/// The sleep of one thread.
pub(super) struct Sleep {
    bell: Arc<Bell>,
    /// From here the grid counts that deadlines fall on.
    start: Instant,
}

/// What others ring.
struct Bell {
    state: AtomicU8,
    /// Written to only when the thread is asleep.
    event: OwnedFd,
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Bell>) {
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            // Fails only where it has been rung 2^64 times and is ringing anyway.
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }
}

impl Sleep {
    pub(super) fn new(start: Instant) -> io::Result<Sleep> {
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let state = AtomicU8::new(AWAKE);
        Ok(Sleep {
            bell: Arc::new(Bell { state, event }),
            start,
        })
    }

    /// Rings: [`Sleep::wait`] ends, or the next one ends at once.
    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }

    /// When to wake for what is due at `at`: up to [`GRID`] later, so that many receivers' paced
    /// packets are one wake-up.
    pub(super) fn deadline(&self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.start).as_nanos();
        let late = since.next_multiple_of(GRID.as_nanos()) - since;
        at + Duration::from_nanos(u64::try_from(late).unwrap_or(0))
    }

    /// Sleeps until the socket has something, or room if that is asked for too; or the bell rings;
    /// or so much time is over (None: for ever). It may end for no reason.
    ///
    /// What the bell tells of must be looked at between two calls.
    pub(super) fn wait(
        &self,
        socket: impl AsFd,
        wants_room: bool,
        timeout: Option<Duration>,
    ) -> io::Result<Ready> {
        let asleep =
            self.bell
                .state
                .compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        let timeout = if asleep.is_ok() {
            timeout
        } else {
            Some(Duration::ZERO)
        };
        // What does not fit is for ever.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut wanted = PollFlags::IN;
        wanted.set(PollFlags::OUT, wants_room);
        let mut fds = [
            PollFd::new(&socket, wanted),
            PollFd::new(&self.bell.event, PollFlags::IN),
        ];
        let polled = poll(&mut fds, timeout.as_ref());
        self.bell.state.store(AWAKE, Ordering::Release);
        let [socket, bell] = fds.map(|fd| fd.revents());
        match polled {
            Ok(0) | Err(Errno::INTR) => return Ok(Ready::default()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        if socket.contains(PollFlags::NVAL) {
            return Err(Errno::BADF.into());
        }
        if bell.contains(PollFlags::IN) {
            let _ = rustix::io::read(&self.bell.event, &mut [0; 8]);
        }
        Ok(Ready {
            // Receiving takes an error off the socket.
            is_readable: socket.intersects(PollFlags::IN | PollFlags::ERR),
            is_writable: socket.contains(PollFlags::OUT),
        })
    }
}

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const RUNG: u8 = 2;
/// What many receivers' pacing releases within it leaves in one wake-up, and in runs; nothing else
/// is as urgent.
const GRID: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread;

    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    fn socket() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").unwrap()
    }

    #[test]
    fn who_is_rung_for_wakes_whenever_that_is() {
        let sleep = Sleep::new(Instant::now()).unwrap();
        let socket = socket();
        let start = Instant::now();
        for _ in 0..200 {
            let waker = sleep.waker();
            let ringer = thread::spawn(move || waker.wake());
            let ready = sleep.wait(&socket, false, LONG).unwrap();
            assert_eq!(ready, Ready::default());
            ringer.join().unwrap();
            // Rung after its end at the latest.
            let _ = sleep.wait(&socket, false, Some(Duration::ZERO)).unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "none slept on");
    }

    #[test]
    fn ringing_costs_nothing_while_the_thread_is_awake() {
        let sleep = Sleep::new(Instant::now()).unwrap();
        sleep.waker().wake();
        sleep.waker().wake();
        let unwritten = rustix::io::read(&sleep.bell.event, &mut [0; 8]);
        assert_eq!(unwritten, Err(Errno::AGAIN));
        let start = Instant::now();
        sleep.wait(socket(), false, LONG).unwrap();
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn room_is_looked_for_only_where_it_is_asked_for() {
        let sleep = Sleep::new(Instant::now()).unwrap();
        let socket = socket();
        let now = Some(Duration::ZERO);
        assert_eq!(sleep.wait(&socket, false, now).unwrap(), Ready::default());
        let ready = sleep.wait(&socket, true, LONG).unwrap();
        assert!(ready.is_writable && !ready.is_readable);
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        let ready = sleep.wait(&socket, false, LONG).unwrap();
        assert!(ready.is_readable && !ready.is_writable);
    }

    #[test]
    fn deadlines_fall_on_whole_milliseconds() {
        let start = Instant::now();
        let sleep = Sleep::new(start).unwrap();
        let at = |us| start + Duration::from_micros(us);
        for (wanted, expected) in [(0, 0), (1, 1_000), (1_000, 1_000), (1_001, 2_000)] {
            assert_eq!(sleep.deadline(at(wanted)), at(expected));
        }
    }
}
