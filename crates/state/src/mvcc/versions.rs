//! All kept versions of one key, in generations: a generation begins with the key's creation and ends with its deletion.
//!
//! Source: etcd's `storage/mvcc/key_index.go` (behaviour, not form: a deleted key has no empty generation here).
//!
//! Invariants: versions ascend by revision within and across generations; only the last generation may be open; no
//! generation is empty; the last version of an ended generation is its tombstone.

use crate::record::REVISION_BYTES;
use smallvec::SmallVec;
use storage::Position;
use types::{ModRevision, Revision};

/// One write or deletion of a key, and where its record is. There is one for each kept version, so its fields leave no gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    main: Revision,
    sub: u32,
    /// Bytes of the record's payload, for the accounts.
    pub(crate) bytes: u32,
    pub(crate) position: Position,
}

impl Version {
    /// The change at this revision, whose record is there and has a payload of so many bytes.
    pub(crate) fn new(at: ModRevision, position: Position, bytes: usize) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { main: at.main, sub: at.sub, bytes, position }
    }

    /// Its revision.
    pub(crate) fn at(self) -> ModRevision {
        ModRevision::new(self.main, self.sub)
    }

    /// Length of the pair's encoding in that record.
    pub(crate) fn pair_bytes(self) -> usize {
        (self.bytes as usize).saturating_sub(REVISION_BYTES)
    }
}

/// A version that is a live pair, with what the index knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) version: Version,
    pub(crate) created: Revision,
    /// Number of writes since creation.
    pub(crate) number: i64,
}

/// The one version that a compaction at some revision keeps at or below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) version: Version,
    pub(crate) tombstone: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Generation {
    created: Revision,
    /// Number of the last version, counted from the creation; the tombstone counts.
    number: i64,
    ended: bool,
    versions: SmallVec<[Version; 1]>,
}

/// All kept versions of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    generations: SmallVec<[Generation; 1]>,
}

impl Versions {
    /// Adds a write.
    pub(crate) fn put(&mut self, version: Version) {
        self.assert_newer(version.at());
        match self.generations.last_mut() {
            Some(open) if !open.ended => open.push(version),
            _ => self.generations.push(Generation::new(version.main, 1, version)),
        }
    }

    /// Adds the deletion of a live key.
    pub(crate) fn end(&mut self, version: Version) {
        self.assert_newer(version.at());
        let open = self.generations.last_mut().filter(|last| !last.ended);
        let open = open.expect("only a key that was found alive is deleted");
        open.push(version);
        open.ended = true;
    }

    /// Adds a write read back from the store, some of whose predecessors may be gone.
    pub(crate) fn restore_put(&mut self, version: Version, created: Revision, number: i64) {
        match self.generations.last_mut() {
            Some(open) if !open.ended => {
                open.versions.push(version);
                open.number = number;
            }
            _ => self.generations.push(Generation::new(created, number, version)),
        }
    }

    /// When the living key was created.
    pub(crate) fn created(&self) -> Option<Revision> {
        self.generations.last().filter(|last| !last.ended).map(|open| open.created)
    }

    /// The version written at a revision.
    pub(crate) fn exactly(&self, at: ModRevision) -> Option<Version> {
        self.generations.iter().find_map(|g| g.place_of(at).and_then(|place| g.versions.get(place))).copied()
    }

    /// Says where the record of a version is from now on; answers where it was.
    pub(crate) fn relocate(&mut self, at: ModRevision, to: Position) -> Option<Version> {
        let moved = self.generations.iter_mut().find_map(|g| {
            let place = g.place_of(at)?;
            g.versions.get_mut(place)
        })?;
        let before = *moved;
        moved.position = to;
        Some(before)
    }

    /// Adds a deletion read back from the store, whose predecessors may have been compacted.
    pub(crate) fn restore_end(&mut self, version: Version) {
        if self.is_live() {
            return self.end(version);
        }
        let ended = Generation { ended: true, ..Generation::new(Revision::ZERO, 1, version) };
        self.generations.push(ended);
    }

    /// The newest version of all, a tombstone included.
    pub(crate) fn last(&self) -> Option<Version> {
        self.generations.last().and_then(|last| last.versions.last()).copied()
    }

