//! The sealed file: a small segment with one record and an end, for what is written whole.

use super::header::{HEADER_BYTES, Purpose};
use super::open::{Opened, RecordHead, SegmentKey, Walk};
use super::seal::Sealer;
use super::{END_RECORD_BYTES, HEAD_BYTES, RECORD_OVERHEAD};
use crate::{Error, Keyring};
use env::Random;

const KIND: u8 = 1;

/// Seals `payload` as the file `number` of `purpose`.
///
/// # Errors
/// A payload larger than a record.
pub fn seal_file(
    keyring: &Keyring,
    purpose: Purpose,
    number: u64,
    payload: &[u8],
    random: &dyn Random,
) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(HEADER_BYTES + payload.len() + RECORD_OVERHEAD + END_RECORD_BYTES);
    let mut sealer = Sealer::begin(keyring, purpose, number, random, &mut out)?;
    sealer.seal(KIND, &[payload], &mut out)?;
    sealer.end(&mut out)?;
    Ok(out)
}

/// Opens what [`seal_file`] made; answers the payload.
///
/// # Errors
/// Anything else.
pub fn open_file(keyring: &Keyring, purpose: Purpose, number: u64, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let what = "sealed file";
    let cut = Error::Malformed { what, why: "cut short" };
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Err(cut) };
    let key = SegmentKey::open(keyring, purpose, number, header)?;
    let Some(head) = rest.first_chunk::<HEAD_BYTES>() else { return Err(cut) };
    let Some(head) = RecordHead::decode(head)? else { return Err(cut) };
    let Some((record, end)) = rest.split_at_checked(head.record_bytes()) else { return Err(cut) };
    let mut walk = Walk::new(&key);
    let mut record = record.to_vec();
    let payload = match walk.step(&key, &mut record)? {
        Opened::Record(_, KIND, payload) => payload.to_vec(),
        _ => return Err(Error::Malformed { what, why: "its record is of another type" }),
    };
    match walk.step(&key, &mut end.to_vec())? {
        Opened::End => Ok(payload),
        Opened::Record(..) => Err(Error::Malformed { what, why: "it has more than one record" }),
    }
}
