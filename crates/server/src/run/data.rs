//! The data directory at start: found and opened, or made, with its key.
//!
//! Owns the choice between the two and what is said about it. A new key is made only for data that is not there yet.

use crate::config::{Bootstrap, Config, Personality, identity};
use env::{Env, Kind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use storage::{DataDir, Found, FreshnessMark, Identity, KeyFile, KeyId, KeyProvider, Keys};

use super::Failure;

/// An opened data directory, and what the operator should know about it.
pub(super) struct Data {
    pub(super) dir: DataDir,
    /// The key's file, where it was found by its name or made.
    pub(super) key: Option<PathBuf>,
    /// Whether data and key were made just now.
    pub(super) is_new: bool,
    /// Whether the key lies inside the data directory.
    pub(super) key_is_inside: bool,
    /// Where the mark lies by which an old copy of the data is known: beside the key.
    pub(super) mark: PathBuf,
    /// Where the other members reach this one, for the first entry.
    pub(super) peer_urls: Vec<String>,
}

/// Opens the data of this configuration, or makes it.
///
/// # Errors
/// The directory is not ours to use, its key is missing, the settings of a new cluster are contradictory, or the disk
/// fails.
pub(super) fn open_or_create(config: &Config, env: &Env) -> Result<Data, Failure> {
    let found = DataDir::inspect(env, &config.data_dir)?;
    if config.personality == Personality::Etcd {
        tighten(&config.data_dir);
    }
    let places = config.key_rule.places(&*env.disk).map_err(storage::Error::from)?;
    let peer_urls = config.advertised.peer_urls.clone();
    if let Found::Ours { key, .. } = found {
        let dir = DataDir::open(env, &config.data_dir, None, Keys::Files(&places.candidates))?;
        let name = FreshnessMark::file_name(dir.identity(), key);
        let key = place_of_key(key, &places.candidates, env);
        let mark = key.as_deref().and_then(Path::parent).unwrap_or(&places.create_in).join(name);
        return Ok(Data { dir, key, is_new: false, key_is_inside: false, mark, peer_urls });
    }
    let bootstrap =
        config.cluster.bootstrap.as_ref().map_err(|problem| Failure::Bootstrap(problem.clone()))?;
    let identity = founding_identity(bootstrap, &config.name, env)?;
    make_parents(&config.data_dir, env)?;
    let data_dir_is_there = env.disk.stat(&config.data_dir).map_err(storage::Error::from)?.is_some();
    if places.is_inside_data && !data_dir_is_there {
        env.disk.create_dir(&config.data_dir).map_err(storage::Error::from)?;
    }
    make_dir(&places.create_in, env)?;
    let key = KeyFile::create(&*env.disk, &places.create_in, &*env.random).map_err(storage::Error::from)?;
    let dir = DataDir::create(env, &config.data_dir, identity, &key)?;
    let mark = places.create_in.join(FreshnessMark::file_name(identity, key.key_id()));
    let key = Some(key.path().to_owned());
    Ok(Data { dir, key, is_new: true, key_is_inside: places.is_inside_data, mark, peer_urls })
}

/// Opens the data of this configuration, which must be there.
///
/// # Errors
/// There is none, it is in use, its key is missing, or the disk fails.
pub(super) fn open(config: &Config, env: &Env) -> Result<Data, Failure> {
    let found = DataDir::inspect(env, &config.data_dir)?;
    if !matches!(found, Found::Ours { .. }) {
        let (path, places) = (&config.data_dir, config.key_rule.places(&*env.disk));
        let places = places.map_err(storage::Error::from)?;
        // It says why there is nothing to open.
        DataDir::open(env, path, None, Keys::Files(&places.candidates))?;
    }
    open_or_create(config, env)
}

/// Where the key lies that opened the data: the first place that has it, as when it was looked for.
fn place_of_key(id: KeyId, candidates: &[PathBuf], env: &Env) -> Option<PathBuf> {
    let is_there = |path: &PathBuf| matches!(env.disk.stat(path), Ok(Some(stat)) if stat.kind == Kind::File);
    let named = |place: &PathBuf| [place.join(KeyFile::file_name(id)), place.clone()];
    candidates.iter().flat_map(named).find(is_there)
}

/// etcd takes a data directory as it finds it, and what starts it often makes one that others may read: here it is closed
/// to them, and said so. Where that is not allowed, opening the data refuses with what to do.
fn tighten(data_dir: &Path) {
    let Ok(metadata) = std::fs::metadata(data_dir) else { return };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return;
    }
    match std::fs::set_permissions(data_dir, std::fs::Permissions::from_mode(0o700)) {
        Ok(()) => tracing::warn!(
            data_dir = %data_dir.display(),
            was = format!("{mode:04o}"),
            "closed the data directory to other users"
        ),
        Err(error) => tracing::warn!(%error, "cannot close the data directory to other users"),
    }
}

/// The ids of a cluster that this member founds alone.
fn founding_identity(bootstrap: &Bootstrap, name: &str, env: &Env) -> Result<Identity, Failure> {
    let Some(peer_urls) = bootstrap.members.get(name).filter(|_| bootstrap.members.len() == 1) else {
        return Err(Failure::MoreThanOneMember { count: bootstrap.members.len() });
    };
    let drawn = || format!("strongroom-{:016x}", env.random.number());
    let token = bootstrap.token.clone().unwrap_or_else(drawn);
    let member = identity::member_id(peer_urls, &token);
    Ok(Identity { cluster: identity::cluster_id(&[member]), member })
}

fn make_parents(path: &Path, env: &Env) -> Result<(), Failure> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => make_dir(parent, env),
        None => Ok(()),
    }
}

/// Makes a directory for its owner alone, with its parents, unless it is there.
fn make_dir(path: &Path, env: &Env) -> Result<(), Failure> {
    if env.disk.stat(path).map_err(storage::Error::from)?.is_some() {
        return Ok(());
    }
    make_parents(path, env)?;
    env.disk.create_dir(path).map_err(storage::Error::from)?;
    Ok(())
}