    /// Whether the key exists now.
    pub(crate) fn is_live(&self) -> bool {
        self.generations.last().is_some_and(|last| !last.ended)
    }

    /// Whether no version is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.generations.is_empty()
    }

    /// The live pair that a reader at `revision` sees.
    pub(crate) fn at(&self, revision: Revision) -> Option<Found> {
        let seen = self.generations.iter().rev().find(|g| g.first() <= revision)?;
        if seen.ended && seen.last() <= revision {
            return None;
        }
        let newer = seen.versions.iter().rev().take_while(|v| v.main > revision).count();
        let version = *seen.versions.iter().rev().nth(newer)?;
        let number = seen.number.saturating_sub(i64::try_from(newer).unwrap_or(i64::MAX));
        Some(Found { version, created: seen.created, number })
    }

    /// The version at or below `revision` that a compaction there keeps: the newest of the first generation that
    /// reaches it. A tombstone is kept only where it stands at `revision` itself.
    pub(crate) fn kept(&self, revision: Revision) -> Option<Kept> {
        let reaching = self.generations.iter().find(|g| g.reaches(revision))?;
        let index = reaching.versions.iter().rposition(|v| v.main <= revision)?;
        let version = *reaching.versions.get(index)?;
        Some(Kept { version, tombstone: reaching.is_tombstone(index) })
    }

    /// Every version that is left once a compaction at `compacted` is done, in order, with whether it is a tombstone.
    pub(crate) fn left_after(&self, compacted: Revision) -> impl Iterator<Item = (Version, bool)> {
        let kept = self.kept(compacted).map(|kept| kept.version.at());
        let reaching = self.generations.iter().skip_while(move |g| !g.reaches(compacted));
        let all = reaching.flat_map(|g| g.versions.iter().enumerate().map(|(i, v)| (*v, g.is_tombstone(i))));
        all.filter(move |(version, _)| kept.is_none_or(|kept| version.at() >= kept))
    }

    /// Forgets what a compaction at `compacted` does not keep, telling `gone` each version.
    pub(crate) fn compact(&mut self, compacted: Revision, mut gone: impl FnMut(Version)) {
        let unreaching = self.generations.iter().take_while(|g| !g.reaches(compacted)).count();
        self.generations.drain(..unreaching).for_each(|g| g.versions.iter().for_each(|v| gone(*v)));
        if let Some(first) = self.generations.first_mut() {
            let kept = first.versions.iter().rposition(|v| v.main <= compacted).unwrap_or(0);
            first.versions.drain(..kept).for_each(gone);
        }
        if self.generations.len() == 1 {
            self.generations.shrink_to_fit();
        }
    }

    fn assert_newer(&self, at: ModRevision) {
        let last = self.last().map(|version| version.at());
        assert!(last < Some(at), "version {at} follows {last:?}");
    }
}

impl Generation {
    fn new(created: Revision, number: i64, version: Version) -> Self {
        Self { created, number, ended: false, versions: SmallVec::from_buf([version]) }
    }

    fn push(&mut self, version: Version) {
        self.versions.push(version);
        self.number = self.number.saturating_add(1);
    }

    fn place_of(&self, at: ModRevision) -> Option<usize> {
        self.versions.binary_search_by_key(&at, |version| version.at()).ok()
    }

    fn first(&self) -> Revision {
        self.versions.first().map_or(Revision::ZERO, |version| version.main)
    }

    fn last(&self) -> Revision {
        self.versions.last().map_or(Revision::ZERO, |version| version.main)
    }

    /// Whether the generation was still going at `revision`, or ended just there.
    fn reaches(&self, revision: Revision) -> bool {
        !self.ended || self.last() >= revision
    }

