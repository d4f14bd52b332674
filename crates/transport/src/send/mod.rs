//! Streams that leave: headers, sealing, retransmission (RFC 4588), padding and sender reports.
//!
//! Per packet that is written: nothing allocated in the steady state, nothing hashed, no log. A
//! stream is found by its [`StreamKey`]; only what RTCP asks for is looked up by SSRC.
//!
//! No index of SRTP is sealed twice. A number that was written before is refused, and who adds a
//! stream again that was removed goes on where it ended, its retransmissions too; this is known of
//! the last [`SPENT_MAX`] SSRCs that were removed.

mod clock;
mod kept;
mod outgoing;
mod queue;
mod share;
mod stream;
mod travelling;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tracing::debug;

pub use clock::NtpClock;
pub(crate) use clock::{to_short, to_ticks};
pub use kept::Keep;
pub use outgoing::{Descriptor, Outgoing, PATCHED_MAX, Patch, SHORT_MAX};
pub use queue::Queue;
pub use stream::{Report, Statistics};

use self::stream::Stream;
use self::travelling::Travelling;
use crate::packet::{ExtensionIds, NewHeader};
use crate::receive::window::{Novelty, Window, extend};
use crate::rtcp::{self, ReportBlock, SenderInformation};
use crate::srtp::Sealer;

/// What is the same for all streams of a client.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Payload types of media, each with that of its retransmissions. What is not among them is
    /// not kept.
    pub rtx_types: Vec<(u8, u8)>,
    /// How much of each stream is kept.
    pub keep: Keep,
    /// Of the bytes of a stream in the last second, the share of retransmissions above which
    /// those that wait are given up (0 to 1).
    pub share: f32,
    /// What time it is, in sender reports and in the extension "absolute send time".
    pub clock: NtpClock,
    /// The name that all streams have in common (RFC 3550, 6.5.1); at most 255 bytes.
    pub cname: String,
}

/// A stream to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewStream {
    pub ssrc: u32,
    /// The SSRC of its retransmissions, and of padding.
    pub rtx: Option<u32>,
    /// Ticks per second of its timestamps.
    pub clock_rate: u32,
    /// Whether packets can be asked for again (only with `rtx`).
    pub is_kept: bool,
}

/// A handle of a stream. It outlives the stream harmlessly: nothing is done with it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    place: u32,
    generation: u32,
}

/// The streams towards one client.
#[derive(Debug)]
pub struct Sender {
    settings: Settings,
    slots: Vec<Slot>,
    /// SSRCs of media and of retransmissions, ascending, each with the place of its stream.
    ssrcs: Vec<(u32, u32)>,
    /// How far streams came that were removed.
    spent: VecDeque<Spent>,
    /// What waits to be sent again.
    resends: VecDeque<Resend>,
    /// What was sent again, until the client reports on it.
    travelling: Travelling,
    /// What was sent last of all that has retransmissions: padding goes there.
    padder: Option<StreamKey>,
    round_trip: Option<Duration>,
    report_at: Option<Instant>,
    /// The place of the stream whose report is next, while reports are being written.
    reporting: Option<usize>,
    has_reported: bool,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    stream: Option<Stream>,
}

#[derive(Clone, Copy, Debug)]
struct Spent {
    ssrc: u32,
    /// The highest number of media; for an RTX stream, the number after the last.
    number: u64,
}

#[derive(Clone, Copy, Debug)]
struct Resend {
    key: StreamKey,
    number: u64,
    /// How often it was sent again since the client asked for it.
    unasked: u8,
}

/// What a packet needs on its way out, besides its stream.
#[derive(Debug)]
pub struct Wire<'a> {
    /// The datagram is appended to it.
    pub out: &'a mut Vec<u8>,
    pub sealer: &'a mut Sealer,
    pub ids: ExtensionIds,
    /// For transport feedback. It is used up only where something was written.
    pub transport_number: Option<u16>,
    /// So many bytes of padding go behind media (RFC 3550, 5.1); not behind what is sent again.
    pub padding: u8,
}

/// What a packet of an RTX stream carries.
#[derive(Clone, Copy)]
enum Body {
    /// A packet of media, by its number.
    Packet(u64),
    /// Padding alone.
    Empty(u8),
}

