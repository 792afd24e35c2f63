//! The segment's promises, each by trying to break it.

use super::*;
use crate::{Error, Identity, Keyring};
use env::sim::SimRandom;
use types::{ClusterId, MemberId};

fn keyring(seed: u64, cluster: u64, member: u64) -> Keyring {
    Keyring::generate(
        Identity { cluster: ClusterId(cluster), member: MemberId(member) },
        &SimRandom::new(seed),
    )
}

const RECORDS: [(u8, &[u8]); 4] = [(1, b"one"), (2, b""), (254, b"three three three"), (1, b"one")];

fn segment(keyring: &Keyring, purpose: Purpose, number: u64, seed: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sealer = Sealer::begin(keyring, purpose, number, &SimRandom::new(seed), &mut out).unwrap();
    for (kind, payload) in RECORDS {
        sealer.seal(kind, &[payload], &mut out).unwrap();
    }
    sealer.end(&mut out).unwrap();
    out
}

/// Reads a whole segment; its records if everything up to an authenticated end is as it was sealed.
fn read(keyring: &Keyring, purpose: Purpose, number: u64, bytes: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, Error> {
    let cut = || Error::Malformed { what: "test", why: "cut short" };
    let header = bytes.first_chunk().ok_or_else(cut)?;
    let key = SegmentKey::open(keyring, purpose, number, header)?;
    let mut walk = Walk::new(&key);
    let mut records = Vec::new();
    loop {
        let rest = &bytes[walk.position() as usize..];
        let head = RecordHead::decode(rest.first_chunk().ok_or_else(cut)?)?.ok_or_else(cut)?;
        let mut record = rest.get(..head.record_bytes()).ok_or_else(cut)?.to_vec();
        match walk.step(&key, &mut record)? {
            Opened::Record(_, kind, payload) => records.push((kind, payload.to_vec())),
            Opened::End => return Ok(records),
        }
    }
}

/// What was sealed is what is opened, in both kinds of purpose.
#[test]
fn records_survive_the_round_trip() {
    let keyring = keyring(1, 1, 1);
    for purpose in Purpose::ALL {
        let bytes = segment(&keyring, purpose, 9, 2);
        let expected: Vec<_> = RECORDS.iter().map(|(kind, payload)| (*kind, payload.to_vec())).collect();
        assert_eq!(read(&keyring, purpose, 9, &bytes).unwrap(), expected);
    }
}

/// Every changed bit and every cut of a closed segment is found (ENC-08): nothing unauthenticated is ever served.
#[test]
fn every_changed_bit_and_every_cut_is_found() {
    let keyring = keyring(1, 1, 1);
    for purpose in [Purpose::Log, Purpose::Store] {
        let bytes = segment(&keyring, purpose, 9, 2);
        for at in 0..bytes.len() {
            assert!(read(&keyring, purpose, 9, &bytes[..at]).is_err(), "cut to {at}");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(read(&keyring, purpose, 9, &flipped).is_err(), "byte {at} bit {bit}");
            }
        }
    }
}

/// A segment opens only as what it is: another purpose, number, member, cluster or key is refused (ENC-07, ENC-10), also
/// when the header is edited to say so.
#[test]
fn a_segment_does_not_pass_for_another() {
    let ours = keyring(1, 1, 1);
    let bytes = segment(&ours, Purpose::Store, 9, 2);
    assert!(read(&ours, Purpose::Log, 9, &bytes).is_err());
    assert!(read(&ours, Purpose::Store, 8, &bytes).is_err());
    for other in [keyring(1, 1, 2), keyring(1, 2, 1), keyring(2, 1, 1)] {
        assert!(read(&other, Purpose::Store, 9, &bytes).is_err());
    }
    let mut moved = bytes.clone();
    moved[39] = 8;
    assert!(matches!(read(&ours, Purpose::Store, 8, &moved), Err(Error::Tampered { .. })));
    let mut renamed = bytes;
    renamed[31] = 2;
    assert!(matches!(read(&keyring(1, 1, 2), Purpose::Store, 9, &renamed), Err(Error::Tampered { .. })));
}

