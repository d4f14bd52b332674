//! Streams that come: retransmissions unwrapped (RFC 4588), duplicates dropped, and the feedback
//! that their sender needs: receiver reports, requests for what is missing and for key frames, and
//! transport-wide feedback.
//!
//! Per packet: a look-up among the client's few SSRCs, nothing allocated, nothing hashed.

mod feedback;
mod missing;
mod reception;
pub(crate) mod window;

use std::time::{Duration, Instant};

use self::feedback::Feedback;
use self::missing::Missing;
use self::reception::{Lost, Reception};
use self::window::{Novelty, Window, extend};
use crate::packet::Header;
use crate::rtcp;
use crate::send::to_short;

/// What is the same for all streams of a client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Payload types of retransmissions, each with that of the media it repeats.
    pub rtx_types: Vec<(u8, u8)>,
}

/// A stream that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    pub ssrc: u32,
    /// The SSRC of its retransmissions.
    pub rtx: Option<u32>,
    /// Ticks per second of its timestamps.
    pub clock_rate: u32,
    /// Whether what is missing is asked for.
    pub is_nackable: bool,
}

/// A packet of media, for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// That of media, also where it came as a retransmission.
    pub ssrc: u32,
    /// The sequence number, without wrapping.
    pub number: u64,
    /// That of media.
    pub payload_type: u8,
    pub timestamp: u32,
    pub is_marked: bool,
    /// Where media begins in the payload.
    pub offset: usize,
    pub is_retransmission: bool,
}

/// How a stream does, in numbers that only grow unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Media that was passed on: each packet once, repaired ones too.
    pub packets: u64,
    /// Their payloads.
    pub bytes: u64,
    /// Of these, those that came as retransmissions.
    pub repaired: u64,
    /// What came and was there already, or was too old.
    pub duplicates: u64,
    /// Numbers asked for, each time.
    pub asked: u64,
    /// Key frames asked for.
    pub keyframes_asked: u64,
    /// What did not come by itself, as reports say it; below zero where duplicates came.
    pub lost: i64,
    /// The same, of what was expected between the last two reports, 0 to 1; not growing.
    pub loss: f32,
    /// Of arrival (RFC 3550, 6.4.1); not growing.
    pub jitter: Duration,
}

/// The streams of one client.
#[derive(Debug)]
pub struct Receiver {
    settings: Settings,
    streams: Vec<Option<Stream>>,
    /// SSRCs of media and of retransmissions, ascending, each with the place of its stream.
    ssrcs: Vec<(u32, usize)>,
    feedback: Feedback,
    /// Of the media that came last: transport-wide feedback names one.
    media: u32,
    round_trip: Option<Duration>,
    /// What time the client said it is, and when that came; it wants to have that back.
    reference: Option<(rtcp::ReferenceTime, Instant)>,
    report_at: Option<Instant>,
    /// The place of the stream whose report is next, while reports are being written.
    reporting: Option<usize>,
    ask_at: Option<Instant>,
    keyframe_at: Option<Instant>,
    /// Of all streams: while reports are being written, and as of the last ones.
    losing: Lost,
    lost: Lost,
    /// Kept for their memory.
    blocks: Vec<rtcp::ReportBlock>,
    numbers: Vec<u16>,
}

#[derive(Debug)]
struct Stream {
    expected: Expected,
    seen: Window,
    missing: Missing,
    reception: Reception,
    is_keyframe_wanted: bool,
    statistics: Statistics,
}

