//! Key-frame requests: many receivers ask, the sender hears one.
//!
//! A request goes out at once and is repeated while key frames are wanted and none came, at
//! growing distances. Nothing is sent by a timer: every packet of a stream that cannot be used for
//! want of a key frame asks again.

use std::time::{Duration, Instant};

/// What one source has been asked for.
#[derive(Debug, Default)]
pub(crate) struct KeyframeRequests {
    asked: Option<Instant>,
    /// How often since the last key frame.
    repeated: u32,
}

impl KeyframeRequests {
    /// Somebody needs a key frame. Whether the sender is to be asked now.
    pub(crate) fn want(&mut self, now: Instant) -> bool {
        let distance = (DISTANCE_MIN * 2u32.pow(self.repeated.min(8) / 3)).min(DISTANCE_MAX);
        let is_early = self
            .asked
            .is_some_and(|asked| now.saturating_duration_since(asked) < distance);
        if is_early {
            return false;
        }
        self.asked = Some(now);
        self.repeated += 1;
        true
    }

    /// A key frame of the source began.
    pub(crate) fn arrived(&mut self) {
        self.repeated = 0;
    }
}

/// What one receiver may ask of one source by RTCP.
#[derive(Debug)]
pub(crate) struct ReceiverRequests {
    window: Option<Instant>,
    count: u32,
}

impl ReceiverRequests {
    pub(crate) const NEW: ReceiverRequests = ReceiverRequests {
        window: None,
        count: 0,
    };

    /// Whether one more request counts.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let is_over = self
            .window
            .is_none_or(|begun| now.saturating_duration_since(begun) >= WINDOW);
        if is_over {
            self.window = Some(now);
            self.count = 0;
        }
        self.count += 1;
        self.count <= REQUESTS_PER_WINDOW
    }
}

/// A browser answers one request with key frames of all encodings, which takes it about as long.
const DISTANCE_MIN: Duration = Duration::from_millis(200);
const DISTANCE_MAX: Duration = Duration::from_millis(800);
/// A receiver with a broken decoder must not cost the others their bandwidth.
const WINDOW: Duration = Duration::from_secs(10);
const REQUESTS_PER_WINDOW: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_merged_and_repeated_until_a_key_frame() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut source = KeyframeRequests::default();
        assert!(source.want(at(0)));
        assert!(!source.want(at(199)));
        assert!(source.want(at(200)));
        let asked = (0..10_000).filter(|ms| source.want(at(201 + ms))).count();
        assert!((11..=14).contains(&asked), "{asked} requests in 10 s");
        source.arrived();
        assert!(source.want(at(12_000)));
        assert!(source.want(at(12_200)));
    }

    #[test]
    fn a_receiver_cannot_ask_all_the_time() {
        let start = Instant::now();
        let mut receiver = ReceiverRequests::NEW;
        let admitted =
            (0..100u64).filter(|n| receiver.admit(start + Duration::from_millis(n * 10)));
        assert_eq!(admitted.count(), 10);
        assert!(receiver.admit(start + Duration::from_secs(11)));
    }
}
