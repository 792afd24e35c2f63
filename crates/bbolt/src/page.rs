//! Pages and what they begin with; the two meta pages at the front.
//!
//! Owns the numbering of pages: a page gets the next number when it is written, so a parent always comes after its
//! children.

use crate::{Error, PAGE_BYTES};

/// Bytes of a page's header.
pub(crate) const HEADER_BYTES: usize = 16;
/// Flag of a branch page.
pub(crate) const BRANCH: u16 = 1;
/// Flag of a leaf page.
pub(crate) const LEAF: u16 = 2;
const META: u16 = 4;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const NO_FREELIST: u64 = u64::MAX;
const META_PAGES: u64 = 2;

/// The pages written so far; the meta pages come with the end.
pub(crate) struct Pages {
    runs: Vec<Box<[u8]>>,
    next: u64,
    limit_bytes: u64,
}

impl Pages {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        let meta = || vec![0; PAGE_BYTES].into_boxed_slice();
        Self { runs: vec![meta(), meta()], next: META_PAGES, limit_bytes }
    }

    /// Writes a page of `count` elements whose body `fill` appends, `body_bytes` in all; answers its number.
    pub(crate) fn write(
        &mut self,
        flag: u16,
        count: u16,
        body_bytes: usize,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u64, Error> {
        let too_large = Error::TooLarge { limit_bytes: self.limit_bytes };
        let pages = body_bytes.saturating_add(HEADER_BYTES).div_ceil(PAGE_BYTES);
        let overflow = u32::try_from(pages.saturating_sub(1)).map_err(|_| too_large.clone())?;
        let end = self.next.saturating_add(pages as u64);
        if end.saturating_mul(PAGE_BYTES as u64) > self.limit_bytes {
            return Err(too_large);
        }
        let mut run = Vec::with_capacity(pages * PAGE_BYTES);
        put_header(&mut run, self.next, flag, count, overflow);
        fill(&mut run);
        assert!(run.len() == body_bytes + HEADER_BYTES, "{} bytes of {body_bytes}", run.len());
        run.resize(pages * PAGE_BYTES, 0);
        self.runs.push(run.into_boxed_slice());
        Ok(std::mem::replace(&mut self.next, end))
    }

    /// The whole file, with `root` as the page of the root bucket.
    pub(crate) fn finish(mut self, root: u64) -> std::vec::IntoIter<Box<[u8]>> {
        for (txid, page) in self.runs.iter_mut().take(META_PAGES as usize).enumerate() {
            *page = meta(txid as u64, root, self.next);
        }
        self.runs.into_iter()
    }
}

fn put_header(out: &mut Vec<u8>, id: u64, flag: u16, count: u16, overflow: u32) {
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&flag.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&overflow.to_le_bytes());
}

/// What stands for a bucket in its parent.
pub(crate) fn bucket_header(pgid: u64) -> [u8; 16] {
    let mut header = [0; 16];
    header[..8].copy_from_slice(&pgid.to_le_bytes());
    header
}

/// The meta page of a transaction; the numbers of the page and of the transaction agree for the first two.
fn meta(txid: u64, root: u64, end: u64) -> Box<[u8]> {
    let mut body = Vec::with_capacity(64);
    [MAGIC, VERSION, PAGE_BYTES as u32, 0].iter().for_each(|n| body.extend_from_slice(&n.to_le_bytes()));
    body.extend_from_slice(&bucket_header(root));
    [NO_FREELIST, end, txid].iter().for_each(|n| body.extend_from_slice(&n.to_le_bytes()));
    let checksum = fnv1a(&body);
    let mut page = Vec::with_capacity(PAGE_BYTES);
    put_header(&mut page, txid, META, 0, 0);
    page.extend_from_slice(&body);
    page.extend_from_slice(&checksum.to_le_bytes());
    page.resize(PAGE_BYTES, 0);
    page.into_boxed_slice()
}

/// FNV-1a, 64 bits.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
