//! The key file: a key encryption key in a file of its own, outside the data directory (docs/formats/key-file.md).
//!
//! Invariants: a key file is created exclusively and never overwritten; one that others can read is refused; its content
//! never shows in an error.

use crate::provider::{KeyId, KeyProvider, PROVIDER_KEY_FILE};
use crate::{Error, Identity, Secret, aead, hex, once};
use env::{Disk, Kind, Random};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FIRST_LINE: &str = "strongroom-key-1";
const LABEL: &[u8] = b"strongroom wrap v1";
const SUM_BYTES: usize = 8;
/// Longer than any key file.
const FILE_BYTES_MAX: u64 = 1024;

/// A key in a file.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    id: KeyId,
    key: Secret,
}

impl KeyFile {
    /// Makes a new key in the directory `dir`, durably.
    ///
    /// # Errors
    /// The disk's failure.
    pub fn create(disk: &dyn Disk, dir: &Path, random: &dyn Random) -> Result<Self, Error> {
        let mut id = KeyId([0; 8]);
        random.fill(&mut id.0);
        let key = Secret::random(random);
        let path = dir.join(Self::file_name(id));
        let text = encode(id, &key);
        let file = disk.create(&path, 0)?;
        file.write_at(text.as_bytes(), 0)?;
        file.sync_data()?;
        disk.sync_dir(dir)?;
        Ok(Self { path, id, key })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// A mode that lets others read it, another form, a wrong sum, the disk's failure.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let mode = disk.stat(path)?.map_or(0, |stat| stat.mode);
        if mode & 0o077 != 0 {
            return Err(Error::KeyFileMode { path: path.to_owned(), mode });
        }
        let text = Zeroizing::new(disk.read(path, FILE_BYTES_MAX)?);
        let (id, key) = decode(&text).map_err(|why| Error::KeyFile { path: path.to_owned(), why })?;
        Ok(Self { path: path.to_owned(), id, key })
    }

    /// The name of the file of key `id`.
    #[must_use]
    pub fn file_name(id: KeyId) -> String {
        format!("strongroom-{id}.key")
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn context(&self, identity: Identity) -> [u8; 24] {
        let mut context = [0; 24];
        let (cluster, rest) = context.split_at_mut(8);
        let (member, key) = rest.split_at_mut(8);
        cluster.copy_from_slice(&identity.cluster.0.to_be_bytes());
        member.copy_from_slice(&identity.member.0.to_be_bytes());
        key.copy_from_slice(&self.id.0);
        context
    }
}

impl KeyProvider for KeyFile {
    fn kind(&self) -> u8 {
        PROVIDER_KEY_FILE
    }

    fn key_id(&self) -> KeyId {
        self.id
    }

    fn wrap(&self, root: &Secret, identity: Identity, random: &dyn Random) -> Result<Vec<u8>, Error> {
        Ok(once::seal(&self.key, LABEL, &self.context(identity), root.expose(), random))
    }

    fn unwrap(&self, wrapped: &[u8], identity: Identity) -> Result<Secret, Error> {
        let what = "root key in the keyring";
        let opened = once::open(&self.key, LABEL, &self.context(identity), wrapped, what)?;
        let bytes =
            opened.as_slice().try_into().map_err(|_| Error::Malformed { what, why: "not 32 bytes" })?;
        Ok(Secret::new(bytes))
    }
}

/// Finds the key file of key `id`: each candidate is a directory, in which it has its own name, or the file itself.
///
/// # Errors
/// It is nowhere (the error names every path tried); or it is there and cannot be used.
pub fn find_key_file(disk: &dyn Disk, id: KeyId, candidates: &[PathBuf]) -> Result<KeyFile, Error> {
    let mut tried = Vec::new();
    for candidate in candidates {
        let is_directory = disk.stat(candidate)?.is_some_and(|stat| stat.kind == Kind::Directory);
        let path = if is_directory { candidate.join(KeyFile::file_name(id)) } else { candidate.clone() };
        if disk.stat(&path)?.is_some() {
            let key = KeyFile::open(disk, &path)?;
            if key.id == id {
                return Ok(key);
            }
            if is_directory {
                return Err(Error::KeyFile { path, why: "it holds another key than its name says" });
            }
        }
        tried.push(path);
    }
    Err(Error::KeyMissing { id, tried })
}

fn encode(id: KeyId, key: &Secret) -> Zeroizing<String> {
    let digits = Zeroizing::new(hex::encode(key.expose()));
    let mut text = Zeroizing::new(String::with_capacity(256));
    for part in [FIRST_LINE, "\nid ", &id.to_string(), "\nkey ", &digits, "\n"] {
        text.push_str(part);
    }
    let sum = hex::encode(&sum(text.as_bytes()));
    for part in ["sum ", &sum, "\n"] {
        text.push_str(part);
    }
    text
}

fn sum(lines: &[u8]) -> [u8; SUM_BYTES] {
    let hash = aead::Sha256::of(lines);
    std::array::from_fn(|i| hash.get(i).copied().unwrap_or_default())
}

fn decode(text: &[u8]) -> Result<(KeyId, Secret), &'static str> {
    let other = "not a key file of version 1: another file, a changed one, or of a newer strongroom";
    let rest = text.strip_prefix(FIRST_LINE.as_bytes()).ok_or(other)?;
    let mut rest = rest.strip_prefix(b"\n").ok_or(other)?;
    let mut id = KeyId([0; 8]);
    take_line(&mut rest, b"id ", &mut id.0).ok_or("its id line is malformed")?;
    let mut key = Secret::zeros();
    take_line(&mut rest, b"key ", key.expose_mut()).ok_or("its key line is malformed")?;
    let summed = text.len().checked_sub(rest.len()).and_then(|len| text.get(..len)).unwrap_or_default();
    let mut found = [0; SUM_BYTES];
    take_line(&mut rest, b"sum ", &mut found).ok_or("its sum line is malformed")?;
    if found != sum(summed) {
        return Err("its sum is wrong: it was not copied whole");
    }
    if rest.is_empty() { Ok((id, key)) } else { Err("something follows its last line") }
}

