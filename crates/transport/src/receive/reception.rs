//! How one stream arrives, as receiver reports tell its sender (RFC 3550, 6.4.1 and appendix A).

use std::time::{Duration, Instant};

use crate::rtcp::ReportBlock;
use crate::send::{to_short, to_ticks};

/// What came by itself: retransmissions do not count, so that loss is what the path loses.
#[derive(Debug)]
pub(super) struct Reception {
    clock_rate: u32,
    /// None before the first packet.
    first: Option<u64>,
    highest: u64,
    received: u64,
    /// Of the last report.
    expected_before: u64,
    received_before: u64,
    /// In ticks, times 16.
    jitter: u64,
    last: Option<(Instant, u32)>,
    /// The middle of the last sender report's time, and when it came.
    sender_report: Option<(u32, Instant)>,
    /// Something came since the last report.
    is_active: bool,
}

/// So many of so many packets did not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) lost: u64,
    pub(super) expected: u64,
}

impl Lost {
    /// 0 to 1; None where nothing was expected.
    pub(super) fn share(self) -> Option<f32> {
        (self.expected > 0).then(|| self.lost as f32 / self.expected as f32)
    }
}

impl Reception {
    pub(super) fn new(clock_rate: u32) -> Reception {
        Reception {
            clock_rate,
            first: None,
            highest: 0,
            received: 0,
            expected_before: 0,
            received_before: 0,
            jitter: 0,
            last: None,
            sender_report: None,
            is_active: false,
        }
    }

    /// A packet came.
    pub(super) fn came(&mut self, now: Instant, number: u64, timestamp: u32) {
        self.is_active = true;
        let is_new = match self.first {
            None => true,
            // Appendix A.1: a source that begins anew.
            Some(_) => number.saturating_sub(self.highest) > DROPOUT_MAX,
        };
        if is_new {
            self.first = Some(number);
            self.highest = number;
            self.received = 0;
            self.expected_before = 0;
            self.received_before = 0;
            self.last = None;
        }
        self.received += 1;
        if number < self.highest {
            return;
        }
        self.highest = number;
        match self.last {
            // Packets of one picture have one time, and leave one after the other.
            Some((_, before)) if before == timestamp => {}
            Some((at, before)) => {
                self.note_transit(now.saturating_duration_since(at), timestamp, before);
                self.last = Some((now, timestamp));
            }
            None => self.last = Some((now, timestamp)),
        }
    }

    /// Appendix A.8.
    fn note_transit(&mut self, passed: Duration, timestamp: u32, before: u32) {
        let ticks = to_ticks(passed, self.clock_rate);
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        let media = i64::from(timestamp.wrapping_sub(before).cast_signed());
        let difference = ticks.saturating_sub(media).unsigned_abs();
        if difference > u64::from(self.clock_rate) * TRANSIT_SECONDS_MAX {
            return;
        }
        self.jitter = self.jitter - (self.jitter + 8) / 16 + difference;
    }

    /// The sender says what time it is.
    pub(super) fn note_sender_report(&mut self, now: Instant, compact: u32) {
        self.sender_report = Some((compact, now));
    }

    pub(super) fn is_active(&self) -> bool {
        self.is_active
    }

    /// What is to be told of the stream, and of how many packets of late that many did not come;
    /// the next interval begins.
    pub(super) fn report(&mut self, now: Instant, ssrc: u32) -> (ReportBlock, Lost) {
        self.is_active = false;
        let expected = self.expected();
        let lost = self.lost();
        let expected_of_late = expected - self.expected_before;
        let received_of_late = self.received - self.received_before;
        self.expected_before = expected;
        self.received_before = self.received;
        let lost_of_late = expected_of_late.saturating_sub(received_of_late);
        let fraction = (lost_of_late << 8).checked_div(expected_of_late);
        let (last_sender_report, delay) = match self.sender_report {
            Some((compact, at)) => (compact, to_short(now.saturating_duration_since(at))),
            None => (0, 0),
        };
        let block = ReportBlock {
            ssrc,
            fraction_lost: fraction.unwrap_or(0).min(255) as u8,
            lost: lost.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
            highest_number: self.highest as u32,
            jitter: self.ticks(),
            last_sender_report,
            delay,
        };
        let lost = Lost {
            lost: lost_of_late,
            expected: expected_of_late,
        };
        (block, lost)
    }

