//! The tree of one bucket, built from the leaves up.
//!
//! Owns the pairs of the one leaf that is not yet full, and the first key of every page written, from which the branches
//! are made at the end: memory beside the pages themselves is a key a page.

use crate::page::{BRANCH, HEADER_BYTES, LEAF, Pages};
use crate::{Error, KEY_BYTES_MAX, PAGE_BYTES, VALUE_BYTES_MAX};

/// Bytes of an element before its key, in leaves and branches alike.
const ELEMENT_BYTES: usize = 16;

/// What a pair in a leaf is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Pair,
    Bucket,
}

/// An element of the leaf under way: its key and value lie in `Tree::data`, one after the other.
struct Element {
    kind: Kind,
    key_bytes: usize,
    value_bytes: usize,
}

/// A page written: its number and first key.
struct Child {
    key: Vec<u8>,
    pgid: u64,
}

/// The tree of one bucket.
#[derive(Default)]
pub(crate) struct Tree {
    elements: Vec<Element>,
    data: Vec<u8>,
    children: Vec<Child>,
    last_key: Vec<u8>,
    pushed: u64,
}

/// Whether bbolt can hold this key.
pub(crate) fn check_key(key: &[u8]) -> Result<(), Error> {
    match key.len() {
        1..=KEY_BYTES_MAX => Ok(()),
        bytes => Err(Error::Key { bytes }),
    }
}

impl Tree {
    pub(crate) fn push(
        &mut self,
        pages: &mut Pages,
        kind: Kind,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Error> {
        check_key(key)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(Error::Value { bytes: value.len() });
        }
        if key <= self.last_key.as_slice() {
            return Err(Error::Unsorted { index: self.pushed });
        }
        self.pushed += 1;
        let more = ELEMENT_BYTES + key.len() + value.len();
        if !self.elements.is_empty() && HEADER_BYTES + self.leaf_bytes() + more > PAGE_BYTES {
            self.write_leaf(pages)?;
        }
        self.elements.push(Element { kind, key_bytes: key.len(), value_bytes: value.len() });
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    /// Writes what is left and the branches above; answers the number of the root page.
    pub(crate) fn finish(mut self, pages: &mut Pages) -> Result<u64, Error> {
        if !self.elements.is_empty() || self.children.is_empty() {
            self.write_leaf(pages)?;
        }
        let mut level = self.children;
        while level.len() > 1 {
            level = write_branches(pages, level)?;
        }
        Ok(level.first().map(|root| root.pgid).expect("a level is never empty: a leaf was written above"))
    }

    fn leaf_bytes(&self) -> usize {
        self.elements.len() * ELEMENT_BYTES + self.data.len()
    }

    fn write_leaf(&mut self, pages: &mut Pages) -> Result<(), Error> {
        let (elements, data) = (std::mem::take(&mut self.elements), std::mem::take(&mut self.data));
        let body = elements.len() * ELEMENT_BYTES + data.len();
        let count = count_of(elements.len());
        let pgid = pages.write(LEAF, count, body, |out| {
            let mut at = 0;
            for (index, element) in elements.iter().enumerate() {
                let pos = (elements.len() - index) * ELEMENT_BYTES + at;
                let flags = u32::from(element.kind == Kind::Bucket);
                put_u32(out, flags as usize);
                [pos, element.key_bytes, element.value_bytes].iter().for_each(|n| put_u32(out, *n));
                at += element.key_bytes + element.value_bytes;
            }
            out.extend_from_slice(&data);
        })?;
        let first = elements.first().and_then(|element| data.get(..element.key_bytes));
        self.children.push(Child { key: first.unwrap_or_default().to_vec(), pgid });
        Ok(())
    }
}

/// Writes one level of branches above `level`; answers them.
fn write_branches(pages: &mut Pages, level: Vec<Child>) -> Result<Vec<Child>, Error> {
    let mut written = Vec::new();
    let mut rest = level.as_slice();
    while !rest.is_empty() {
        let (group, after) = rest.split_at(group_len(rest));
        let pgid = write_branch(pages, group)?;
        let key = group.first().map(|child| child.key.clone()).unwrap_or_default();
        written.push(Child { key, pgid });
        rest = after;
    }
    Ok(written)
}

/// How many children the next branch takes: as many as fit, two at least, and never so many that a single one is left.
fn group_len(rest: &[Child]) -> usize {
    let mut bytes = HEADER_BYTES;
    let fits = |child: &&Child| {
        bytes += ELEMENT_BYTES + child.key.len();
        bytes <= PAGE_BYTES
    };
    let fitting = rest.iter().take_while(fits).count().max(2).min(rest.len());
    match rest.len() - fitting {
        1 if fitting > 2 => fitting - 1,
        1 => rest.len(),
        _ => fitting,
    }
}

fn write_branch(pages: &mut Pages, group: &[Child]) -> Result<u64, Error> {
    let keys: usize = group.iter().map(|child| child.key.len()).sum();
    pages.write(BRANCH, count_of(group.len()), group.len() * ELEMENT_BYTES + keys, |out| {
        let mut at = 0;
        for (index, child) in group.iter().enumerate() {
            put_u32(out, (group.len() - index) * ELEMENT_BYTES + at);
            put_u32(out, child.key.len());
            out.extend_from_slice(&child.pgid.to_le_bytes());
            at += child.key.len();
        }
        group.iter().for_each(|child| out.extend_from_slice(&child.key));
    })
}

fn count_of(elements: usize) -> u16 {
    u16::try_from(elements).expect("a page of 4 KiB holds fewer than 256 elements of 17 bytes")
}

fn put_u32(out: &mut Vec<u8>, number: usize) {
    let number =
        u32::try_from(number).expect("a leaf holds one page, or one pair below 2^31 bytes and its key");
    out.extend_from_slice(&number.to_le_bytes());
}
