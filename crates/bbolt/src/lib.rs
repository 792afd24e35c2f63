//! A fresh file of the bbolt database, written once and bottom-up: what etcd keeps its state in.
//!
//! Owns the layout of pages. Never reads, changes or compacts a file, and does no input or output: a [`Writer`] takes
//! sorted pairs bucket by bucket and gives the pages of a whole [`File`]. The pages stay in memory until they are taken,
//! because the first one names what was written last; the bound given to the writer is a bound on that memory.
//!
//! ```text
//! file     page 0: meta, txid 0 · page 1: meta, txid 1 · pages of each bucket, children before parents · root bucket
//! page     id u64 · flags u16 (1 branch, 2 leaf, 4 meta) · count u16 · overflow u32 (further pages of this one) · body
//! meta     magic u32 · version u32 · page size u32 · flags u32 · root (pgid u64, sequence u64) · freelist u64
//!          · end of file in pages u64 · txid u64 · FNV-1a 64 of the 56 bytes before
//! leaf     per pair: flags u32 (1: a bucket) · pos u32 · key bytes u32 · value bytes u32; then keys and values
//! branch   per child: pos u32 · key bytes u32 · pgid u64; then the first key of each child
//! bucket   the value in the root bucket's leaf: pgid u64 · sequence u64
//! ```
//!
//! All numbers are little-endian; `pos` counts from the start of its own element. The list of free pages is "none", as
//! in etcd's own files: a reader finds that all pages are in use. Source: bbolt 1.5 (`internal/common/{page,meta,bucket}.go`),
//! whose own check (`etcdutl snapshot status`) is what our files are held against.
//!
//! Invariants: keys ascend strictly within a bucket; every page but the two first is named by exactly one parent; a
//! branch has two children at least.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod page;
mod tree;

#[cfg(test)]
mod tests;

use page::Pages;
use std::collections::BTreeMap;
use tree::Tree;

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4096;
/// Longest key that bbolt takes, in bytes.
pub const KEY_BYTES_MAX: usize = 32_768;
/// Longest value that bbolt takes, in bytes.
pub const VALUE_BYTES_MAX: usize = (1 << 31) - 2;

/// Why a file cannot be written. All but `TooLarge` are mistakes of the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file would be larger than the writer may make it.
    #[error("the file would be larger than {limit_bytes} bytes")]
    TooLarge {
        /// The bound it was given.
        limit_bytes: u64,
    },
    /// A key is not greater than the one before it.
    #[error("key {index} of a bucket is not greater than the one before it")]
    Unsorted {
        /// Its place among the keys of the bucket, from 0.
        index: u64,
    },
    /// A key is empty or longer than [`KEY_BYTES_MAX`].
    #[error("a key of {bytes} bytes; bbolt takes 1 to {KEY_BYTES_MAX}")]
    Key {
        /// Its length.
        bytes: usize,
    },
    /// A value is longer than [`VALUE_BYTES_MAX`].
    #[error("a value of {bytes} bytes; bbolt takes up to {VALUE_BYTES_MAX}")]
    Value {
        /// Its length.
        bytes: usize,
    },
    /// Two buckets have the same name.
    #[error("a second bucket of the same name")]
    Duplicate,
}

/// Writes one file.
pub struct Writer {
    pages: Pages,
    /// The root page of each finished bucket.
    buckets: BTreeMap<Vec<u8>, u64>,
}

impl Writer {
    /// A writer of a file of at most `limit_bytes`.
    #[must_use]
    pub fn new(limit_bytes: u64) -> Self {
        Self { pages: Pages::new(limit_bytes), buckets: BTreeMap::new() }
    }

    /// Begins a bucket; its pairs go to what this answers, and [`Bucket::finish`] ends it. Buckets come in any order.
    ///
    /// # Errors
    /// `Key` when no bucket can have this name, `Duplicate` when one has it.
    pub fn bucket(&mut self, name: &[u8]) -> Result<Bucket<'_>, Error> {
        tree::check_key(name)?;
        if self.buckets.contains_key(name) {
            return Err(Error::Duplicate);
        }
        Ok(Bucket { writer: self, name: name.to_vec(), tree: Tree::default() })
    }

    /// Writes the bucket of buckets and the meta pages.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn finish(mut self) -> Result<File, Error> {
        let mut root = Tree::default();
        for (name, pgid) in &self.buckets {
            root.push(&mut self.pages, tree::Kind::Bucket, name, &page::bucket_header(*pgid))?;
        }
        let root = root.finish(&mut self.pages)?;
        Ok(File { pages: self.pages.finish(root) })
    }
}

/// A bucket that is being written. What is not finished is not in the file, though its pages are: drop the writer too.
#[must_use]
pub struct Bucket<'a> {
    writer: &'a mut Writer,
    name: Vec<u8>,
    tree: Tree,
}

impl Bucket<'_> {
    /// Adds a pair.
    ///
    /// # Errors
    /// `Unsorted`, `Key` or `Value` when bbolt could not hold it there; `TooLarge`.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.tree.push(&mut self.writer.pages, tree::Kind::Pair, key, value)
    }

    /// Ends the bucket; one without pairs is there nonetheless.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn finish(self) -> Result<(), Error> {
        let root = self.tree.finish(&mut self.writer.pages)?;
        self.writer.buckets.insert(self.name, root);
        Ok(())
    }
}

/// A whole file, in order: each item is one page with the pages it runs over into, and leaves memory when it is dropped.
pub struct File {
    pages: std::vec::IntoIter<Box<[u8]>>,
}

impl File {
    /// Bytes that are left to take.
    #[must_use]
    pub fn remaining_bytes(&self) -> u64 {
        self.pages.as_slice().iter().map(|page| page.len() as u64).sum()
    }
}

impl Iterator for File {
    type Item = Box<[u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pages.next()
    }
}
