//! The bytes of one large answer, a page at a time: one gRPC message, equal to the byte to the one that would be encoded
//! at once.
//!
//! Owns the message's length, which is said before the first pair is read, and holds every page to it: a message that would
//! come out longer or shorter ends with an error, never as an answer. Source of the order: prost writes fields by their
//! numbers, header (1), pairs (2), more (3), count (4).

use crate::rpc::status::Failure;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use proto::etcdserverpb as pb;
use state::outcome::Pair;
use state::{Error, List};
use types::limits::LIST_PAGE_BYTES;

/// The field of an answer that its pairs are.
const PAIRS: u32 = 2;
/// "Not compressed", and four bytes of length.
const PREFIX_BYTES: usize = 5;

/// What is left of an answer.
pub(super) struct Pages {
    pairs: Pairs,
    /// What goes out before the next pair.
    head: Vec<u8>,
    /// What goes out behind the last one.
    tail: Vec<u8>,
    /// Bytes that have to come yet.
    left: usize,
}

/// Where the pairs come from.
enum Pairs {
    /// The store, page by page.
    Listed(Box<List>),
    /// Memory, because their order was known only when all were read.
    Sorted(std::vec::IntoIter<Pair>),
}

impl Pages {
    /// The answer with this header.
    pub(super) fn listed(
        header: pb::ResponseHeader,
        list: Box<List>,
        bytes_max: usize,
    ) -> Result<Self, Failure> {
        let (more, totals) = (list.more(), list.totals());
        Self::new(header, Pairs::Listed(list), totals.bytes, more, totals.count, bytes_max)
    }

    /// The same of pairs in any order.
    pub(super) fn sorted(
        header: pb::ResponseHeader,
        pairs: Vec<Pair>,
        more: bool,
        count: i64,
        bytes_max: usize,
    ) -> Result<Self, Failure> {
        let bytes = pairs.iter().map(|pair| framed_len(pair.0.len()) as u64).sum();
        Self::new(header, Pairs::Sorted(pairs.into_iter()), bytes, more, count, bytes_max)
    }

    fn new(
        header: pb::ResponseHeader,
        pairs: Pairs,
        pairs_bytes: u64,
        more: bool,
        count: i64,
        bytes_max: usize,
    ) -> Result<Self, Failure> {
        let header = pb::RangeResponse { header: Some(header), ..pb::RangeResponse::default() };
        let tail = pb::RangeResponse { more, count, ..pb::RangeResponse::default() }.encode_to_vec();
        let around = header.encoded_len().saturating_add(tail.len()) as u64;
        let bytes = pairs_bytes.saturating_add(around);
        let length = u32::try_from(bytes).ok().filter(|length| *length as usize <= bytes_max);
        let Some(length) = length else { return Err(Failure::too_large_to_send(bytes, bytes_max)) };
        let mut head = Vec::with_capacity(PREFIX_BYTES.saturating_add(header.encoded_len()));
        head.push(0);
        head.extend_from_slice(&length.to_be_bytes());
        header.encode(&mut head).expect("a vector grows");
        Ok(Self { pairs, head, tail, left: (length as usize).saturating_add(PREFIX_BYTES) })
    }

    /// The next bytes; there may be none yet. All have come when [`Pages::is_done`].
    pub(super) fn next(&mut self) -> Result<Vec<u8>, Error> {
        let (pairs, last) = match &mut self.pairs {
            Pairs::Listed(list) => (list.page(LIST_PAGE_BYTES)?, list.left() == 0),
            Pairs::Sorted(all) => {
                let (mut page, mut bytes) = (Vec::new(), 0usize);
                while bytes < LIST_PAGE_BYTES
                    && let Some(pair) = all.next()
                {
                    bytes = bytes.saturating_add(pair.0.len());
                    page.push(pair);
                }
                (page, all.len() == 0)
            }
        };
        let mut out = std::mem::take(&mut self.head);
        let bytes = pairs.iter().map(|pair| framed_len(pair.0.len())).sum::<usize>();
        out.reserve_exact(bytes.saturating_add(if last { self.tail.len() } else { 0 }));
        for Pair(pair) in &pairs {
            encode_key(PAIRS, WireType::LengthDelimited, &mut out);
            encode_varint(pair.len() as u64, &mut out);
            out.extend_from_slice(pair);
        }
        if last {
            out.append(&mut self.tail);
        }
        let left = self.left.checked_sub(out.len()).filter(|left| (*left == 0) == last);
        self.left = left.ok_or_else(|| Error::Record {
            place: "an answer under way".to_owned(),
            what: "pairs of another length than the index says",
        })?;
        Ok(out)
    }

    /// Whether all has come.
    pub(super) fn is_done(&self) -> bool {
        self.left == 0
    }
}

/// Bytes of a pair in its answer.
fn framed_len(pair: usize) -> usize {
    pair.saturating_add(1).saturating_add(encoded_len_varint(pair as u64))
}
