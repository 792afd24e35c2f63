//! Reading and writing numbers in payloads: big-endian, lengths before bytes, nothing left over.

use bytes::Bytes;

/// Why a payload is not understood.
pub(crate) type Unreadable = &'static str;

/// The version that a payload begins with, where it is newer than `known`.
pub(crate) fn newer(payload: &[u8], known: u8) -> Option<u16> {
    payload.first().copied().filter(|version| *version > known).map(u16::from)
}

/// What is left to read.
pub(crate) struct Input(Bytes);

impl Input {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let taken = self.0.first_chunk().copied().ok_or("cut short")?;
        bytes::Buf::advance(&mut self.0, N);
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Unreadable> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Unreadable> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Unreadable> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, Unreadable> {
        let len = usize::try_from(self.u32()?).map_err(|_| "length beyond memory")?;
        if len > self.0.len() { Err("length beyond the end") } else { Ok(self.0.split_to(len)) }
    }

    pub(crate) fn rest(self) -> Bytes {
        self.0
    }

    pub(crate) fn end(self) -> Result<(), Unreadable> {
        if self.0.is_empty() { Ok(()) } else { Err("bytes after the end") }
    }
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len =
        u32::try_from(bytes.len()).expect("no part of a payload is near 4 GiB: a record's limit is 256 MiB");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}