impl Sender {
    pub fn new(settings: Settings) -> Sender {
        Sender {
            settings,
            slots: Vec::new(),
            ssrcs: Vec::new(),
            spent: VecDeque::new(),
            resends: VecDeque::new(),
            travelling: Travelling::default(),
            padder: None,
            round_trip: None,
            report_at: None,
            reporting: None,
            has_reported: false,
        }
    }

    /// A further stream; None if one of its SSRCs is in use. If it was there before, its numbers
    /// must go on above those that were sent; those of its retransmissions do so by themselves.
    pub fn add(&mut self, new: NewStream) -> Option<StreamKey> {
        let is_used = |ssrc| self.place(ssrc).is_some();
        if is_used(new.ssrc) || new.rtx.is_some_and(|rtx| rtx == new.ssrc || is_used(rtx)) {
            return None;
        }
        let sealed = self
            .take_spent(new.ssrc)
            .map_or(Window::new(), Window::after);
        let next_rtx = new.rtx.and_then(|rtx| self.take_spent(rtx));
        let stream = Stream::new(new, sealed, next_rtx.unwrap_or(RTX_FIRST));
        let free = self.slots.iter().position(|slot| slot.stream.is_none());
        let place = free.unwrap_or(self.slots.len());
        if free.is_none() {
            self.slots.push(Slot::default());
        }
        let slot = self.slots.get_mut(place)?;
        slot.stream = Some(stream);
        let place = place as u32;
        let key = StreamKey {
            place,
            generation: slot.generation,
        };
        for ssrc in [Some(new.ssrc), new.rtx].into_iter().flatten() {
            let index = self.ssrcs.partition_point(|(other, _)| *other < ssrc);
            self.ssrcs.insert(index, (ssrc, place));
        }
        Some(key)
    }