    /// What did not come.
    pub(super) fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    pub(super) fn jitter(&self) -> Duration {
        let micros = u64::from(self.ticks()) * 1_000_000 / u64::from(self.clock_rate.max(1));
        Duration::from_micros(micros)
    }

    fn ticks(&self) -> u32 {
        u32::try_from(self.jitter / 16).unwrap_or(u32::MAX)
    }

    fn expected(&self) -> u64 {
        self.first.map_or(0, |first| self.highest - first + 1)
    }
}

/// RFC 3550, appendix A.1.
const DROPOUT_MAX: u64 = 3_000;
/// A timestamp that leaps says nothing about the path.
const TRANSIT_SECONDS_MAX: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_what_was_expected_and_did_not_come() {
        let now = Instant::now();
        let mut reception = Reception::new(90_000);
        for number in (65_000..65_100).filter(|number| number % 4 != 3) {
            reception.came(now, number, 0);
        }
        let (block, late) = reception.report(now, 7);
        assert_eq!(late.share(), Some(24.0 / 99.0));
        assert_eq!(block.ssrc, 7);
        assert_eq!(block.highest_number, 65_098);
        assert_eq!(block.lost, 24);
        assert_eq!(block.fraction_lost, (24 * 256 / 99) as u8);
        assert!(!reception.is_active());
        for number in 65_099..65_600 {
            reception.came(now, number, 0);
        }
        let (block, _) = reception.report(now, 7);
        assert_eq!(block.highest_number, 65_599, "with its wrap");
        assert_eq!((block.lost, block.fraction_lost), (24, 0));
        let (block, _) = reception.report(now, 7);
        assert_eq!((block.lost, block.fraction_lost), (24, 0), "nothing since");
        assert_eq!(reception.report(now, 7).1.share(), None);
    }

    #[test]
    fn what_came_before_the_first_is_no_loss() {
        let now = Instant::now();
        let mut reception = Reception::new(90_000);
        for number in [10, 9, 8, 11] {
            reception.came(now, number, 0);
        }
        let (block, _) = reception.report(now, 7);
        assert_eq!((block.lost, block.fraction_lost), (-2, 0));
    }

    #[test]
    fn a_source_that_begins_anew_has_lost_nothing() {
        let now = Instant::now();
        let mut reception = Reception::new(90_000);
        reception.came(now, 5, 0);
        reception.came(now, 50_000, 0);
        reception.came(now, 50_002, 0);
        let (block, _) = reception.report(now, 7);
        assert_eq!((block.lost, block.highest_number), (1, 50_002));
    }

    #[test]
    fn jitter_is_that_of_the_first_packet_of_each_picture() {
        let start = Instant::now();
        let mut reception = Reception::new(90_000);
        for frame in 0..100u32 {
            let at = start + Duration::from_millis(u64::from(frame) * 40);
            for packet in 0..5 {
                let number = u64::from(frame) * 5 + packet;
                let at = at + Duration::from_millis(packet);
                reception.came(at, number, (frame * 3_600).wrapping_sub(1_000));
            }
        }
        assert_eq!(reception.jitter(), Duration::ZERO);
        for frame in 100..400u32 {
            let late = if frame % 2 == 0 { 10 } else { 0 };
            let at = start + Duration::from_millis(u64::from(frame) * 40 + late);
            let number = u64::from(frame) * 5;
            reception.came(at, number, (frame * 3_600).wrapping_sub(1_000));
        }
        let jitter = reception.jitter();
        let expected = Duration::from_millis(10);
        assert!(
            jitter.abs_diff(expected) < Duration::from_micros(200),
            "{jitter:?}"
        );
        assert_eq!(
            reception.report(start, 1).0.jitter,
            (jitter.as_micros() * 9 / 100 + 1) as u32
        );
    }

    #[test]
    fn a_report_repeats_the_senders_time_and_how_long_ago_it_came() {
        let start = Instant::now();
        let mut reception = Reception::new(48_000);
        reception.came(start, 1, 0);
        assert_eq!(reception.report(start, 1).0.last_sender_report, 0);
        reception.note_sender_report(start, 0xabcd_0123);
        let (block, _) = reception.report(start + Duration::from_millis(250), 1);
        assert_eq!(
            (block.last_sender_report, block.delay),
            (0xabcd_0123, 16_384)
        );
    }
}
