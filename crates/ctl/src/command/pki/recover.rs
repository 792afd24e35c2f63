//! `pki recover`: a way back in when the administrator's certificate is lost, or this member's own key.
//!
//! Owns its options; the program runs it, since it starts the member without serving anybody.

use clap::Args;
use std::path::PathBuf;

/// `pki recover [--data-dir DIR] [--pki-dir DIR] [--key-file FILE] [--recovery-key FILE]`
#[derive(Args, Clone, Debug)]
pub struct Recover {
    /// Where the data lies [default: as for up]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where made certificates lie [default: <data-dir>-pki]
    #[arg(long, value_name = "DIR")]
    pub pki_dir: Option<PathBuf>,
    /// The sealing key's file [default: as for up]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The recovery key: opens the authority for this member again, whose own key is lost
    #[arg(long, value_name = "FILE")]
    pub recovery_key: Option<PathBuf>,
}
