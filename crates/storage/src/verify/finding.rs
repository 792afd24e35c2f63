//! What a check found, in words for who has to act on it: place, cause, meaning, next step.

use std::fmt;
use std::path::PathBuf;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong with the data; somebody may want to know.
    Note,
    /// It could not be checked: a newer format, or no right to read it.
    Unchecked,
    /// The data is not what was written, or not all of it.
    Damage,
}

impl Severity {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Unchecked => "unchecked",
            Self::Damage => "damage",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file or directory.
    pub path: PathBuf,
    /// The byte in it, where there is one.
    pub position: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What follows from it.
    pub means: &'static str,
    /// What to do.
    pub next: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(position) = self.position {
            write!(f, " byte {position}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Which part of a data directory something is wrong with: what it means and what to do follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Keyring,
    Manifest,
    Log,
    Store,
    Index,
    Directory,
}

const PUT_BACK: &str =
    "keep a copy of the directory as it is, then put the whole directory back from a copy or a backup";
const LOOK: &str = "nothing needs to be done";

impl Part {
    fn means(self) -> &'static str {
        match self {
            Self::Keyring => "nothing in the directory can be opened without it",
            Self::Manifest => {
                "a start takes the other generation and replays the log from there; if that one is not whole either, the \
                 member does not start"
            }
            Self::Log => "acknowledged writes may be lost from there on; the member does not start",
            Self::Store => {
                "what was written there cannot be served: the member does not start, or answers reads of it with DataLoss"
            }
            Self::Index => "no data is lost: the next start reads the segment itself, which takes longer",
            Self::Directory => "part of the data is not there; the member does not start",
        }
    }

    fn next(self) -> &'static str {
        match self {
            Self::Keyring => "put the file keyring back from any copy of this member's directory",
            Self::Manifest => {
                "if this is the only damage, keep a copy and start the member: its next checkpoints replace both generations"
            }
            Self::Index => "keep a copy and start the member: it writes the index anew",
            Self::Log | Self::Store | Self::Directory => PUT_BACK,
        }
    }

    /// The data is not what was written.
    pub(super) fn damage(
        self,
        path: impl Into<PathBuf>,
        position: impl Into<Option<u64>>,
        what: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Damage,
            path: path.into(),
            position: position.into(),
            what: what.into(),
            means: self.means(),
            next: self.next(),
        }
    }

    /// A file that cannot be opened as a segment, or not be read at all.
    pub(super) fn failure(self, path: impl Into<PathBuf>, error: &crate::Error) -> Finding {
        let path = path.into();
        match error {
            crate::Error::Damaged { position, why, .. } => self.damage(path, *position, why),
            crate::Error::Version { version, .. } => Finding {
                severity: Severity::Unchecked,
                means: "a newer strongroom wrote it, or these bytes were changed",
                next: "check it with the newest strongroom that ran on this directory",
                ..self.damage(path, 8, format!("format version {version} is not known"))
            },
            crate::Error::Seal(error) => self.damage(path, 0, error.to_string()),
            crate::Error::Disk(error) if error.is_not_found() => self.damage(path, None, "it is not there"),
            crate::Error::Disk(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => {
                Finding {
                    severity: Severity::Unchecked,
                    means: "this user may not read it",
                    next: "check as the user that runs the member, or as root",
                    ..self.damage(path, None, error.to_string())
                }
            }
            error => self.damage(path, None, error.to_string()),
        }
    }
}

/// Something that somebody may want to know.
pub(super) fn note(
    path: impl Into<PathBuf>,
    position: impl Into<Option<u64>>,
    what: impl Into<String>,
    means: &'static str,
) -> Finding {
    Finding {
        severity: Severity::Note,
        path: path.into(),
        position: position.into(),
        what: what.into(),
        means,
        next: LOOK,
    }
}