    fn is_tombstone(&self, index: usize) -> bool {
        self.ended && index.checked_add(1) == Some(self.versions.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(main: i64, sub: u32) -> Version {
        Version::new(ModRevision::new(Revision(main), sub), Position::default(), 1)
    }

    /// put 2, put 4, delete 6, put 8, put 8.1, delete 9 (the shape of etcd's own key index example).
    fn sample() -> Versions {
        let mut versions = Versions::default();
        versions.put(version(2, 0));
        versions.put(version(4, 0));
        versions.end(version(6, 0));
        versions.put(version(8, 0));
        versions.put(version(8, 1));
        versions.end(version(9, 0));
        versions
    }

    fn left(versions: &Versions) -> Vec<(i64, u32)> {
        versions.left_after(Revision(-1)).map(|(v, _)| (v.main.0, v.sub)).collect()
    }

    /// A reader at a revision sees the newest version at or below it, with its creation and number, and nothing while
    /// the key was deleted.
    #[test]
    fn a_revision_sees_the_version_that_stood_then() {
        let versions = sample();
        let seen = |revision| {
            versions.at(Revision(revision)).map(|f| (f.version.main.0, f.version.sub, f.created.0, f.number))
        };
        let expected = [
            (1, None),
            (2, Some((2, 0, 2, 1))),
            (3, Some((2, 0, 2, 1))),
            (4, Some((4, 0, 2, 2))),
            (5, Some((4, 0, 2, 2))),
            (6, None),
            (7, None),
            (8, Some((8, 1, 8, 2))),
            (9, None),
            (100, None),
        ];
        for (revision, found) in expected {
            assert_eq!(seen(revision), found, "at {revision}");
        }
    }

    /// Compaction keeps what is readable at and above its revision, and a tombstone only at exactly its revision: this
    /// decides what HashKV hashes, so it must be etcd's rule to the letter.
    #[test]
    fn compaction_keeps_what_etcd_keeps() {
        let all = [(2, 0), (4, 0), (6, 0), (8, 0), (8, 1), (9, 0)];
        let expected: [(i64, &[(i64, u32)]); 10] = [
            (1, &all),
            (2, &all),
            (3, &all),
            (4, &all[1..]),
            (5, &all[1..]),
            (6, &all[2..]),
            (7, &all[3..]),
            (8, &all[4..]),
            (9, &all[5..]),
            (10, &[]),
        ];
        for (revision, kept) in expected {
            let mut versions = sample();
            let foreseen: Vec<_> =
                versions.left_after(Revision(revision)).map(|(v, _)| (v.main.0, v.sub)).collect();
            let mut gone = 0;
            versions.compact(Revision(revision), |_| gone += 1);
            assert_eq!(left(&versions), kept, "at {revision}");
            assert_eq!(foreseen, kept, "foreseen at {revision}");
            assert_eq!(gone + kept.len(), all.len());
        }
    }

    /// A record that was copied is found at its new place, and no other version is touched.
    #[test]
    fn a_version_moves_alone() {
        let mut versions = sample();
        let to = Position::from_bits(77);
        let before = versions.relocate(ModRevision::new(Revision(8), 1), to).unwrap();
        assert_eq!(before, version(8, 1));
        assert_eq!(
            versions.exactly(ModRevision::new(Revision(8), 1)),
            Some(Version { position: to, ..before })
        );
        assert!(versions.relocate(ModRevision::new(Revision(5), 0), to).is_none());
        let moved = versions.left_after(Revision(-1)).filter(|(v, _)| v.position == to).count();
        assert_eq!(moved, 1);
    }

    /// A key whose first versions are compacted and gone from the store comes back with its creation and number.
    #[test]
    fn a_key_is_restored_from_its_oldest_kept_version() {
        let mut versions = Versions::default();
        versions.restore_put(version(4, 0), Revision(2), 2);
        versions.restore_put(version(5, 0), Revision(2), 3);
        let found = versions.at(Revision(5)).unwrap();
        assert_eq!((found.created, found.number), (Revision(2), 3));
        versions.restore_end(version(6, 0));
        assert!(!versions.is_live());

        let mut gappy = Versions::default();
        gappy.restore_put(version(4, 0), Revision(2), 2);
        gappy.restore_put(version(9, 0), Revision(2), 6);
        let found = gappy.at(Revision(9)).unwrap();
        assert_eq!((found.created, found.number), (Revision(2), 6), "what lay between was collected");

        let mut ended = Versions::default();
        ended.restore_end(version(6, 0));
        assert!(!ended.is_live() && ended.at(Revision(6)).is_none());
        assert!(ended.kept(Revision(6)).unwrap().tombstone);
    }
}
