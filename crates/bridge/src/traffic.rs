//! What an endpoint has sent, for those who look at the bridge from outside. Nothing here decides
//! anything.

use std::time::{Duration, Instant};

use tertulia_model::{MediaType, Ssrc};

/// Counts by stream, and what was told of the endpoint once.
#[derive(Default)]
pub(crate) struct Traffic {
    streams: Vec<StreamTraffic>,
    /// It was counted among the visitors.
    pub(crate) is_counted_visitor: bool,
    /// It was counted among those without a bridge channel.
    pub(crate) is_counted_channelless: bool,
}

/// One signalled SSRC that something arrived under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamTraffic {
    pub(crate) ssrc: Ssrc,
    pub(crate) media: MediaType,
    pub(crate) packets: u64,
    /// Of payloads.
    pub(crate) bytes: u64,
    pub(crate) heard: Instant,
    /// Until when its active time was given out.
    counted: Instant,
}

impl Traffic {
    /// Notes a packet of a signalled stream; gives the milliseconds by which the stream has been
    /// active longer.
    pub(crate) fn note(&mut self, ssrc: Ssrc, media: MediaType, bytes: usize, now: Instant) -> u64 {
        let known = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc);
        let Some(stream) = known else {
            self.streams.push(StreamTraffic {
                ssrc,
                media,
                packets: 1,
                bytes: bytes as u64,
                heard: now,
                counted: now,
            });
            return 0;
        };
        stream.packets += 1;
        stream.bytes += bytes as u64;
        let was_active = stream.is_active(now);
        stream.heard = now;
        if !was_active {
            stream.counted = now;
            return 0;
        }
        let longer = now.saturating_duration_since(stream.counted).as_millis();
        let longer = u64::try_from(longer).unwrap_or(u64::MAX);
        // What is less than a millisecond is given out with the next packet.
        stream.counted += Duration::from_millis(longer);
        longer
    }

    /// Forgets streams that are not signalled any more.
    pub(crate) fn retain(&mut self, is_signalled: impl Fn(Ssrc) -> bool) {
        self.streams.retain(|stream| is_signalled(stream.ssrc));
    }

    /// Whether media of this kind arrives now.
    pub(crate) fn is_sending(&self, media: MediaType, now: Instant) -> bool {
        let mut streams = self.streams.iter();
        streams.any(|stream| stream.media == media && stream.is_active(now))
    }

    pub(crate) fn streams(&self) -> &[StreamTraffic] {
        &self.streams
    }
}

impl StreamTraffic {
    pub(crate) fn is_active(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) <= IDLE
    }
}

/// Silence after which a stream counts as stopped. Discontinuous transmission pauses for 400 ms.
const IDLE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_time_is_exact_and_pauses_do_not_count() {
        let start = Instant::now();
        let mut traffic = Traffic::default();
        let mut at = |us: u64| {
            let now = start + Duration::from_micros(us);
            traffic.note(Ssrc(1), MediaType::Video, 100, now)
        };
        assert_eq!(at(0), 0);
        // 1,500 µs apart: every other one tells of two milliseconds.
        assert_eq!([at(1_500), at(3_000), at(4_500)], [1, 2, 1]);
        assert_eq!(at(10_000_000), 0, "a pause");
        assert_eq!(at(10_020_000), 20);
        let now = start + Duration::from_secs(11);
        assert!(traffic.is_sending(MediaType::Video, now));
        assert!(!traffic.is_sending(MediaType::Audio, now));
        assert!(!traffic.is_sending(MediaType::Video, now + IDLE));
        assert_eq!(traffic.streams()[0].packets, 6);
        traffic.retain(|_| false);
        assert!(traffic.streams().is_empty());
    }
}
