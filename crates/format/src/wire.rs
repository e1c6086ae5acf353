//! Reading and writing of little-endian fields with bounds checked first.

use crate::error::{Damage, FormatError, Result};

/// A cursor over the bytes of one object.
#[derive(Debug)]
pub struct Reader<'a> {
    object: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts to read `bytes` as an `object`.
    #[must_use]
    pub fn new(object: &'static str, bytes: &'a [u8]) -> Self {
        Self { object, rest: bytes }
    }

    /// An error about this object.
    #[must_use]
    pub fn error(&self, damage: Damage) -> FormatError {
        FormatError::new(self.object, damage)
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(self.error(Damage::Truncated))?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(self.error(Damage::Truncated))?;
        self.rest = rest;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// A little-endian 16-bit number.
    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// A little-endian 32-bit number.
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A little-endian 64-bit number.
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// An LEB128 number of at most 64 bits, in its shortest form `[V-1.5]`.
    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 || (byte == 0 && shift > 0) {
                return Err(self.error(Damage::Field("varint")));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error(Damage::Field("varint")))
    }

    /// A signed number in zigzag LEB128.
    pub fn varint_signed(&mut self) -> Result<i64> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A count or length as a varint, at most `max`.
    pub fn count(&mut self, field: &'static str, max: usize) -> Result<usize> {
        let value = self.varint()?;
        usize::try_from(value).ok().filter(|count| *count <= max).ok_or(self.error(Damage::Limit(field)))
    }

    /// A varint length of at most `max`, then that many bytes.
    pub fn blob(&mut self, field: &'static str, max: usize) -> Result<&'a [u8]> {
        let len = self.count(field, max)?;
        self.bytes(len)
    }

    /// Checks that nothing is left.
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(Damage::TrailingBytes)) }
    }
}

/// Appends fields to a byte vector.
pub trait Writer {
    /// A little-endian 16-bit number.
    fn put_u16(&mut self, value: u16);
    /// A little-endian 32-bit number.
    fn put_u32(&mut self, value: u32);
    /// A little-endian 64-bit number.
    fn put_u64(&mut self, value: u64);
    /// An LEB128 number.
    fn put_varint(&mut self, value: u64);
    /// A zigzag LEB128 number.
    fn put_varint_signed(&mut self, value: i64);
    /// A varint length, then the bytes.
    fn put_blob(&mut self, bytes: &[u8]);
}

impl Writer for Vec<u8> {
    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_varint_signed(&mut self, value: i64) {
        self.put_varint(((value << 1) ^ (value >> 63)) as u64);
    }

    fn put_blob(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}