    /// Forgets a stream; only how far its numbers came is remembered, and given back: None where
    /// nothing was written, or there is no such stream.
    pub fn remove(&mut self, key: StreamKey) -> Option<u64> {
        let slot = self.slots.get_mut(key.place as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let stream = slot.stream.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.ssrcs.retain(|(_, place)| *place != key.place);
        self.resends.retain(|resend| resend.key != key);
        if self.padder == Some(key) {
            self.padder = None;
        }
        let highest = stream.sealed.highest();
        if let Some(number) = highest {
            self.spend(stream.ssrc, number);
        }
        if let Some(rtx) = stream.rtx.filter(|_| stream.next_rtx > RTX_FIRST) {
            self.spend(rtx, stream.next_rtx);
        }
        highest
    }

    /// The stream with this SSRC, be it of media or of retransmissions.
    pub fn key(&self, ssrc: u32) -> Option<StreamKey> {
        let place = self.place(ssrc)?;
        let generation = self.slots.get(place as usize)?.generation;
        Some(StreamKey { place, generation })
    }

    /// The SSRC of a stream's media.
    pub fn ssrc(&self, key: StreamKey) -> Option<u32> {
        Some(self.stream(key)?.ssrc)
    }

    /// Writes a datagram with this packet, sealed, and says how many bytes it has. None, and
    /// nothing is written, if there is no such stream, if this number was sent before or could
    /// have been, or if it could not be sealed.
    pub fn write(
        &mut self,
        now: Instant,
        key: StreamKey,
        packet: Outgoing,
        wire: Wire<'_>,
    ) -> Option<usize> {
        let Wire { out, sealer, .. } = wire;
        // What is nothing but padding says so: it stands for something that nobody is to wait for.
        let padding = wire.padding.max(u8::from(packet.payload.is_empty()));
        let Settings { clock, keep, .. } = &self.settings;
        let (keep, send_time) = (*keep, clock.absolute_send_time(now));
        let rtx_type = self.rtx_type(packet.payload_type);
        let stream = stream_mut(&mut self.slots, key)?;
        if stream.sealed.note(packet.number) == Novelty::Known {
            return None;
        }
        let start = out.len();
        let header = NewHeader {
            payload_type: packet.payload_type,
            is_marked: packet.is_marked,
            number: packet.number as u16,
            timestamp: packet.timestamp,
            ssrc: stream.ssrc,
            has_padding: padding > 0,
            audio_level: packet.audio_level,
            absolute_send_time: Some(send_time),
            transport_number: wire.transport_number,
            descriptor: packet.descriptor.as_ref().map(Descriptor::bytes),
        };
        let length = header.write(wire.ids, out);
        put(&packet.payload, packet.patch.as_ref(), out);
        pad(padding, out);
        let sealed = sealer.seal_rtp(out, start, length, stream.ssrc, packet.number);
        if let Err(error) = sealed {
            debug!(%error, "a packet was not sealed");
            return None;
        }

        let bytes = packet.payload.len();
        stream.statistics.packets += 1;
        stream.statistics.bytes += bytes as u64;
        stream.payload_type = packet.payload_type;
        stream.is_active = true;
        stream.note_time(packet.timestamp, packet.arrived);
        if stream.is_kept && rtx_type.is_some() {
            stream.share.sent(now, bytes);
            stream.kept.push(keep, now, packet);
            self.padder = Some(key);
        }
        if self.report_at.is_none() {
            // The first soon: without them audio and video are not in step.
            let wait = if self.has_reported {
                REPORT
            } else {
                REPORT_FIRST
            };
            self.report_at = Some(now + wait);
        }
        Some(out.len() - start)
    }

    /// The client misses these packets of a stream. What is kept waits to be sent again, at most
    /// once in a round trip.
    pub fn nacked(&mut self, now: Instant, ssrc: u32, numbers: impl Iterator<Item = u16>) {
        let (keep, again) = (self.settings.keep, self.pause());
        let Some(key) = self.key(ssrc) else { return };
        let Some(stream) = stream_mut(&mut self.slots, key) else {
            return;
        };
        let Some(highest) = stream.sealed.highest().filter(|_| stream.ssrc == ssrc) else {
            return;
        };
        let tick = stream.kept.tick(now);
        for number in numbers.take(NUMBERS_MAX) {
            stream.statistics.asked += 1;
            let number = extend(number, highest);
            let Some(packet) = stream.kept.get(keep, now, number) else {
                stream.statistics.refused += 1;
                continue;
            };
            if packet.is_asked || packet.is_sent_again(tick, again) {
                continue;
            }
            if self.resends.len() >= RESENDS_MAX {
                stream.statistics.refused += 1;
                continue;
            }
            packet.is_asked = true;
            self.resends.push_back(Resend {
                key,
                number,
                unasked: 0,
            });
        }
    }

    /// Whether [`Sender::reported`] has anything to do.
    pub fn is_awaiting_reports(&self) -> bool {
        !self.travelling.is_empty()
    }

    /// Transport feedback says what became of a packet. A retransmission that was lost leaves once
    /// more, a few times, whether or not the client asks again.
    pub fn reported(&mut self, now: Instant, transport_number: u16, has_arrived: bool) {
        let (keep, again) = (self.settings.keep, self.pause());
        let Some(resend) = self.travelling.report(transport_number, has_arrived) else {
            return;
        };
        let Some(stream) = stream_mut(&mut self.slots, resend.key) else {
            return;
        };
        let tick = stream.kept.tick(now);
        let Some(packet) = stream.kept.get(keep, now, resend.number) else {
            return;
        };
        let is_on_its_way = packet.is_asked || packet.is_sent_again(tick, again);
        if !is_on_its_way && self.resends.len() < RESENDS_MAX {
            packet.is_asked = true;
            self.resends.push_back(resend);
        }
    }

    /// About how large the next retransmission is, as a datagram. None if there is none; those
    /// that are over the share of their stream are given up.
    pub fn next_retransmission(&mut self, now: Instant) -> Option<usize> {
        let (keep, share) = (self.settings.keep, self.settings.share);
        while let Some(&Resend { key, number, .. }) = self.resends.front() {
            if let Some(stream) = stream_mut(&mut self.slots, key) {
                let is_too_much = stream.share.of_late(now) > share;
                if let Some(packet) = stream.kept.get(keep, now, number) {
                    if !is_too_much {
                        return Some(packet.payload.len() + OVERHEAD);
                    }
                    packet.is_asked = false;
                }
                stream.statistics.refused += 1;
            }
            self.resends.pop_front();
        }
        None
    }

    /// Writes the next retransmission as [`Sender::write`] does.
    pub fn write_retransmission(&mut self, now: Instant, wire: Wire<'_>) -> Option<usize> {
        self.next_retransmission(now)?;
        let resend = self.resends.pop_front()?;
        let Resend { key, number, .. } = resend;
        let transport_number = wire.transport_number;
        let size = self.write_rtx(now, key, Body::Packet(number), wire)?;
        if let Some(transport_number) = transport_number {
            self.travelling.note(transport_number, resend);
        }
        let stream = stream_mut(&mut self.slots, key)?;
        if let Some(packet) = stream.kept.get(self.settings.keep, now, number) {
            packet.is_asked = false;
            let bytes = packet.payload.len();
            stream.share.sent_again(now, bytes);
            stream.statistics.resent_packets += 1;
            stream.statistics.resent_bytes += bytes as u64;
        }
        Some(size)
    }

    /// Writes a datagram of about `bytes` (at most twice as many) that nobody needs, as
    /// [`Sender::write`] does: something recent once more where there is such, else an empty
    /// packet with up to 255 bytes of padding. None if no stream has retransmissions.
    pub fn write_padding(&mut self, now: Instant, bytes: usize, wire: Wire<'_>) -> Option<usize> {
        let keep = self.settings.keep;
        let pause = self.pause();
        let key = self.padder()?;
        let stream = stream_mut(&mut self.slots, key)?;
        let mut body = Body::Empty(bytes.clamp(1, PADDING_MAX) as u8);
        if bytes > PADDING_SMALL {
            stream.kept.purge(keep, now);
            let largest = (2 * bytes).saturating_sub(OVERHEAD);
            if let Some(packet) = stream.kept.filler(largest, now, pause) {
                body = Body::Packet(packet.number);
            }
        }
        let size = self.write_rtx(now, key, body, wire)?;
        let stream = stream_mut(&mut self.slots, key)?;
        stream.statistics.padding_packets += 1;
        stream.statistics.padding_bytes += size as u64;
        Some(size)
    }

    /// Takes in what the client says about a stream; how long a round trip took, if that shows.
    pub fn note_report_block(&mut self, now: Instant, block: &ReportBlock) -> Option<Duration> {
        let key = self.key(block.ssrc)?;
        let stream = stream_mut(&mut self.slots, key)?;
        if stream.ssrc != block.ssrc {
            return None;
        }
        let measured = stream.note_report(now, &self.settings.clock, block)?;
        self.note_round_trip(measured);
        Some(measured)
    }

    /// How long a round trip took, from elsewhere too.
    pub fn note_round_trip(&mut self, measured: Duration) {
        self.round_trip = Some(match self.round_trip {
            None => measured,
            Some(known) => (known * 7 + measured) / 8,
        });
    }

    /// Of everything that was sent, the share that did not arrive, as the client said of late (0
    /// to 1). None if it said nothing.
    pub fn reported_loss(&self, now: Instant) -> Option<f32> {
        let (mut lost, mut sent) = (0.0, 0);
        for stream in self.slots.iter().filter_map(|slot| slot.stream.as_ref()) {
            let Some(report) = stream.statistics.report else {
                continue;
            };
            if now.saturating_duration_since(report.at) <= OF_LATE {
                lost += report.loss * stream.reported_of_late as f32;
                sent += stream.reported_of_late;
            }
        }
        (sent > 0).then(|| lost / sent as f32)
    }

    /// Whether anything waits to be sent again. It may turn out that it is not: see
    /// [`Sender::next_retransmission`].
    pub fn has_retransmissions(&self) -> bool {
        !self.resends.is_empty()
    }

    /// Whether [`Sender::write_padding`] has a stream to write to.
    pub fn can_pad(&self) -> bool {
        self.padder().is_some() && !self.settings.rtx_types.is_empty()
    }

    /// What is believed of the round trip.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Appends one datagram of sender reports to `out` if any is due, in the clear; true if it
    /// did, and then there may be more.
    pub fn write_due(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        if self.reporting.is_none() {
            if self.report_at.is_none_or(|at| at > now) {
                return false;
            }
            self.report_at = None;
            self.reporting = Some(0);
            self.has_reported = true;
        }
        let (keep, clock) = (self.settings.keep, self.settings.clock);
        let start = out.len();
        while let Some(place) = self.reporting {
            let Some(slot) = self.slots.get_mut(place) else {
                self.reporting = None;
                break;
            };
            self.reporting = Some(place + 1);
            let Some(stream) = slot.stream.as_mut() else {
                continue;
            };
            stream.kept.purge(keep, now);
            let is_active = std::mem::take(&mut stream.is_active);
            if is_active || stream.kept.len() > 0 {
                // As long as anything is sent, and anything is left of it to let go of.
                self.report_at = Some(now + REPORT);
            }
            if !is_active {
                continue;
            }
            let Some(timestamp) = stream.take_time(now) else {
                continue;
            };
            let information = SenderInformation {
                ntp: clock.at(now),
                timestamp,
                packets: stream.statistics.packets as u32,
                bytes: stream.statistics.bytes as u32,
            };
            rtcp::write_sender_report(out, stream.ssrc, &information, &[]);
            rtcp::write_sdes(out, stream.ssrc, &self.settings.cname);
            if out.len() - start >= REPORTS_FULL {
                break;
            }
        }
        out.len() > start
    }

    /// When [`Sender::write_due`] wants to be called.
    pub fn wake(&self) -> Option<Instant> {
        self.report_at
    }

    /// How a stream does.
    pub fn statistics(&self, key: StreamKey) -> Option<Statistics> {
        Some(self.stream(key)?.statistics)
    }

    /// What is kept of a stream: packets, and bytes of their payloads.
    pub fn kept(&self, key: StreamKey) -> Option<(usize, usize)> {
        let kept = &self.stream(key)?.kept;
        Some((kept.len(), kept.bytes()))
    }
}

// Private.
impl Sender {
    fn stream(&self, key: StreamKey) -> Option<&Stream> {
        let slot = self.slots.get(key.place as usize)?;
        slot.stream
            .as_ref()
            .filter(|_| slot.generation == key.generation)
    }