fn take_line(rest: &mut &[u8], name: &[u8], value: &mut [u8]) -> Option<()> {
    let (line, after) = rest.split_at_checked(rest.iter().position(|byte| *byte == b'\n')?)?;
    hex::decode(line.strip_prefix(name)?, value)?;
    *rest = after.strip_prefix(b"\n")?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::Env;
    use types::{ClusterId, MemberId};

    fn made() -> (Env, env::sim::SimDisk, KeyFile) {
        let (env, _, disk) = Env::simulated(1);
        let key = KeyFile::create(&*env.disk, Path::new("/"), &*env.random).unwrap();
        (env, disk, key)
    }

    /// A key file found by name or by path is the key that was made; without it the data is lost, so finding must work.
    #[test]
    fn a_key_is_found_in_its_directory_or_at_its_path() {
        let (env, _, key) = made();
        let named = key.path().to_owned();
        for candidates in [vec![PathBuf::from("/nowhere"), PathBuf::from("/")], vec![named.clone()]] {
            let found = find_key_file(&*env.disk, key.id, &candidates).unwrap();
            assert_eq!(found.key.expose(), key.key.expose());
            assert_eq!(found.path(), named);
        }
    }

    /// A missing key names every path that was tried: the operator must see where it was expected.
    #[test]
    fn a_missing_key_names_every_path() {
        let (env, ..) = made();
        let other = KeyId([7; 8]);
        let candidates = ["/".into(), "/elsewhere/x.key".into()];
        let error = find_key_file(&*env.disk, other, &candidates).unwrap_err().to_string();
        assert!(error.contains("/strongroom-0707070707070707.key, /elsewhere/x.key"), "{error}");
    }

    /// Another key under the right name is said to be one; "not found" would send the operator looking at the wrong place.
    #[test]
    fn another_key_under_the_right_name_is_named() {
        let (env, _, key) = made();
        let wanted = KeyId([7; 8]);
        env.disk.rename(key.path(), &Path::new("/").join(KeyFile::file_name(wanted))).unwrap();
        let error = find_key_file(&*env.disk, wanted, &["/".into()]).unwrap_err().to_string();
        assert!(error.contains("another key than its name says; hint: "), "{error}");
    }

    /// A key that group or others can read is no secret.
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let (env, disk, key) = made();
        for mode in [0o640, 0o604, 0o601, 0o620] {
            disk.set_mode(key.path(), mode);
            let error = KeyFile::open(&*env.disk, key.path()).unwrap_err();
            assert!(matches!(error, Error::KeyFileMode { .. }), "{error}");
        }
        disk.set_mode(key.path(), 0o400);
        assert!(KeyFile::open(&*env.disk, key.path()).is_ok());
    }

    /// Every slip of copying is found: each changed, missing or added byte makes the file no key file.
    #[test]
    fn every_changed_byte_is_refused() {
        let text = encode(KeyId([3; 8]), &Secret::new(&[4; 32]));
        assert!(decode(text.as_bytes()).is_ok());
        for at in 0..text.len() {
            assert!(decode(&text.as_bytes()[..at]).is_err(), "cut to {at}");
            for bit in 0..8 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                assert!(decode(&bytes).is_err(), "byte {at} bit {bit}");
            }
        }
        assert!(decode(format!("{}\n", *text).as_bytes()).is_err());
    }

    /// A wrapped root key opens for its identity only, so that a keyring cannot be moved between members.
    #[test]
    fn a_wrap_is_bound_to_its_identity() {
        let (env, _, key) = made();
        let identity = Identity { cluster: ClusterId(1), member: MemberId(2) };
        let root = Secret::new(&[5; 32]);
        let wrapped = key.wrap(&root, identity, &*env.random).unwrap();
        assert_eq!(key.unwrap(&wrapped, identity).unwrap().expose(), root.expose());
        let other = Identity { member: MemberId(3), ..identity };
        assert!(matches!(key.unwrap(&wrapped, other), Err(Error::Tampered { .. })));
        for at in 0..wrapped.len() {
            assert!(key.unwrap(&wrapped[..at], identity).is_err());
            let mut flipped = wrapped.clone();
            flipped[at] ^= 0x80;
            assert!(key.unwrap(&flipped, identity).is_err());
        }
    }
}
