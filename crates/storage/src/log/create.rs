//! Making log segments: space reserved first, then the head, each synced before anything is built on it.

use super::record::{self, Head};
use crate::dir::Dir;
use crate::file::SegmentFile;
use crate::{Error, names};
use env::DiskFile;
use seal::{Purpose, Sealer};
use std::sync::Arc;

/// The smallest segment that a start makes do with.
const START_BYTES_MIN: u64 = 1024;

/// Space reserved for a segment; all zeros, not part of the log yet.
#[derive(Debug)]
pub(super) struct Reserved {
    pub(super) number: u32,
    pub(super) bytes: u64,
    file: Arc<dyn DiskFile>,
}

/// Reserves a file of `bytes` for segment `number`. [`Error::NoSpace`] leaves nothing behind.
pub(super) fn reserve(dir: &Dir, number: u32, bytes: u64) -> Result<Reserved, Error> {
    let path = names::log_segment(&dir.path, number);
    let file = dir.env.disk.create(&path, bytes).map_err(|error| {
        if error.is_no_space() { Error::NoSpace { path: path.clone(), bytes } } else { error.into() }
    })?;
    dir.env.disk.sync_dir(&dir.path.join(names::LOG))?;
    Ok(Reserved { number, bytes, file })
}

/// Reserves up to `bytes`, less on a nearly full disk: a member must be able to start on one, to free space.
pub(super) fn reserve_what_there_is(dir: &Dir, number: u32, bytes: u64) -> Result<Reserved, Error> {
    let mut bytes = bytes;
    loop {
        match reserve(dir, number, bytes) {
            Err(Error::NoSpace { .. }) if bytes / 2 >= START_BYTES_MIN => bytes /= 2,
            outcome => return outcome,
        }
    }
}

impl Reserved {
    /// Gives the space back.
    pub(super) fn discard(self, dir: &Dir) -> Result<(), Error> {
        Ok(dir.env.disk.remove(&names::log_segment(&dir.path, self.number))?)
    }

    /// Makes it the next segment of the log: writes and syncs its head, before anything is written after it.
    pub(super) fn begin(
        &self,
        dir: &Dir,
        head: &Head,
        out: &mut Vec<u8>,
    ) -> Result<(Sealer, SegmentFile), Error> {
        out.clear();
        let number = u64::from(self.number);
        let mut sealer = Sealer::begin(&dir.keyring, Purpose::Log, number, &*dir.env.random, out)?;
        sealer.seal(record::HEAD, &[&head.encode()], out)?;
        assert_eq!(
            out.len() as u64,
            record::BEGIN_BYTES,
            "header and head have the bytes that recovery looks for"
        );
        self.file.write_at(out, 0)?;
        self.file.sync_data()?;
        let path = names::log_segment(&dir.path, self.number);
        let file = SegmentFile { path, file: self.file.clone(), key: sealer.key() };
        Ok((sealer, file))
    }
}