    fn place(&self, ssrc: u32) -> Option<u32> {
        let index = self.ssrcs.binary_search_by_key(&ssrc, |(ssrc, _)| *ssrc);
        Some(self.ssrcs.get(index.ok()?)?.1)
    }

    fn rtx_type(&self, payload_type: u8) -> Option<u8> {
        let mut types = self.settings.rtx_types.iter();
        Some(types.find(|(media, _)| *media == payload_type)?.1)
    }

    /// How long something that was sent again is not sent again. Who asks once more after a round
    /// trip knows of the answer; delays vary, and clients ask a few times only.
    fn pause(&self) -> Duration {
        let known = self.round_trip.map(|known| known * 9 / 10);
        known.map_or(PAUSE, |known| known.max(PAUSE_LEAST))
    }

    /// Where padding goes: the stream that was sent last, else any.
    fn padder(&self) -> Option<StreamKey> {
        self.padder.or_else(|| {
            let mut slots = self.slots.iter().zip(0u32..);
            slots.find_map(|(slot, place)| {
                slot.stream.as_ref().filter(|stream| stream.is_kept)?;
                Some(StreamKey {
                    place,
                    generation: slot.generation,
                })
            })
        })
    }

    /// Writes a datagram of an RTX stream.
    fn write_rtx(
        &mut self,
        now: Instant,
        key: StreamKey,
        body: Body,
        wire: Wire<'_>,
    ) -> Option<usize> {
        let Wire { out, sealer, .. } = wire;
        let keep = self.settings.keep;
        let absolute_send_time = Some(self.settings.clock.absolute_send_time(now));
        let stream = self.stream(key)?;
        // Before the first packet it is not known what it will be; any type is no media's.
        let any = self.settings.rtx_types.first().map(|(_, rtx)| *rtx);
        let of_last = self.rtx_type(stream.payload_type).or(any)?;
        let (ssrc, number) = (stream.rtx?, stream.next_rtx);
        let empty = NewHeader {
            payload_type: of_last,
            is_marked: false,
            number: number as u16,
            timestamp: stream.timestamp,
            ssrc,
            has_padding: true,
            audio_level: None,
            absolute_send_time,
            transport_number: wire.transport_number,
            descriptor: None,
        };
        let types = &self.settings.rtx_types;
        let start = out.len();
        let slot = self.slots.get_mut(key.place as usize)?;
        let stream = slot.stream.as_mut()?;
        let length = match body {
            Body::Packet(original) => {
                let tick = stream.kept.tick(now);
                let packet = stream.kept.get(keep, now, original)?;
                let (_, rtx_type) = types
                    .iter()
                    .find(|(media, _)| *media == packet.payload_type)?;
                packet.note_sent_again(tick);
                let header = NewHeader {
                    payload_type: *rtx_type,
                    is_marked: packet.is_marked,
                    timestamp: packet.timestamp,
                    has_padding: false,
                    descriptor: packet.descriptor.as_ref().map(Descriptor::bytes),
                    ..empty
                };
                let length = header.write(wire.ids, out);
                // RFC 4588, 4: the original number is the first two bytes of the payload.
                out.extend_from_slice(&(original as u16).to_be_bytes());
                put(&packet.payload, packet.patch.as_ref(), out);
                length
            }
            Body::Empty(padding) => {
                let length = empty.write(wire.ids, out);
                pad(padding, out);
                length
            }
        };
        if let Err(error) = sealer.seal_rtp(out, start, length, ssrc, number) {
            debug!(%error, "a packet was not sealed");
            return None;
        }
        stream.next_rtx += 1;
        Some(out.len() - start)
    }

