//! `pki renew`: another certificate like the one that is shown, in its place. The command line does so by itself for an
//! administrator's.

use super::files::read;
use super::{Pair, failed, files};
use crate::command::show;
use crate::command::span;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::{Answer, Sheet};
use crate::settings::Settings;
use certificate::{ADMINISTRATOR_URI, About, KeyPair};
use clap::Args;
use proto::strongroom::v1 as own;
use serde_json::json;
use std::sync::Arc;

/// `pki renew [--if-due]`
#[derive(Args, Clone, Debug)]
pub struct Renew {
    /// Do nothing unless half of its life is over: for timers
    #[arg(long)]
    if_due: bool,
}

impl Renew {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let Some(pair) = shown(settings) else {
            return Err(Failure::arguments("no certificate is shown")
                .hinting("name it with --cert and --key, or start strongroom up as this user"));
        };
        let about = first(&pair)?;
        let now = span::now();
        if self.if_due && !is_over(&about, now, 2) {
            let end = u64::try_from(about.not_after).unwrap_or(0);
            let text = format!("{}  ends in {}: not due\n", pair.certificate.display(), span::left(end, now));
            let json = json!({"certificate": pair.certificate.display().to_string(), "renewed": false, "not_after": end});
            return crate::command::emit(&crate::print::sheet(
                settings.format,
                &Sheet { text, json, table: None },
            )?);
        }
        let client = Client::connect(settings).await?;
        let issued = renew(&client, &pair).await?;
        let text = format!(
            "{}  ends in {}, serial {}\n",
            pair.certificate.display(),
            span::left(issued.not_after, now),
            issued.serial
        );
        let json = json!({
            "certificate": pair.certificate.display().to_string(), "renewed": true,
            "serial": issued.serial, "not_after": issued.not_after,
        });
        show(&client, &Answer::Sheet(&Sheet { text, json, table: None }))
    }
}

async fn renew(client: &Client, pair: &Pair) -> Result<own::IssuedCertificate, Failure> {
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let request = key.request().map_err(|error| failed(&error))?;
    let request = client.request(own::RenewRequest { request: request.into() });
    let answer = client.call(client.pki().renew(request)).await?;
    let issued = answer.certificates.first().cloned();
    let issued = issued.ok_or_else(|| Failure::error("the member issued nothing"))?;
    pair.write(&issued.chain, &key)?;
    // The roots change when one is replaced; whoever keeps them beside the certificate gets the new ones.
    let roots = pair.certificate.with_file_name("root.crt");
    if roots.exists() && std::fs::read_to_string(&roots).is_ok_and(|there| there != answer.roots) {
        files::write_public(&roots, &answer.roots)?;
    }
    Ok(issued)
}

/// Renews an administrator's certificate whose life is two thirds over, while a command is under way; what goes wrong is told
/// and keeps nothing from being done. A member renews its own at half, so the two do not meet.
pub(crate) async fn renew_ours_if_due(client: &Client) {
    let Some(pair) = shown(&client.settings) else { return };
    let Ok(about) = first(&pair) else { return };
    let is_administrators = about.names.iter().any(|name| name == ADMINISTRATOR_URI);
    if !is_administrators || !is_over(&about, span::now(), 3) {
        return;
    }
    if let Err(failure) = renew(client, &pair).await {
        eprintln!("warning: {} could not be renewed: {}", pair.certificate.display(), failure.message);
    } else if client.settings.chatty {
        eprintln!("{} was renewed", pair.certificate.display());
    }
}

fn shown(settings: &Settings) -> Option<Pair> {
    settings.pair.clone().map(|(certificate, key)| Pair { certificate, key })
}

fn first(pair: &Pair) -> Result<About, Failure> {
    Ok(read(&pair.certificate)?.swap_remove(0).1)
}

/// Whether less than this part of a certificate's life is left.
fn is_over(about: &About, now: u64, part: i64) -> bool {
    let left = about.not_after.saturating_sub(about.not_before) / part;
    i64::try_from(now).unwrap_or(i64::MAX) >= about.not_after.saturating_sub(left)
}
