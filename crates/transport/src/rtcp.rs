//! RTCP (RFC 3550, section 6; RFC 3611, 4.4 and 4.5; RFC 4585; RFC 5104; REMB; transport-wide
//! feedback), read and written.
//!
//! [`read`] goes through the packets of a datagram, compound or of reduced size (RFC 5506), without
//! a copy. The functions `write_*` append to a buffer; a datagram is what was appended together.

mod transport;
mod write;

pub use transport::{
    FEEDBACK_MAX, HOLE_MAX, Statuses, TransportFeedback, write_transport_feedback,
};
pub use write::{
    NACK_ENTRIES_MAX, REPORT_BLOCKS_MAX, write_fir, write_nack, write_pli, write_receiver_report,
    write_reference_answer, write_sdes, write_sender_report,
};

/// One packet within a datagram. `sender` is the SSRC of whom it is from, `media` that of the
/// stream it is about.
#[derive(Clone, Debug)]
pub enum Packet<'a> {
    SenderReport(SenderReport<'a>),
    ReceiverReport(ReceiverReport<'a>),
    ReferenceTime(ReferenceTime),
    Nack(Nack<'a>),
    Pli(Pli),
    Fir(Fir<'a>),
    Remb(Remb<'a>),
    TransportFeedback(TransportFeedback<'a>),
    Bye(Bye<'a>),
}

/// What a sender says of itself, and of what it receives (RFC 3550, 6.4.1).
#[derive(Clone, Debug)]
pub struct SenderReport<'a> {
    pub sender: u32,
    pub information: SenderInformation,
    pub blocks: ReportBlocks<'a>,
}

/// What was sent until now, and which instant a timestamp stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInformation {
    /// Wall clock: seconds since 1900 in 2⁻³² seconds.
    pub ntp: u64,
    /// The same instant in the stream's clock.
    pub timestamp: u32,
    /// Modulo 2³².
    pub packets: u32,
    /// Of payload, without padding, modulo 2³².
    pub bytes: u32,
}

impl SenderInformation {
    /// What a [`ReportBlock::last_sender_report`] says of this one: 2⁻¹⁶ seconds.
    pub fn compact(&self) -> u32 {
        (self.ntp >> 16) as u32
    }
}

/// What is received by someone who sends nothing (RFC 3550, 6.4.2).
#[derive(Clone, Debug)]
pub struct ReceiverReport<'a> {
    pub sender: u32,
    pub blocks: ReportBlocks<'a>,
}

/// What time it is at a receiver (RFC 3611, 4.4): who has it told when that came learns the round
/// trip, also if it sends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceTime {
    pub sender: u32,
    /// As in [`SenderInformation::ntp`].
    pub ntp: u64,
}

impl ReferenceTime {
    /// What the answer says of this one: 2⁻¹⁶ seconds.
    pub fn compact(&self) -> u32 {
        (self.ntp >> 16) as u32
    }
}

/// How one stream arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Of what was expected since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Since the beginning. Duplicates count against it: below 0 is possible. 24 bits, what is
    /// beyond is written as the nearest.
    pub lost: i32,
    /// Sequence number with the count of its wraps above it.
    pub highest_number: u32,
    /// In ticks of the stream's clock.
    pub jitter: u32,
    /// [`SenderInformation::compact`] of the last sender report, 0 if there was none.
    pub last_sender_report: u32,
    /// Since then, in 2⁻¹⁶ seconds.
    pub delay: u32,
}

/// Packets that are missing (RFC 4585, 6.2.1).
#[derive(Clone, Debug)]
pub struct Nack<'a> {
    pub sender: u32,
    pub media: u32,
    entries: &'a [[u8; 4]],
}

impl<'a> Nack<'a> {
    /// The numbers as they are named, each once or more. At most 17 for 4 bytes of the datagram.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + Clone + use<'a> {
        self.entries.iter().flat_map(|&[n0, n1, b0, b1]| {
            let number = u16::from_be_bytes([n0, n1]);
            let following = u16::from_be_bytes([b0, b1]);
            let following = (0..16).filter(move |bit| following & 1 << bit != 0);
            std::iter::once(number)
                .chain(following.map(move |bit: u16| number.wrapping_add(bit + 1)))
        })
    }
}

/// A key frame is asked for (RFC 4585, 6.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pli {
    pub sender: u32,
    pub media: u32,
}

/// Key frames are asked for (RFC 5104, 4.3.1).
#[derive(Clone, Debug)]
pub struct Fir<'a> {
    pub sender: u32,
    entries: &'a [[u8; 8]],
}

impl<'a> Fir<'a> {
    /// The streams, each with the number of the request: who has seen that one need not answer
    /// again.
    pub fn requests(&self) -> impl Iterator<Item = (u32, u8)> + Clone + use<'a> {
        self.entries
            .iter()
            .map(|&[s0, s1, s2, s3, number, ..]| (u32::from_be_bytes([s0, s1, s2, s3]), number))
    }
}