/// A record opens only at its place: not at another offset, in another segment of the same number, nor in place of an
/// equal record.
#[test]
fn a_record_does_not_pass_for_another() {
    let keyring = keyring(1, 1, 1);
    let (a, b) = (segment(&keyring, Purpose::Store, 9, 2), segment(&keyring, Purpose::Store, 9, 3));
    let header = a.first_chunk().unwrap();
    let key = SegmentKey::open(&keyring, Purpose::Store, 9, header).unwrap();
    let first = HEADER_BYTES..HEADER_BYTES + RECORD_OVERHEAD + 3;
    let open = |bytes: &[u8], at| key.open_at(at, &[0; 16], &mut bytes.to_vec()).map(|(kind, _)| kind);
    assert_eq!(open(&a[first.clone()], HEADER_BYTES as u64).unwrap(), 1);
    assert!(open(&b[first.clone()], HEADER_BYTES as u64).is_err());
    for at in [0, HEADER_BYTES as u64 + 1, 1 << 32] {
        assert!(open(&a[first.clone()], at).is_err(), "at {at}");
    }
}

/// In a chained purpose a record opens only after its predecessor: one left out, or one of another history put in, breaks
/// the chain even where positions fit.
#[test]
fn a_chain_breaks_where_a_record_was_changed_for_another() {
    let keyring = keyring(1, 1, 1);
    let make = |first: &[u8]| {
        let mut out = Vec::new();
        let mut sealer = Sealer::begin(&keyring, Purpose::Log, 1, &SimRandom::new(5), &mut out).unwrap();
        sealer.seal(1, &[first], &mut out).unwrap();
        sealer.seal(1, &[b"second"], &mut out).unwrap();
        sealer.end(&mut out).unwrap();
        out
    };
    // The same salt twice never happens outside a test; it makes everything but the chain fit.
    let (a, b) = (make(b"aaaa"), make(b"bbbb"));
    let cut = HEADER_BYTES + RECORD_OVERHEAD + 4;
    let spliced = [&a[..cut], &b[cut..]].concat();
    assert!(read(&keyring, Purpose::Log, 1, &a).is_ok());
    assert!(read(&keyring, Purpose::Log, 1, &spliced).is_err());
}

/// Two segments never share a key, even of the same number: a process that starts twice from one image must not repeat a
/// nonce (ENC-05).
#[test]
fn segments_of_one_number_have_different_keys() {
    let keyring = keyring(1, 1, 1);
    let (a, b) = (segment(&keyring, Purpose::Log, 1, 2), segment(&keyring, Purpose::Log, 1, 3));
    assert_ne!(a[40..72], b[40..72], "salts");
    assert_ne!(a[96..128], b[96..128], "commitments");
    assert_ne!(a[133..136], b[133..136], "ciphertext of the same payload at the same place");
}

/// Parts are one record: the log seals an entry's head and data without joining them first.
#[test]
fn parts_are_sealed_as_one_record() {
    let keyring = keyring(1, 1, 1);
    let seal = |parts: &[&[u8]]| {
        let mut out = Vec::new();
        let mut sealer = Sealer::begin(&keyring, Purpose::Log, 1, &SimRandom::new(5), &mut out).unwrap();
        sealer.seal(3, parts, &mut out).unwrap();
        out
    };
    assert_eq!(seal(&[b"he", b"", b"llo"]), seal(&[b"hello"]));
}

/// A sealed file opens whole, as its number, or not at all.
#[test]
fn a_sealed_file_is_whole_or_refused() {
    let keyring = keyring(1, 1, 1);
    let bytes = seal_file(&keyring, Purpose::Manifest, 7, b"payload", &SimRandom::new(3)).unwrap();
    assert_eq!(open_file(&keyring, Purpose::Manifest, 7, &bytes).unwrap(), b"payload");
    assert!(open_file(&keyring, Purpose::Manifest, 8, &bytes).is_err());
    for at in 0..bytes.len() {
        assert!(open_file(&keyring, Purpose::Manifest, 7, &bytes[..at]).is_err(), "cut to {at}");
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(open_file(&keyring, Purpose::Manifest, 7, &flipped).is_err(), "byte {at}");
    }
    let longer = [bytes, vec![0]].concat();
    assert!(open_file(&keyring, Purpose::Manifest, 7, &longer).is_err());
}

/// The largest record is a limit, not a crash.
#[test]
fn a_record_beyond_the_limit_is_refused() {
    let keyring = keyring(1, 1, 1);
    let mut out = Vec::new();
    let mut sealer = Sealer::begin(&keyring, Purpose::Store, 1, &SimRandom::new(5), &mut out).unwrap();
    let half = vec![0; RECORD_BYTES_MAX / 2];
    let error = sealer.seal(1, &[&half, &half, b"1"], &mut out).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert_eq!((out.len(), sealer.position()), (HEADER_BYTES, HEADER_BYTES as u64));
}
