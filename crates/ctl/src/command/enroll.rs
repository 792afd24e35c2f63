//! `enroll`: this machine comes for its certificates with a token.
//!
//! Nothing is trusted before the member has shown a root whose public key is the token's pin; nothing that is secret is sent
//! before the member has proven itself by that root. Keys are made here and stay here.

use super::pki::{Claimed, Pair, failed};
use super::span::left;
use crate::connect::Client;
use crate::credentials::Credentials;
use crate::exit::Failure;
use crate::print::{Answer, Sheet};
use crate::profile::Profile;
use crate::secret::Secret;
use crate::settings::{Settings, Verification};
use certificate::files::{self, CERTIFICATE_MODE};
use certificate::{About, KeyPair, Pin, Token, pem};
use clap::Args;
use proto::strongroom::v1 as own;
use serde_json::{Value, json};
use state::pki::Role;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `enroll --token TOKEN [--dir DIR]`
#[derive(Args, Clone, Debug)]
pub struct Enroll {
    /// The token that strongroom pki token gave; other users of the machine can see it here, but not in STRONGROOM_TOKEN
    #[arg(long, value_name = "TOKEN")]
    token: Option<Secret>,
    /// Where to put certificates, keys and the root
    #[arg(long, value_name = "DIR", default_value = "strongroom-pki")]
    dir: PathBuf,
    /// Write the client profile of this user, so that later commands need no option
    #[arg(long)]
    write_profile: bool,
}

impl Enroll {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let token = self.token()?;
        let pairs: Vec<_> =
            token.roles.iter().map(|role| (*role, Pair::named(&self.dir, role.name()))).collect();
        for (_, pair) in &pairs {
            pair.refuse_if_there()?;
        }
        if self.write_profile && client_of(&pairs).is_none() {
            return Err(Failure::error("a member's certificates are no client's")
                .hinting("leave out --write-profile"));
        }
        // Before the token is shown: where nothing can be written it must not be used up.
        let place = Claimed::directory(&self.dir)?;
        let pinned = pinned_roots(settings, &token.pin).await?;
        let client = Client::connect(&alone(settings, Verification::ByRoots(pinned.into()))).await?;
        let mut keys = Vec::new();
        let mut requests = Vec::new();
        for (role, _) in &pairs {
            let key = KeyPair::generate().map_err(|error| failed(&error))?;
            let request = key.request().map_err(|error| failed(&error))?.into();
            requests.push(own::CertificateRequest { role: role.name().to_owned(), request });
            keys.push(key);
        }
        let secret = bytes::Bytes::copy_from_slice(&*token.secret);
        let request = client.request(own::EnrollRequest { id: token.id.clone(), secret, requests });
        let answer = client.call(client.pki().enroll(request)).await?;
        place.keep();
        let mut text = String::new();
        let mut written: Vec<Value> = Vec::new();
        let now = super::span::now();
        for ((role, pair), key) in pairs.iter().zip(&keys) {
            let issued = answer.certificates.iter().find(|each| each.role == role.name());
            let issued = issued
                .ok_or_else(|| Failure::error(format!("the member gave no {}'s certificate", role.name())))?;
            pair.write(&issued.chain, key)?;
            let (certificate, key_file) =
                (pair.certificate.display().to_string(), pair.key.display().to_string());
            text += &format!("{certificate}  ends in {}\n{key_file}\n", left(issued.not_after, now));
            written.push(json!({
                "role": issued.role, "certificate": certificate, "key": key_file,
                "serial": issued.serial, "not_after": issued.not_after,
            }));
        }
        let root = self.dir.join("root.crt");
        write(&root, &answer.roots)?;
        text += &format!("{}  what to trust\n", root.display());
        if !answer.peer_roots.is_empty() {
            let peers = self.dir.join("peers.crt");
            write(&peers, &answer.peer_roots)?;
            text += &format!("{}  what members trust\n", peers.display());
        }
        if let Some(pair) = client_of(&pairs).filter(|_| self.write_profile) {
            text += &write_profile(settings, &root, pair)?;
        }
        let json = json!({"certificates": written, "root": root.display().to_string()});
        super::show(&client, &Answer::Sheet(&Sheet { text, json, table: None }))
    }

    fn token(&self) -> Result<Token, Failure> {
        let of_variable =
            || std::env::var("STRONGROOM_TOKEN").ok().filter(|text| !text.is_empty()).map(Secret::from);
        let text = self.token.clone().or_else(of_variable).ok_or_else(|| {
            Failure::arguments("there is no token")
                .hinting("an administrator makes one: strongroom pki token --name NAME; give it with --token or STRONGROOM_TOKEN")
        })?;
        Token::parse(text.expose())
            .map_err(|error| Failure::arguments(error.to_string()).hinting(error.hint()))
    }
}

/// The settings without our own certificate and user: whoever enrols has none.
fn alone(settings: &Settings, verification: Verification) -> Arc<Settings> {
    let credentials = Credentials::default();
    Arc::new(Settings { ca: None, pair: None, verification, credentials, ..settings.clone() })
}

/// Those of the member's roots whose public key is the pin, PEM; a member that shows none is not the one.
async fn pinned_roots(settings: &Arc<Settings>, pin: &Pin) -> Result<String, Failure> {
    // The member is anybody so far: it is asked for what is public, and what it says is held against the pin.
    let client = Client::connect(&alone(settings, Verification::ByPin)).await?;
    let answer = client.call(client.pki().roots(client.request(own::RootsRequest {}))).await?;
    let ders = pem::read_certificates(&answer.roots).map_err(Failure::error)?;
    let pinned = ders.iter().filter(|der| {
        About::of(der).is_ok_and(|about| about.is_authority && Pin::of(&about.public_key) == *pin)
    });
    let pinned = pem::certificates(pinned.map(Vec::as_slice));
    if pinned.is_empty() {
        return Err(Failure::error(format!("{} is not of the cluster that gave the token", client.endpoint()))
            .hinting("check --endpoints; if that is right, somebody is in between, or the root was replaced: ask for a new token"));
    }
    Ok(pinned)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    files::write(path, text, CERTIFICATE_MODE).map_err(|error| failed(&error))
}

/// The pair that a client shows, if one of them is.
fn client_of(pairs: &[(Role, Pair)]) -> Option<&Pair> {
    let is_clients = |role: &Role| matches!(role, Role::Client | Role::Administrator);
    pairs.iter().find(|(role, _)| is_clients(role)).map(|(_, pair)| pair)
}

fn write_profile(settings: &Settings, root: &Path, pair: &Pair) -> Result<String, Failure> {
    let place = Profile::default_path()
        .ok_or_else(|| Failure::error("there is no home directory for the profile"))?;
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let profile = Profile {
        endpoints: settings.endpoints.iter().map(|endpoint| endpoint.written.clone()).collect(),
        ca: Some(whole(root)),
        cert: Some(whole(&pair.certificate)),
        key: Some(whole(&pair.key)),
    };
    profile.write(&place).map_err(|error| Failure::error(error.to_string()))?;
    Ok(format!("{}  the profile of this user\n", place.display()))
}
