//! PEM files: written whole or not at all, read only if nobody else can read what is secret.

use crate::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Of a key's file.
pub const KEY_MODE: u32 = 0o600;
/// Of a certificate's file.
pub const CERTIFICATE_MODE: u32 = 0o644;

fn io_error(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { act, path, source }
}

/// Refuses what others have any right to.
fn is_private(path: &Path, about: &fs::Metadata, wanted: u32) -> Result<(), Error> {
    let mode = about.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(Error::Loose { path: path.to_owned(), mode, wanted }) }
}

/// Whether the directory is there; refuses one that others can enter.
///
/// # Errors
/// [`Error`], naming it.
pub fn directory_is_there(path: &Path) -> Result<bool, Error> {
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => {
            is_private(path, &about, 0o700)?;
            Ok(true)
        }
        Ok(_) => Err(Error::Broken {
            path: path.to_owned(),
            what: "directory",
            why: "it is something else".to_owned(),
            hint: "choose another place with --pki-dir",
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Makes the directory if it is not there; refuses one that others can enter.
///
/// # Errors
/// [`Error`], naming it.
pub fn directory(path: &Path) -> Result<(), Error> {
    if directory_is_there(path)? {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
    }
    fs::DirBuilder::new().mode(0o700).create(path).map_err(io_error("create", path))?;
    sync_directory(parent.unwrap_or(Path::new(".")))
}

/// The text of a certificate's file; nothing if it is not there.
///
/// # Errors
/// [`Error`], naming it.
pub fn certificate(path: &Path) -> Result<Option<String>, Error> {
    read(path)
}

/// The text of a key's file; nothing if it is not there.
///
/// # Errors
/// [`Error`], naming it; also where others can read it.
pub fn key(path: &Path) -> Result<Option<Zeroizing<String>>, Error> {
    match fs::metadata(path) {
        Ok(about) => is_private(path, &about, KEY_MODE)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    }
    Ok(read(path)?.map(Zeroizing::new))
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    };
    let mut text = String::new();
    match file.take(FILE_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Error::Broken {
            path: path.to_owned(),
            what: "PEM file",
            why: "it is not text".to_owned(),
            hint: "put it back from a copy",
        }),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Replaces a file in one step, durably.
///
/// # Errors
/// [`Error`], naming it; the old file stays.
pub fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // What an interrupted write left behind was never used.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("write", &beside)(error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .map_err(io_error("create", &beside))?;
    // The process's mask may take bits away that a certificate should have; it never adds any.
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(io_error("write", &beside))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io_error("write", &beside))?;
    fs::rename(&beside, path).map_err(io_error("write", path))?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Removes a file that may not be there.
///
/// # Errors
/// [`Error`], naming it.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error("write", path))
}
