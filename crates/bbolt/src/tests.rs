//! The files as another program would read them: by the layout alone, sharing nothing with the writer.

use super::*;

const LIMIT: u64 = 64 * 1024 * 1024;

type Pair = (Vec<u8>, Vec<u8>);

struct Read(Vec<u8>);

impl Read {
    fn of(file: File) -> Self {
        let expected = file.remaining_bytes();
        let bytes: Vec<u8> = file.flatten().collect();
        assert_eq!(bytes.len() as u64, expected);
        assert_eq!(bytes.len() % PAGE_BYTES, 0);
        Self(bytes)
    }

    fn number(&self, at: usize, bytes: usize) -> u64 {
        self.0[at..at + bytes].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// Every pair below a page in order, with its flags; each page met is counted in `met`.
    fn walk(&self, pgid: u64, met: &mut Vec<u64>, pairs: &mut Vec<(u64, Vec<u8>, Vec<u8>)>) -> Vec<u8> {
        let page = pgid as usize * PAGE_BYTES;
        assert_eq!(self.number(page, 8), pgid, "a page says its own number");
        let (flags, count) = (self.number(page + 8, 2), self.number(page + 10, 2) as usize);
        met.extend((0..=self.number(page + 12, 4)).map(|more| pgid + more));
        let mut first = Vec::new();
        for index in 0..count {
            let element = page + 16 + index * 16;
            if flags == 2 {
                let key = element + self.number(element + 4, 4) as usize;
                let (k, v) = (self.number(element + 8, 4) as usize, self.number(element + 12, 4) as usize);
                let pair = (self.0[key..key + k].to_vec(), self.0[key + k..key + k + v].to_vec());
                if index == 0 {
                    first = pair.0.clone();
                }
                pairs.push((self.number(element, 4), pair.0, pair.1));
            } else {
                assert_eq!(flags, 1);
                assert!(count > 1, "a branch has two children at least");
                let key = element + self.number(element, 4) as usize;
                let key = &self.0[key..key + self.number(element + 4, 4) as usize];
                let found = self.walk(self.number(element + 8, 8), met, pairs);
                assert_eq!(key, found, "a branch names the first key of its child");
                if index == 0 {
                    first = found;
                }
            }
        }
        first
    }

    /// The pairs of every bucket, having checked both meta pages and that every page is met exactly once.
    fn buckets(&self) -> Vec<(Vec<u8>, Vec<Pair>)> {
        for meta in 0..2 {
            let at = meta * PAGE_BYTES + 16;
            assert_eq!(self.number(at, 4), 0xED0C_DAED);
            assert_eq!((self.number(at + 4, 4), self.number(at + 8, 4)), (2, 4096));
            assert_eq!(self.number(at + 32, 8), u64::MAX, "no list of free pages");
            assert_eq!(self.number(at + 40, 8), (self.0.len() / PAGE_BYTES) as u64);
            assert_eq!(self.number(at + 48, 8), meta as u64);
            assert_eq!(self.number(at + 56, 8), page::fnv1a(&self.0[at..at + 56]));
        }
        let mut met = vec![0, 1];
        let mut names = Vec::new();
        self.walk(self.number(PAGE_BYTES + 32, 8), &mut met, &mut names);
        let mut buckets = Vec::new();
        for (flags, name, header) in names {
            assert_eq!((flags, header.len()), (1, 16));
            let mut pairs = Vec::new();
            let root = header[..8].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            self.walk(root, &mut met, &mut pairs);
            assert!(pairs.iter().all(|(flags, ..)| *flags == 0));
            assert!(pairs.windows(2).all(|two| two[0].1 < two[1].1));
            buckets.push((name, pairs.into_iter().map(|(_, key, value)| (key, value)).collect()));
        }
        met.sort_unstable();
        let all: Vec<u64> = (0..(self.0.len() / PAGE_BYTES) as u64).collect();
        assert_eq!(met, all, "every page has exactly one parent");
        buckets
    }
}

/// Writes one bucket of `count` pairs with these lengths and reads it back.
fn check(count: u32, key_bytes: usize, value_bytes: impl Fn(u32) -> usize) -> usize {
    let pair = |n: u32| {
        let mut key = n.to_be_bytes().to_vec();
        key.resize(key_bytes.max(4), b'k');
        (key, vec![n as u8; value_bytes(n)])
    };
    let mut writer = Writer::new(LIMIT);
    let mut bucket = writer.bucket(b"b").unwrap();
    for (key, value) in (0..count).map(pair) {
        bucket.put(&key, &value).unwrap();
    }
    bucket.finish().unwrap();
    let read = Read::of(writer.finish().unwrap());
    let expected: Vec<_> = (0..count).map(pair).collect();
    assert!(read.buckets() == [(b"b".to_vec(), expected)], "{count} pairs came back otherwise");
    read.0.len() / PAGE_BYTES
}

/// The checksum is what decides whether bbolt opens a file at all: the published values of FNV-1a.
#[test]
fn the_checksum_is_fnv_1a() {
    assert_eq!(page::fnv1a(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(page::fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(page::fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
}

/// An empty file and empty buckets are files too: a new member has nothing in most of its buckets. They come out by
/// name, whatever order they went in.
#[test]
fn empty_buckets_are_there_and_in_order() {
    assert!(Read::of(Writer::new(LIMIT).finish().unwrap()).buckets().is_empty());
    let mut writer = Writer::new(LIMIT);
    for name in ["lease", "alarm", "key"] {
        writer.bucket(name.as_bytes()).unwrap().finish().unwrap();
    }
    let buckets = Read::of(writer.finish().unwrap()).buckets();
    assert_eq!(buckets, ["alarm", "key", "lease"].map(|name| (name.as_bytes().to_vec(), Vec::new())));
}

/// One pair, one leaf: three pages before the root's; nothing is wasted on a small file.
#[test]
fn a_small_file_is_four_pages() {
    assert_eq!(check(1, 4, |_| 1), 4);
    assert_eq!(check(100, 4, |_| 1), 4);
}

/// A leaf is full to its last byte and the next pair begins a new one: an error of one byte here would run over.
#[test]
fn leaves_fill_exactly() {
    assert_eq!(check(2, 8, |n| if n == 0 { 4096 - 16 - 2 * 24 } else { 0 }), 4);
    assert_eq!(check(2, 8, |n| if n == 0 { 4096 - 16 - 2 * 24 + 1 } else { 0 }), 6);
}

/// Many pages make branches over branches; every count around the sizes where a level begins comes back whole, and no
/// branch has a single child.
#[test]
fn trees_of_every_height_come_back() {
    for count in [2, 3, 4, 5, 7, 8, 9, 100, 113, 114, 115, 116, 1_000] {
        check(count, 17, |_| 3_000);
    }
    for count in [2, 3, 4, 5, 6, 7, 9, 27, 30] {
        check(count, 2_000, |_| 1_500);
    }
    assert!(check(40_000, 17, |n| n as usize % 90) > 500);
}

/// Values and keys longer than a page run over into the pages after it, whole pages and exact ends included.
#[test]
fn long_values_and_keys_overflow() {
    for bytes in [4_056, 4_060, 4_061, 8_155, 8_156, 8_157, 1_500_000] {
        check(3, 20, |_| bytes);
    }
    check(5, KEY_BYTES_MAX, |_| 10);
}

/// What bbolt could not hold is refused here, not found out when the file is opened after a disaster.
#[test]
fn what_bbolt_cannot_hold_is_refused() {
    let mut writer = Writer::new(LIMIT);
    assert_eq!(writer.bucket(b"").err(), Some(Error::Key { bytes: 0 }));
    let mut bucket = writer.bucket(b"b").unwrap();
    assert_eq!(bucket.put(b"", b""), Err(Error::Key { bytes: 0 }));
    let long = vec![0; KEY_BYTES_MAX + 1];
    assert_eq!(bucket.put(&long, b""), Err(Error::Key { bytes: long.len() }));
    bucket.put(b"b", b"").unwrap();
    assert_eq!(bucket.put(b"b", b""), Err(Error::Unsorted { index: 1 }));
    assert_eq!(bucket.put(b"a", b""), Err(Error::Unsorted { index: 1 }));
    bucket.finish().unwrap();
    assert_eq!(writer.bucket(b"b").err(), Some(Error::Duplicate));
}

/// The bound is a bound on memory: the page that would pass it is not made.
#[test]
fn a_file_stays_below_its_bound() {
    let limit_bytes = 6 * PAGE_BYTES as u64;
    let mut writer = Writer::new(limit_bytes);
    let mut bucket = writer.bucket(b"b").unwrap();
    let refused = (0u32..).find_map(|n| bucket.put(&n.to_be_bytes(), &[0; 3_000]).err());
    assert_eq!(refused, Some(Error::TooLarge { limit_bytes }));
}
