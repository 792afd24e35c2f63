//! `pki issue`: a key made here, and a certificate for it.

use super::{Pair, failed, files};
use crate::command::show;
use crate::command::span;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::{Answer, Sheet};
use crate::settings::Settings;
use certificate::KeyPair;
use clap::Args;
use proto::strongroom::v1 as own;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// `pki issue --role ROLE --name NAME [--san NAME]… [--life TIME] [--dir DIR]`
#[derive(Args, Clone, Debug)]
pub struct Issue {
    /// Whom the certificate makes of its holder: server, peer, client or administrator
    #[arg(long, default_value = "client")]
    role: String,
    /// Its name: a user's for a client, a member's for a server or peer
    #[arg(long, default_value = "", required_unless_present = "role")]
    name: String,
    /// A host name, an address or, for clients, a URI that it carries beside
    #[arg(long, value_name = "NAME")]
    san: Vec<String>,
    /// How long it lasts, as 30d [default: 7d for servers and peers, 90d for clients and administrators]
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    life: Option<u64>,
    /// Where to put the certificate, its key and the root
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

impl Issue {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let stem = stem(&self.name, &self.role);
        if stem.contains('/') || stem.starts_with('.') {
            return Err(Failure::arguments(format!("{stem:?} cannot be a file's name")));
        }
        let pair = Pair::named(&self.dir, stem);
        pair.refuse_if_there()?;
        let client = Client::connect(settings).await?;
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let request = key.request().map_err(|error| failed(&error))?;
        let request = client.request(own::IssueRequest {
            request: Some(own::CertificateRequest { role: self.role, request: request.into() }),
            name: self.name,
            names: self.san,
            life_seconds: self.life.unwrap_or(0),
        });
        let answer = client.call(client.pki().issue(request)).await?;
        files::directory(&self.dir)?;
        let written = keep(&answer, |_| pair.clone(), &key, &self.dir)?;
        show(&client, &Answer::Sheet(&written))
    }
}

/// Writes what was issued for this key, and the roots beside it.
pub(super) fn keep(
    answer: &own::IssueResponse,
    pair_of: impl Fn(&own::IssuedCertificate) -> Pair,
    key: &KeyPair,
    dir: &std::path::Path,
) -> Result<Sheet, Failure> {
    let issued = answer.certificates.first().ok_or_else(|| Failure::error("the member issued nothing"))?;
    let pair = pair_of(issued);
    pair.write(&issued.chain, key)?;
    let root = dir.join("root.crt");
    files::write_public(&root, &answer.roots)?;
    let (certificate, key_file) = (pair.certificate.display().to_string(), pair.key.display().to_string());
    let now = span::now();
    Ok(Sheet {
        text: format!(
            "{certificate}  ends in {}, serial {}\n{key_file}\n{}  what to trust\n",
            span::left(issued.not_after, now),
            issued.serial,
            root.display()
        ),
        json: json!({
            "certificate": certificate, "key": key_file, "root": root.display().to_string(),
            "serial": issued.serial, "role": issued.role, "not_after": issued.not_after,
        }),
        table: None,
    })
}

/// What the files are called: by the name, or by the role where there is none or where `root.crt` is what to trust.
fn stem<'a>(name: &'a str, role: &'a str) -> &'a str {
    if name.is_empty() || name == "root" { role } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate of the user root must not lie where the root certificate is written: one of them would be lost.
    #[test]
    fn the_user_root_has_files_beside_the_root_certificate() {
        assert_eq!(stem("root", "administrator"), "administrator");
        assert_eq!(stem("", "client"), "client");
        assert_eq!(stem("alice", "client"), "alice");
    }
}