/// A receiver's estimate of its bandwidth (draft-alvestrand-rmcat-remb-03).
#[derive(Clone, Debug)]
pub struct Remb<'a> {
    pub sender: u32,
    /// The largest there is if the value that was sent is beyond it.
    pub bits_per_second: u64,
    ssrcs: &'a [[u8; 4]],
}

impl<'a> Remb<'a> {
    /// The streams it is about.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + Clone + use<'a> {
        self.ssrcs.iter().map(|&ssrc| u32::from_be_bytes(ssrc))
    }
}

/// Streams that end (RFC 3550, 6.6).
#[derive(Clone, Debug)]
pub struct Bye<'a> {
    ssrcs: &'a [[u8; 4]],
}

impl<'a> Bye<'a> {
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + Clone + use<'a> {
        self.ssrcs.iter().map(|&ssrc| u32::from_be_bytes(ssrc))
    }
}

/// The blocks of one report.
#[derive(Clone, Debug)]
pub struct ReportBlocks<'a> {
    blocks: &'a [[[u8; 4]; 6]],
}

impl<'a> ReportBlocks<'a> {
    /// At most [`REPORT_BLOCKS_MAX`].
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + Clone + use<'a> {
        self.blocks
            .iter()
            .map(|&[ssrc, lost, highest, jitter, last, delay]| {
                let lost = u32::from_be_bytes(lost);
                ReportBlock {
                    ssrc: u32::from_be_bytes(ssrc),
                    fraction_lost: (lost >> 24) as u8,
                    // the sign is in the 24th bit
                    lost: (lost << 8).cast_signed() >> 8,
                    highest_number: u32::from_be_bytes(highest),
                    jitter: u32::from_be_bytes(jitter),
                    last_sender_report: u32::from_be_bytes(last),
                    delay: u32::from_be_bytes(delay),
                }
            })
    }
}

/// The packets of a decrypted datagram, in their order. What is not known here (descriptions, APP,
/// other extended reports and feedback) is passed over, and so is transport-wide feedback from where
/// the datagram has said something about [`STATUSES_MAX`] packets.
pub fn read(datagram: &[u8]) -> Packets<'_> {
    Packets {
        rest: datagram,
        statuses_left: STATUSES_MAX,
        is_malformed: false,
    }
}

/// Transport-wide feedback in one datagram is about no more packets: two bytes can speak of 8,191,
/// so that a peer could otherwise make millions of steps of work with one datagram.
pub const STATUSES_MAX: u16 = 8_191;

/// See [`read`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    statuses_left: u16,
    is_malformed: bool,
}

impl Packets<'_> {
    /// Whether the iterator ended because what follows is no RTCP. What came before it counts.
    pub fn is_malformed(&self) -> bool {
        self.is_malformed
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        while !self.rest.is_empty() {
            let read = Raw::split(self.rest)
                .and_then(|(raw, rest)| Some((raw.read(self.statuses_left)?, rest)));
            let Some((known, rest)) = read else {
                self.is_malformed = true;
                self.rest = &[];
                return None;
            };
            self.rest = rest;
            if let Known::Packet(packet) = known {
                if let Packet::TransportFeedback(feedback) = &packet {
                    self.statuses_left = self.statuses_left.saturating_sub(feedback.count);
                }
                return Some(packet);
            }
        }
        None
    }
}

/// A packet whose kind has not been looked at.
struct Raw<'a> {
    kind: u8,
    /// The five bits that each kind has its own use for.
    count: u8,
    /// Behind the first four bytes, without padding.
    body: &'a [u8],
}

enum Known<'a> {
    Packet(Packet<'a>),
    Other,
}

impl<'a> Raw<'a> {
    /// The first packet and what follows; None if there is none.
    fn split(datagram: &'a [u8]) -> Option<(Raw<'a>, &'a [u8])> {
        let (&[first, kind, l0, l1], behind) = datagram.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        let (mut body, rest) = behind.split_at_checked(length)?;
        if first >> 6 != 2 {
            return None;
        }
        if first & HAS_PADDING != 0 {
            let padding = usize::from(*body.last()?);
            if padding == 0 {
                return None;
            }
            body = body.get(..body.len().checked_sub(padding)?)?;
        }
        let count = first & 0x1f;
        Some((Raw { kind, count, body }, rest))
    }

