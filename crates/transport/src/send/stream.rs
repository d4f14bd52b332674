//! One stream that leaves: its numbers, its clock, its retransmissions, what reports say of it.

use std::time::{Duration, Instant};

use super::NewStream;
use super::clock::{NtpClock, from_short, to_ticks};
use super::kept::Kept;
use super::share::Share;
use crate::receive::window::Window;
use crate::rtcp::ReportBlock;

/// How a stream does, in numbers that only grow unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Media, each packet once.
    pub packets: u64,
    /// Their payloads.
    pub bytes: u64,
    /// What was sent again because it was asked for.
    pub resent_packets: u64,
    pub resent_bytes: u64,
    /// What filled time: packets sent again unasked, and empty ones.
    pub padding_packets: u64,
    pub padding_bytes: u64,
    /// Numbers the receiver asked for.
    pub asked: u64,
    /// Of these, what was not sent again: it was no longer kept, or there was too much.
    pub refused: u64,
    /// What the receiver said last.
    pub report: Option<Report>,
}

/// What a receiver said of a stream last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    pub at: Instant,
    /// Of what it expected since the report before, 0 to 1.
    pub loss: f32,
    /// Since the beginning; below zero where duplicates came.
    pub lost: i32,
    pub jitter: Duration,
    /// None until it has seen a report of ours.
    pub round_trip: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    pub(super) rtx: Option<u32>,
    pub(super) clock_rate: u32,
    pub(super) is_kept: bool,
    /// What was sealed: no number twice.
    pub(super) sealed: Window,
    /// The number of the next packet of the RTX stream.
    pub(super) next_rtx: u64,
    pub(super) kept: Kept,
    pub(super) share: Share,
    /// Of the last packet: padding goes on with them.
    pub(super) payload_type: u8,
    pub(super) timestamp: u32,
    times: Option<Times>,
    /// Something was sent since the last sender report.
    pub(super) is_active: bool,
    pub(super) statistics: Statistics,
    /// Packets that were sent when the last report came.
    reported: u64,
    /// So many it is about.
    pub(super) reported_of_late: u64,
}

/// Which instant a timestamp stands for.
#[derive(Clone, Copy, Debug)]
struct Times {
    timestamp: u32,
    instant: Instant,
    /// It is of the present interval between sender reports.
    is_fresh: bool,
}

impl Stream {
    pub(super) fn new(new: NewStream, sealed: Window, next_rtx: u64) -> Stream {
        Stream {
            ssrc: new.ssrc,
            rtx: new.rtx,
            clock_rate: new.clock_rate,
            is_kept: new.is_kept && new.rtx.is_some(),
            sealed,
            next_rtx,
            kept: Kept::default(),
            share: Share::default(),
            payload_type: 0,
            timestamp: 0,
            times: None,
            is_active: false,
            statistics: Statistics::default(),
            reported: 0,
            reported_of_late: 0,
        }
    }

    /// A packet with this timestamp came from its sender at this instant. The least delayed of an
    /// interval says best which instant a timestamp stands for.
    pub(super) fn note_time(&mut self, timestamp: u32, arrived: Instant) {
        self.timestamp = timestamp;
        let is_better = match self.times {
            Some(times) if times.is_fresh => {
                times.timestamp != timestamp
                    && self
                        .ticks(times, arrived)
                        .wrapping_sub(timestamp)
                        .cast_signed()
                        < 0
            }
            _ => true,
        };
        if is_better {
            self.times = Some(Times {
                timestamp,
                instant: arrived,
                is_fresh: true,
            });
        }
    }

    /// The timestamp of this instant; None before the first packet. The next interval begins.
    pub(super) fn take_time(&mut self, now: Instant) -> Option<u32> {
        let times = self.times.as_mut()?;
        times.is_fresh = false;
        let times = *times;
        Some(self.ticks(times, now))
    }

    /// What the timestamp is at an instant, by `times`.
    fn ticks(&self, times: Times, at: Instant) -> u32 {
        let ticks = |passed: Duration| to_ticks(passed, self.clock_rate) as u32;
        match at.checked_duration_since(times.instant) {
            Some(passed) => times.timestamp.wrapping_add(ticks(passed)),
            None => times.timestamp.wrapping_sub(ticks(times.instant - at)),
        }
    }

    /// Takes in what the receiver says; the round trip, if that shows.
    pub(super) fn note_report(
        &mut self,
        now: Instant,
        clock: &NtpClock,
        block: &ReportBlock,
    ) -> Option<Duration> {
        let measured = round_trip(now, clock, block);
        let former = self.statistics.report.and_then(|report| report.round_trip);
        let jitter = u64::from(block.jitter) * 1_000_000 / u64::from(self.clock_rate.max(1));
        let sent = self.statistics.packets;
        self.reported_of_late = sent - std::mem::replace(&mut self.reported, sent);
        self.statistics.report = Some(Report {
            at: now,
            loss: f32::from(block.fraction_lost) / 256.0,
            lost: block.lost,
            jitter: Duration::from_micros(jitter),
            round_trip: measured.or(former),
        });
        measured
    }
}

/// RFC 3550, 6.4.1: since a sender report left, without the time it lay at the receiver.
fn round_trip(now: Instant, clock: &NtpClock, block: &ReportBlock) -> Option<Duration> {
    if block.last_sender_report == 0 {
        return None;
    }
    let since = clock.middle(now).wrapping_sub(block.last_sender_report);
    let units = since.wrapping_sub(block.delay);
    let is_possible = units.cast_signed() >= 0 && from_short(units) <= ROUND_TRIP_MAX;
    is_possible.then(|| from_short(units))
}

/// A longer one is somebody's mistake.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(30);
