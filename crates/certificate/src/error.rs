//! Why a certificate, a key or a file of them cannot be used or made.

use std::io;
use std::path::PathBuf;

/// Why a certificate, a key or a file of them cannot be used or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be read or written.
    #[error("cannot {act} {}: {source}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Others can read what is secret.
    #[error("{} has mode {mode:04o}: others can use it", path.display())]
    Loose {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// A file is not what it should be.
    #[error("{} is no {what}: {why}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// A file is missing that cannot be made anew.
    #[error("{} is missing, and {why}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Why it cannot be made.
        why: &'static str,
    },
    /// The directory is of an authority that the data knows nothing of.
    #[error("{} is of an authority whose keys are not in this data", path.display())]
    Stranded {
        /// Its root.
        path: PathBuf,
    },
    /// A certificate has ended, and what is needed to renew it is not there.
    #[error("{} has ended on {ended}, and {why}", path.display())]
    Ended {
        /// The certificate.
        path: PathBuf,
        /// When.
        ended: String,
        /// Why it is not renewed.
        why: &'static str,
    },
    /// A sealed key cannot be opened.
    #[error("the key of {what} cannot be opened: {why}")]
    Sealed {
        /// Whose.
        what: String,
        /// Why not.
        why: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A certificate request is none, or not signed by its own key.
    #[error("the certificate request cannot be used: {why}")]
    Request {
        /// What is wrong with it.
        why: String,
    },
    /// An enrolment token is none.
    #[error("that is no enrolment token: {why}")]
    Token {
        /// What is wrong with it.
        why: &'static str,
    },
    /// A name cannot stand in a certificate.
    #[error("{name:?} cannot stand in a certificate: {why}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        why: String,
    },
    /// A key or certificate could not be made.
    #[error("cannot make {what}: {why}")]
    Make {
        /// What.
        what: &'static str,
        /// Why not.
        why: String,
    },
}

impl Error {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Io { act: "write" | "create", .. } => {
                "check the directory's owner and free space, or choose another with --pki-dir".to_owned()
            }
            Self::Io { .. } => "check that this user owns the file".to_owned(),
            Self::Loose { path, wanted, .. } => format!("chmod {wanted:o} '{}'", path.display()),
            Self::Broken { hint, .. } => (*hint).to_owned(),
            Self::Missing { .. } | Self::Ended { .. } => {
                "put it back from a copy; where the recovery key is at hand: strongroom pki recover --recovery-key FILE"
                    .to_owned()
            }
            Self::Stranded { .. } => {
                "start with the data that belongs to it; or move the directory away: a new authority is made, and every client needs its root.crt and a new certificate"
                    .to_owned()
            }
            Self::Sealed { hint, .. } => (*hint).to_owned(),
            Self::Request { .. } => {
                "make it anew: strongroom makes key and request by itself, openssl with openssl req -new -key FILE -outform DER"
                    .to_owned()
            }
            Self::Token { .. } => {
                "copy it whole, from srt_ on; or make another with strongroom pki token".to_owned()
            }
            Self::Name { .. } => "correct the host's name, --advertise or --certificate-name".to_owned(),
            Self::Make { .. } => "this is a fault of the program; please report it".to_owned(),
        }
    }
}
