//! RTCP, written. Each function appends whole packets to `out`; the caller decides what goes into
//! one datagram, and how much.

use super::{
    DESCRIPTION, EXTENDED_REPORT, FIR, NACK, PAYLOAD_FEEDBACK, PLI, RECEIVER_REPORT,
    REFERENCE_ANSWER, ReportBlock, SENDER_REPORT, SenderInformation, TRANSPORT_FEEDBACK,
};

/// A report has no more blocks: their number has five bits.
pub const REPORT_BLOCKS_MAX: usize = 31;

/// Entries in one NACK, so that it fits a datagram beside reports: 256 bytes, up to 1,088 numbers.
pub const NACK_ENTRIES_MAX: usize = 64;

/// A sender report. Blocks beyond [`REPORT_BLOCKS_MAX`] follow in receiver reports.
pub fn write_sender_report(
    out: &mut Vec<u8>,
    sender: u32,
    information: &SenderInformation,
    blocks: &[ReportBlock],
) {
    let (now, later) = split(blocks);
    let packet = begin(out, now.len() as u8, SENDER_REPORT, sender);
    out.extend_from_slice(&information.ntp.to_be_bytes());
    out.extend_from_slice(&information.timestamp.to_be_bytes());
    out.extend_from_slice(&information.packets.to_be_bytes());
    out.extend_from_slice(&information.bytes.to_be_bytes());
    write_blocks(out, now);
    end(out, packet);
    if !later.is_empty() {
        write_receiver_report(out, sender, later);
    }
}

/// A receiver report, or as many as the blocks need. One without blocks begins a compound packet
/// of someone who has nothing to report.
pub fn write_receiver_report(out: &mut Vec<u8>, sender: u32, blocks: &[ReportBlock]) {
    let mut later = blocks;
    loop {
        let (now, rest) = split(later);
        let packet = begin(out, now.len() as u8, RECEIVER_REPORT, sender);
        write_blocks(out, now);
        end(out, packet);
        if rest.is_empty() {
            break;
        }
        later = rest;
    }
}

/// Answers a [`super::ReferenceTime`] of `receiver` (RFC 3611, 4.5): its compact form, and how long
/// ago it came, in 2⁻¹⁶ seconds.
pub fn write_reference_answer(
    out: &mut Vec<u8>,
    sender: u32,
    receiver: u32,
    compact: u32,
    delay: u32,
) {
    let packet = begin(out, 0, EXTENDED_REPORT, sender);
    // one entry of three words
    out.extend_from_slice(&[REFERENCE_ANSWER, 0, 0, 3]);
    for word in [receiver, compact, delay] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    end(out, packet);
}

/// The canonical name of a sender (RFC 3550, 6.5.1), of which 255 bytes are written.
pub fn write_sdes(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    const CNAME: u8 = 1;
    let name = cname.as_bytes();
    let name = name.get(..255).unwrap_or(name);
    let packet = begin(out, 1, DESCRIPTION, ssrc);
    out.extend_from_slice(&[CNAME, name.len() as u8]);
    out.extend_from_slice(name);
    // the list ends in one zero at least, at a whole word
    let length = (out.len() - packet + 1).next_multiple_of(4);
    out.resize(packet + length, 0);
    end(out, packet);
}

/// Asks for packets again. The numbers ascend (modulo 2¹⁶); without any nothing is written, and
/// what does not fit one packet ([`NACK_ENTRIES_MAX`]) is in further ones.
pub fn write_nack(
    out: &mut Vec<u8>,
    sender: u32,
    media: u32,
    numbers: impl IntoIterator<Item = u16>,
) {
    let mut numbers = numbers.into_iter().peekable();
    while numbers.peek().is_some() {
        let packet = begin_feedback(out, NACK, TRANSPORT_FEEDBACK, sender, media);
        for _ in 0..NACK_ENTRIES_MAX {
            let Some(first) = numbers.next() else {
                break;
            };
            let mut following = 0u16;
            while let Some(number) = numbers.next_if(|number| number.wrapping_sub(first) <= 16) {
                // the first one again is none of those that follow it
                if let Some(bit) = number.wrapping_sub(first).checked_sub(1) {
                    following |= 1 << bit;
                }
            }
            out.extend_from_slice(&first.to_be_bytes());
            out.extend_from_slice(&following.to_be_bytes());
        }
        end(out, packet);
    }
}

/// Asks for a key frame.
pub fn write_pli(out: &mut Vec<u8>, sender: u32, media: u32) {
    let packet = begin_feedback(out, PLI, PAYLOAD_FEEDBACK, sender, media);
    end(out, packet);
}

/// Asks for a key frame, the `number`th time. The same number again is the same request.
pub fn write_fir(out: &mut Vec<u8>, sender: u32, media: u32, number: u8) {
    let packet = begin_feedback(out, FIR, PAYLOAD_FEEDBACK, sender, 0);
    out.extend_from_slice(&media.to_be_bytes());
    out.extend_from_slice(&[number, 0, 0, 0]);
    end(out, packet);
}

fn split(blocks: &[ReportBlock]) -> (&[ReportBlock], &[ReportBlock]) {
    blocks
        .split_at_checked(REPORT_BLOCKS_MAX)
        .unwrap_or((blocks, &[]))
}

fn write_blocks(out: &mut Vec<u8>, blocks: &[ReportBlock]) {
    for block in blocks {
        let [_, l0, l1, l2] = block.lost.clamp(LOST_MIN, LOST_MAX).to_be_bytes();
        out.extend_from_slice(&block.ssrc.to_be_bytes());
        out.extend_from_slice(&[block.fraction_lost, l0, l1, l2]);
        out.extend_from_slice(&block.highest_number.to_be_bytes());
        out.extend_from_slice(&block.jitter.to_be_bytes());
        out.extend_from_slice(&block.last_sender_report.to_be_bytes());
        out.extend_from_slice(&block.delay.to_be_bytes());
    }
}

/// What 24 bits with a sign hold.
const LOST_MAX: i32 = (1 << 23) - 1;
const LOST_MIN: i32 = -(1 << 23);

/// Writes what all packets begin with, and says where that is.
pub(super) fn begin(out: &mut Vec<u8>, count: u8, kind: u8, sender: u32) -> usize {
    let packet = out.len();
    let [s0, s1, s2, s3] = sender.to_be_bytes();
    out.extend_from_slice(&[2 << 6 | count, kind, 0, 0, s0, s1, s2, s3]);
    packet
}

pub(super) fn begin_feedback(
    out: &mut Vec<u8>,
    format: u8,
    kind: u8,
    sender: u32,
    media: u32,
) -> usize {
    let packet = begin(out, format, kind, sender);
    out.extend_from_slice(&media.to_be_bytes());
    packet
}

/// Fills in the length of the packet that ends with `out`: whole words, at most 2¹⁶ of them.
pub(super) fn end(out: &mut [u8], packet: usize) {
    let words = (out.len() - packet) / 4;
    if let Some(length) = out.get_mut(packet + 2..packet + 4) {
        length.copy_from_slice(&(words.saturating_sub(1) as u16).to_be_bytes());
    }
}