    fn take_spent(&mut self, ssrc: u32) -> Option<u64> {
        let index = self.spent.iter().position(|spent| spent.ssrc == ssrc)?;
        Some(self.spent.remove(index)?.number)
    }

    fn spend(&mut self, ssrc: u32, number: u64) {
        if self.spent.len() >= SPENT_MAX {
            self.spent.pop_front();
        }
        self.spent.push_back(Spent { ssrc, number });
    }
}

fn stream_mut(slots: &mut [Slot], key: StreamKey) -> Option<&mut Stream> {
    let slot = slots.get_mut(key.place as usize)?;
    slot.stream
        .as_mut()
        .filter(|_| slot.generation == key.generation)
}

/// Appends a payload with what is other in it.
fn put(payload: &[u8], patch: Option<&Patch>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(payload);
    if let (Some(patch), Some(written)) = (patch, out.get_mut(start..)) {
        patch.apply(written);
    }
}

/// Appends so many bytes of padding, of which the last one says how many they are (RFC 3550, 5.1).
fn pad(padding: u8, out: &mut Vec<u8>) {
    if let Some(others) = padding.checked_sub(1) {
        out.resize(out.len() + usize::from(others), 0);
        out.push(padding);
    }
}

/// SRTP's roll-over counter begins at 0 on both sides.
const RTX_FIRST: u64 = 1;
/// How often the client is told which instant a timestamp stands for. RFC 3550 (6.2) asks for
/// five seconds; browsers have used one since they began to keep audio and video in step by it.
const REPORT: Duration = Duration::from_secs(1);
const REPORT_FIRST: Duration = Duration::from_millis(100);
/// Longer than clients wait between reports about video.
const OF_LATE: Duration = Duration::from_secs(3);
/// A datagram with so many bytes of reports is full: another has at most 300, and fits.
const REPORTS_FULL: usize = 850;
/// Header with extensions, original number and tag of a retransmission, about.
const OVERHEAD: usize = 46;
/// Of numbers in one message: no datagram of feedback names more.
const NUMBERS_MAX: usize = 6_000;
/// More than that cannot be made up for anyway.
const RESENDS_MAX: usize = 512;
/// As long as no round trip has been measured.
const PAUSE: Duration = Duration::from_millis(50);
/// Two requests closer to each other were sent without knowing of the first one's answer.
const PAUSE_LEAST: Duration = Duration::from_millis(10);
/// One byte says how much padding there is.
const PADDING_MAX: usize = 255;
/// Less is not worth a packet of media.
const PADDING_SMALL: usize = 50;
/// Of streams that were removed and may come back, two SSRCs each: twice as many as the bridge
/// remembers.
const SPENT_MAX: usize = 1_024;

#[cfg(test)]
mod tests;
