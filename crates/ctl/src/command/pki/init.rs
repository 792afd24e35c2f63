//! `pki init`: the recovery key, made before a cluster is, so that it never lies on a member.

use super::{failed, files};
use crate::command::say_sheet;
use crate::exit::Failure;
use crate::print::Sheet;
use crate::settings::Global;
use certificate::files::KEY_MODE;
use certificate::{HolderKey, public_key_to_pem};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// `pki init [--dir DIR]`
#[derive(Args, Clone, Debug)]
pub struct Init {
    /// Where to put recovery.key and recovery.pub
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

impl Init {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let (key_path, public_path) = (self.dir.join("recovery.key"), self.dir.join("recovery.pub"));
        if key_path.exists() {
            return Err(Failure::error(format!("{} is there already", key_path.display()))
                .hinting("keep it: what is sealed to it opens with nothing else; or choose another --dir"));
        }
        files::directory(&self.dir)?;
        let key = HolderKey::generate().map_err(|error| failed(&error))?;
        certificate::files::write(&key_path, &key.to_pem(), KEY_MODE).map_err(|error| failed(&error))?;
        files::write_public(&public_path, &public_key_to_pem(&key.holder("recovery", true)))?;
        let (key_file, public_file) = (key_path.display().to_string(), public_path.display().to_string());
        say_sheet(
            global,
            &Sheet {
                text: format!(
                    "{key_file}   opens the root's key and the issuers': keep it offline, in a place you will find\n\
                     {public_file}   give it to the first start:\n\n  \
                     strongroom up --recovery-recipient {public_file}\n"
                ),
                json: json!({"recovery_key": key_file, "recovery_recipient": public_file}),
                table: None,
            },
        )
    }
}