    /// None if it is shorter than its kind must be, or otherwise cannot be.
    fn read(&self, statuses_max: u16) -> Option<Known<'a>> {
        let packet = match (self.kind, self.count) {
            (SENDER_REPORT, _) => {
                let (words, _) = self.body.as_chunks();
                let (&[sender, n0, n1, timestamp, packets, bytes], blocks) =
                    words.split_first_chunk()?;
                let (n0, n1) = (u32::from_be_bytes(n0), u32::from_be_bytes(n1));
                Packet::SenderReport(SenderReport {
                    sender: u32::from_be_bytes(sender),
                    information: SenderInformation {
                        ntp: u64::from(n0) << 32 | u64::from(n1),
                        timestamp: u32::from_be_bytes(timestamp),
                        packets: u32::from_be_bytes(packets),
                        bytes: u32::from_be_bytes(bytes),
                    },
                    blocks: self.blocks(blocks)?,
                })
            }
            (RECEIVER_REPORT, _) => {
                let (&sender, blocks) = self.body.as_chunks().0.split_first()?;
                Packet::ReceiverReport(ReceiverReport {
                    sender: u32::from_be_bytes(sender),
                    blocks: self.blocks(blocks)?,
                })
            }
            (EXTENDED_REPORT, _) => {
                let (&sender, blocks) = self.body.as_chunks().0.split_first()?;
                let Some(ntp) = reference_time(blocks) else {
                    return Some(Known::Other);
                };
                Packet::ReferenceTime(ReferenceTime {
                    sender: u32::from_be_bytes(sender),
                    ntp,
                })
            }
            (BYE, count) => Packet::Bye(Bye {
                ssrcs: self.body.as_chunks().0.get(..usize::from(count))?,
            }),
            (TRANSPORT_FEEDBACK, NACK) => {
                let (sender, media, entries) = self.feedback()?;
                Packet::Nack(Nack {
                    sender,
                    media,
                    entries: entries.as_chunks().0,
                })
            }
            (TRANSPORT_FEEDBACK, TRANSPORT_WIDE) => {
                let (sender, media, content) = self.feedback()?;
                if transport::count(content)? > statuses_max {
                    return Some(Known::Other);
                }
                Packet::TransportFeedback(TransportFeedback::read(sender, media, content)?)
            }
            (PAYLOAD_FEEDBACK, PLI) => {
                let (sender, media, _) = self.feedback()?;
                Packet::Pli(Pli { sender, media })
            }
            (PAYLOAD_FEEDBACK, FIR) => {
                let (sender, _, entries) = self.feedback()?;
                Packet::Fir(Fir {
                    sender,
                    entries: entries.as_chunks().0,
                })
            }
            (PAYLOAD_FEEDBACK, APPLICATION) => {
                let (sender, _, content) = self.feedback()?;
                let Some((&[b'R', b'E', b'M', b'B', count, b0, b1, b2], ssrcs)) =
                    content.split_first_chunk()
                else {
                    return Some(Known::Other);
                };
                let mantissa = u32::from_be_bytes([0, b0 & 0x03, b1, b2]);
                let scale = 1u64 << (b0 >> 2);
                Packet::Remb(Remb {
                    sender,
                    bits_per_second: u64::from(mantissa).saturating_mul(scale),
                    ssrcs: ssrcs.as_chunks().0.get(..usize::from(count))?,
                })
            }
            _ => return Some(Known::Other),
        };
        Some(Known::Packet(packet))
    }

    /// As many report blocks as were announced, of these words.
    fn blocks(&self, words: &'a [[u8; 4]]) -> Option<ReportBlocks<'a>> {
        let blocks = words.as_chunks().0.get(..usize::from(self.count))?;
        Some(ReportBlocks { blocks })
    }

    /// Sender, media, and the rest of a feedback message (RFC 4585, 6.1).
    fn feedback(&self) -> Option<(u32, u32, &'a [u8])> {
        let (sender, rest) = self.body.split_first_chunk()?;
        let (media, rest) = rest.split_first_chunk()?;
        Some((
            u32::from_be_bytes(*sender),
            u32::from_be_bytes(*media),
            rest,
        ))
    }
}

/// The first reference time among the blocks of an extended report (RFC 3611, 3).
fn reference_time(mut blocks: &[[u8; 4]]) -> Option<u64> {
    loop {
        let (&[kind, _, l0, l1], behind) = blocks.split_first()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let (content, rest) = behind.split_at_checked(length)?;
        if let (REFERENCE_TIME, &[high, low]) = (kind, content) {
            let (high, low) = (u32::from_be_bytes(high), u32::from_be_bytes(low));
            return Some(u64::from(high) << 32 | u64::from(low));
        }
        blocks = rest;
    }
}

const HAS_PADDING: u8 = 1 << 5;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const EXTENDED_REPORT: u8 = 207;
/// Blocks of extended reports.
const REFERENCE_TIME: u8 = 4;
const REFERENCE_ANSWER: u8 = 5;

/// Formats of transport feedback.
const NACK: u8 = 1;
const TRANSPORT_WIDE: u8 = 15;

/// Formats of payload feedback.
const PLI: u8 = 1;
const FIR: u8 = 4;
const APPLICATION: u8 = 15;

#[cfg(test)]
mod tests;
