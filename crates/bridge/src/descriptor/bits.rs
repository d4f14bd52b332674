//! Numbers of any width in bytes, the most significant bit first.

use super::{BYTES_MAX, Unreadable};

/// Reads bits until there are none left.
#[derive(Clone, Copy)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0 }
    }

    /// How many bits have been read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn flag(&mut self) -> Result<bool, Unreadable> {
        let byte = self.bytes.get(self.at / 8).ok_or(Unreadable::Short)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// A number of at most 32 bits.
    pub(super) fn take(&mut self, width: u32) -> Result<u32, Unreadable> {
        let mut value = 0;
        for _ in 0..width {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    pub(super) fn skip(&mut self, width: usize) -> Result<(), Unreadable> {
        let end = self.at + width;
        if end > self.bytes.len() * 8 {
            return Err(Unreadable::Short);
        }
        self.at = end;
        Ok(())
    }

    /// A number below `bound` in as few bits as it takes (`ns(n)`).
    pub(super) fn non_symmetric(&mut self, bound: u32) -> Result<u32, Unreadable> {
        let width = u32::BITS - bound.leading_zeros();
        let short = (1 << width) - bound;
        let value = self.take(width.saturating_sub(1))?;
        if value < short {
            return Ok(value);
        }
        Ok((value << 1) - short + self.take(1)?)
    }
}

/// Writes bits as long as there is room.
pub(super) struct BitWriter<'a> {
    bytes: &'a mut [u8; BYTES_MAX],
    at: usize,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(bytes: &'a mut [u8; BYTES_MAX]) -> BitWriter<'a> {
        bytes.fill(0);
        BitWriter { bytes, at: 0 }
    }

    /// How many bytes have been begun.
    pub(super) fn bytes(&self) -> usize {
        self.at.div_ceil(8)
    }

    /// Writes the lowest `width` bits.
    pub(super) fn put(&mut self, value: u32, width: u32) -> Option<()> {
        for place in (0..width).rev() {
            let bit = (value >> place & 1) as u8;
            *self.bytes.get_mut(self.at / 8)? |= bit << (7 - self.at % 8);
            self.at += 1;
        }
        Some(())
    }

    /// Copies what is left up to a position.
    pub(super) fn copy(&mut self, from: &mut BitReader<'_>, end: usize) -> Option<()> {
        while from.position() < end {
            let width = (end - from.position()).min(32) as u32;
            self.put(from.take(width).ok()?, width)?;
        }
        Some(())
    }
}