impl Receiver {
    pub fn new(settings: Settings) -> Receiver {
        Receiver {
            settings,
            streams: Vec::new(),
            ssrcs: Vec::new(),
            feedback: Feedback::default(),
            media: 0,
            round_trip: None,
            reference: None,
            report_at: None,
            reporting: None,
            ask_at: None,
            keyframe_at: None,
            losing: Lost::default(),
            lost: Lost::default(),
            blocks: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// A stream is to come. False, and nothing changes, if one of its SSRCs is expected already.
    pub fn expect(&mut self, expected: Expected) -> bool {
        let Expected { ssrc, rtx, .. } = expected;
        let is_known = |ssrc| self.place(ssrc).is_some();
        if is_known(ssrc) || rtx.is_some_and(|rtx| rtx == ssrc || is_known(rtx)) {
            return false;
        }
        let free = self.streams.iter().position(Option::is_none);
        let place = free.unwrap_or(self.streams.len());
        if free.is_none() {
            self.streams.push(None);
        }
        if let Some(slot) = self.streams.get_mut(place) {
            *slot = Some(Stream {
                expected,
                seen: Window::new(),
                missing: Missing::default(),
                reception: Reception::new(expected.clock_rate),
                is_keyframe_wanted: false,
                statistics: Statistics::default(),
            });
        }
        for ssrc in [Some(ssrc), rtx].into_iter().flatten() {
            let index = self.ssrcs.partition_point(|(other, _)| *other < ssrc);
            self.ssrcs.insert(index, (ssrc, place));
        }
        true
    }

    /// Forgets the stream with this SSRC of media.
    pub fn forget(&mut self, ssrc: u32) {
        let Some(place) = self.media_place(ssrc) else {
            return;
        };
        if let Some(slot) = self.streams.get_mut(place) {
            *slot = None;
        }
        self.ssrcs.retain(|(_, other)| *other != place);
    }

    /// Takes in a decrypted packet: `number` is its extended sequence number, `payload` is without
    /// padding. None if it is nothing to pass on: nobody expects its SSRC, it was there before, or
    /// it is a retransmission of nothing.
    pub fn take(
        &mut self,
        now: Instant,
        header: &Header,
        number: u64,
        payload: &[u8],
    ) -> Option<Arrival> {
        let place = self.place(header.ssrc)?;
        let stream = self.streams.get_mut(place)?.as_mut()?;
        self.media = stream.expected.ssrc;
        let mut arrival = Arrival {
            ssrc: stream.expected.ssrc,
            number,
            payload_type: header.payload_type,
            timestamp: header.timestamp,
            is_marked: header.is_marked,
            offset: 0,
            is_retransmission: header.ssrc != stream.expected.ssrc,
        };
        if arrival.is_retransmission {
            let mut types = self.settings.rtx_types.iter();
            arrival.payload_type = types.find(|(rtx, _)| *rtx == header.payload_type)?.1;
            // RFC 4588, 4; what has no payload is padding.
            let original = u16::from_be_bytes(*payload.first_chunk()?);
            // Before anything of the stream came, nothing can have been lost.
            let highest = stream.seen.highest()?;
            arrival.number = extend(original, highest);
            arrival.offset = 2;
            if arrival.number > highest + AHEAD_MAX {
                return None;
            }
        }
        let novelty = stream.seen.note(arrival.number);
        if !arrival.is_retransmission && novelty != Novelty::Known {
            stream
                .reception
                .came(now, arrival.number, arrival.timestamp);
            self.report_at.get_or_insert(now + REPORT);
        }
        match novelty {
            Novelty::Known => {
                stream.statistics.duplicates += 1;
                return None;
            }
            Novelty::Late => stream.missing.found(arrival.number),
            Novelty::Higher { skipped } if stream.expected.is_nackable => {
                if let Some(due) = stream.missing.came(now, arrival.number, skipped) {
                    self.ask_at = Some(self.ask_at.map_or(due, |known| known.min(due)));
                }
            }
            Novelty::Higher { .. } => {}
        }
        let statistics = &mut stream.statistics;
        statistics.packets += 1;
        statistics.bytes += (payload.len() - arrival.offset) as u64;
        statistics.repaired += u64::from(arrival.is_retransmission);
        Some(arrival)
    }

    /// A packet arrived that had this transport-wide number.
    pub fn note_transport(&mut self, now: Instant, number: u16) {
        self.feedback.note(now, number);
    }

    /// The client says how one of its streams relates to time.
    pub fn note_sender_report(&mut self, now: Instant, report: &rtcp::SenderReport<'_>) {
        if let Some(stream) = self.media_stream(report.sender) {
            let compact = report.information.compact();
            stream.reception.note_sender_report(now, compact);
        }
    }

    /// The client says what time it is there; with the next reports it is told when that came. It
    /// asks again for what is missing by the round trip that this shows.
    pub fn note_reference_time(&mut self, now: Instant, reference: rtcp::ReferenceTime) {
        self.reference = Some((reference, now));
        self.report_at.get_or_insert(now + REPORT);
    }

    /// How long a round trip takes: what was asked for is asked for again after it.
    pub fn note_round_trip(&mut self, measured: Duration) {
        self.round_trip = Some(match self.round_trip {
            None => measured,
            Some(known) => (known * 7 + measured) / 8,
        });
    }

    /// Asks for a key frame of the stream with this SSRC of media, with what is written next; once
    /// however often it is called until then.
    pub fn request_keyframe(&mut self, now: Instant, ssrc: u32) {
        if let Some(stream) = self.media_stream(ssrc) {
            stream.is_keyframe_wanted = true;
            self.keyframe_at.get_or_insert(now);
        }
    }

    /// Appends one datagram of what is due to `out`, in the clear; true if it did, and then there
    /// may be more. `ours` is the SSRC under which we speak. Feedback comes alone where no report
    /// is due (RFC 5506).
    pub fn write_due(&mut self, now: Instant, ours: u32, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        self.write_reports(now, ours, out);
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.keyframe_at) && out.len() - start <= DATAGRAM_MAX - KEYFRAME_BYTES {
            self.write_keyframe_requests(ours, start, out);
        }
        if is_due(self.ask_at) && out.len() - start <= DATAGRAM_MAX - NACK_BYTES {
            self.write_nacks(now, ours, start, out);
        }
        if is_due(self.feedback.due()) && out.len() - start <= DATAGRAM_MAX - FEEDBACK_BYTES {
            self.feedback.write(ours, self.media, out);
        }
        out.len() > start
    }

    /// When [`Receiver::write_due`] wants to be called.
    pub fn wake(&self) -> Option<Instant> {
        let due = [
            self.report_at,
            self.keyframe_at,
            self.ask_at,
            self.feedback.due(),
        ];
        due.into_iter().flatten().min()
    }

    /// The same for what cannot wait: requests for what is missing and for key frames.
    pub fn urgent(&self) -> Option<Instant> {
        let due = [self.keyframe_at, self.ask_at];
        due.into_iter().flatten().min()
    }

    /// How the stream with this SSRC of media does.
    pub fn statistics(&self, ssrc: u32) -> Option<Statistics> {
        let stream = self.streams.get(self.media_place(ssrc)?)?.as_ref()?;
        Some(Statistics {
            lost: stream.reception.lost(),
            jitter: stream.reception.jitter(),
            ..stream.statistics
        })
    }

    /// Of everything that was expected before the last reports, the share that did not come by
    /// itself, 0 to 1. None where nothing was expected.
    pub fn loss(&self) -> Option<f32> {
        self.lost.share()
    }

    fn write_reports(&mut self, now: Instant, ours: u32, out: &mut Vec<u8>) {
        if self.reporting.is_none() {
            if self.report_at.is_none_or(|at| at > now) {
                return;
            }
            self.reporting = Some(0);
            if let Some((reference, at)) = self.reference.take() {
                let (compact, delay) = (reference.compact(), now.saturating_duration_since(at));
                let delay = to_short(delay);
                rtcp::write_reference_answer(out, ours, reference.sender, compact, delay);
            }
        }
        self.blocks.clear();
        while let Some(place) = self.reporting {
            if self.blocks.len() >= rtcp::REPORT_BLOCKS_MAX {
                break;
            }
            let Some(stream) = self.streams.get_mut(place) else {
                self.reporting = None;
                // With the next packet it goes on.
                self.report_at = None;
                self.lost = std::mem::take(&mut self.losing);
                break;
            };
            self.reporting = Some(place + 1);
            let Some(stream) = stream.as_mut().filter(|it| it.reception.is_active()) else {
                continue;
            };
            let (block, lost) = stream.reception.report(now, stream.expected.ssrc);
            self.losing.lost += lost.lost;
            self.losing.expected += lost.expected;
            stream.statistics.loss = lost.share().unwrap_or(0.0);
            self.blocks.push(block);
        }
        if !self.blocks.is_empty() {
            rtcp::write_receiver_report(out, ours, &self.blocks);
        }
    }

    fn write_keyframe_requests(&mut self, ours: u32, start: usize, out: &mut Vec<u8>) {
        for stream in self.streams.iter_mut().flatten() {
            if !stream.is_keyframe_wanted {
                continue;
            }
            if out.len() - start > DATAGRAM_MAX - KEYFRAME_BYTES {
                return;
            }
            stream.is_keyframe_wanted = false;
            stream.statistics.keyframes_asked += 1;
            rtcp::write_pli(out, ours, stream.expected.ssrc);
        }
        self.keyframe_at = None;
    }

    fn write_nacks(&mut self, now: Instant, ours: u32, start: usize, out: &mut Vec<u8>) {
        let again = self.again();
        let mut next: Option<Instant> = None;
        for stream in self.streams.iter_mut().flatten() {
            if out.len() - start <= DATAGRAM_MAX - NACK_BYTES {
                self.numbers.clear();
                let missing = &mut stream.missing;
                missing.take_due(now, again, NACKED_MAX, &mut self.numbers);
                stream.statistics.asked += self.numbers.len() as u64;
                let numbers = self.numbers.iter().copied();
                rtcp::write_nack(out, ours, stream.expected.ssrc, numbers);
            }
            if let Some(due) = stream.missing.due(again) {
                next = Some(next.map_or(due, |known| known.min(due)));
            }
        }
        self.ask_at = next;
    }

    /// How long after it was asked for something is asked for again.
    fn again(&self) -> Duration {
        let known = self.round_trip.map(|known| known + AGAIN_MARGIN);
        known.map_or(AGAIN, |known| known.max(AGAIN_LEAST))
    }

    fn place(&self, ssrc: u32) -> Option<usize> {
        let index = self.ssrcs.binary_search_by_key(&ssrc, |(ssrc, _)| *ssrc);
        Some(self.ssrcs.get(index.ok()?)?.1)
    }

    /// The place of the stream whose media, not whose retransmissions, have this SSRC.
    fn media_place(&self, ssrc: u32) -> Option<usize> {
        let place = self.place(ssrc)?;
        let stream = self.streams.get(place)?.as_ref()?;
        (stream.expected.ssrc == ssrc).then_some(place)
    }

    fn media_stream(&mut self, ssrc: u32) -> Option<&mut Stream> {
        let place = self.media_place(ssrc)?;
        self.streams.get_mut(place)?.as_mut()
    }
}

/// How often the client is told how its streams arrive. RFC 3550 (6.2) asks for five seconds;
/// browsers use one for video, and for audio beside it.
const REPORT: Duration = Duration::from_secs(1);
/// A retransmission is of something that was sent before; where all of a burst was lost, it may be
/// the first of it that comes.
const AHEAD_MAX: u64 = 512;
/// As long as no round trip is known.
const AGAIN: Duration = Duration::from_millis(100);
const AGAIN_LEAST: Duration = Duration::from_millis(20);
/// What an answer may take beyond the round trip: its sender has a pacer.
const AGAIN_MARGIN: Duration = Duration::from_millis(5);
/// Of RTCP in one datagram: with SRTCP's index and tag it fits the smallest path of IPv6.
const DATAGRAM_MAX: usize = 1_180;
const KEYFRAME_BYTES: usize = 12;
/// Numbers in one request.
const NACKED_MAX: usize = 128;
/// Where none of them is near another.
const NACK_BYTES: usize = 12 + 4 * NACKED_MAX;
const FEEDBACK_BYTES: usize = rtcp::FEEDBACK_MAX;

#[cfg(test)]
mod tests;
