//! `pki rollover`: other issuers, or another root with them, while what the old ones issued stays good.
//!
//! The root's key is opened here, on the machine of whoever has the recovery key, and goes nowhere: the new issuers' keys leave
//! it sealed to the members. New issuers issue from then on; members make their own certificates anew at once; old certificates
//! are trusted until `--finish`, which refuses while one of them is still good.
//!
//! With `--root` the new issuers have a certificate by the old root as well, so that clients that know only that one go on.

use super::failed;
use super::list::{about, all};
use crate::command::show;
use crate::command::span;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::{Answer, Sheet};
use crate::settings::Settings;
use bytes::Bytes;
use certificate::{HolderKey, Signer, issuer, issuer_again, root};
use clap::Args;
use env::Clock;
use env::real::SystemClock;
use node::certificate_messages as messages;
use proto::strongroom::v1 as own;
use serde_json::json;
use state::pki::{Authority, Holder, Kind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `pki rollover --recovery-key FILE [--root] | --finish [--force]`
#[derive(Args, Clone, Debug)]
pub struct Rollover {
    /// The recovery key, which opens the root's
    #[arg(long, value_name = "FILE", required_unless_present = "finish")]
    recovery_key: Option<PathBuf>,
    /// Replace the root too: every client needs the new root.crt before --finish
    #[arg(long, conflicts_with = "finish")]
    root: bool,
    /// End the trust in former authorities
    #[arg(long)]
    finish: bool,
    /// With --finish: although certificates of theirs are still good
    #[arg(long, requires = "finish")]
    force: bool,
}

impl Rollover {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let client = Client::connect(settings).await?;
        if self.finish { finish(&client, self.force).await } else { self.begin(&client).await }
    }

    async fn begin(self, client: &Client) -> Result<(), Failure> {
        let path = self.recovery_key.as_deref().unwrap_or(Path::new(""));
        let recovery = recovery_key(path)?;
        let listed = all(client, true).await?;
        let known = read(listed.authorities)?;
        if let Some(former) = known.iter().find(|authority| authority.is_former) {
            return Err(Failure::error(format!("authority {} is still being replaced", former.id))
                .hinting("end that first: strongroom pki rollover --finish"));
        }
        let holders: Vec<Holder> = listed.holders.into_iter().map(messages::holder_from).collect();
        let old_root = known.iter().find(|each| each.kind == Kind::Root);
        let old_root = old_root.ok_or_else(|| Failure::error("the cluster has no root"))?;
        let old_signer = Signer::open(old_root, &recovery).map_err(|error| wrong_key(&error, path))?;
        let now = SystemClock::new().wall();
        let mut set = Vec::new();
        let mut by = old_signer;
        let mut cross = None;
        if self.root {
            let made = root(now).map_err(|error| failed(&error))?;
            let recoveries = holders.iter().filter(|holder| holder.is_recovery);
            set.push(made.sealed_to(recoveries).map_err(|error| failed(&error))?);
            let signer = made.signer().map_err(Failure::error)?;
            cross = Some(std::mem::replace(&mut by, signer));
        }
        for kind in [Kind::Clients, Kind::Peers] {
            let made = issuer(kind, &by, now).map_err(|error| failed(&error))?;
            let mut sealed = made.sealed_to(&holders).map_err(|error| failed(&error))?;
            if let Some(old) = &cross {
                let also = issuer_again(&made.certificate, old, now).map_err(|error| failed(&error))?;
                sealed.certificates.insert(0, Bytes::from(also));
            }
            set.push(sealed);
        }
        let replaced = |old: &&Authority| old.kind != Kind::Root || self.root;
        set.extend(known.iter().filter(replaced).map(|old| Authority { is_former: true, ..old.clone() }));
        let request =
            own::SetAuthoritiesRequest { authorities: set.iter().map(messages::authority_to).collect() };
        client.call(client.pki().set_authorities(client.request(request))).await?;
        let new: Vec<_> = set.iter().filter(|each| !each.is_former).map(|each| each.id.clone()).collect();
        let next = if self.root {
            "Members show new certificates from now on. Give every client the new root.crt (pki renew does so beside a\n\
             certificate), have certificates renewed, then:\n\n  strongroom pki rollover --finish\n"
        } else {
            "Members show new certificates from now on; old ones are trusted until they end. Then:\n\n  \
             strongroom pki rollover --finish\n"
        };
        let text = format!("New authorities: {}\n{next}", new.join(", "));
        show(client, &Answer::Sheet(&Sheet { text, json: json!({"authorities": new}), table: None }))
    }
}

async fn finish(client: &Client, force: bool) -> Result<(), Failure> {
    let listed = all(client, true).await?;
    let now = listed.now;
    let former: Vec<_> = listed.authorities.iter().filter(|each| each.former).cloned().collect();
    if former.is_empty() {
        return Err(Failure::error("no authority is being replaced")
            .hinting("strongroom pki rollover --recovery-key FILE begins"));
    }
    let still = held(&listed.certificates, &former, now);
    if let Some(last) = still.iter().map(|each| each.not_after).max()
        && !force
    {
        let mut names: Vec<_> = still.iter().map(|each| format!("{} {}", each.role, each.name)).collect();
        names.dedup();
        return Err(Failure::error(format!(
            "{} have no other certificate yet, the last of which is good for {}",
            names.join(", "),
            span::left(last, now)
        ))
        .hinting("have them renewed, wait, or lock their holders out with --force"));
    }
    // With the root goes what its issuers' certificates by it were for.
    let old_roots: Vec<_> = former.iter().filter(|each| each.kind == "root").filter_map(about).collect();
    let current = read(listed.authorities.into_iter().filter(|each| !each.former).collect())?;
    let mut set = Vec::new();
    for authority in current {
        let by_new = |der: &Bytes| {
            certificate::About::of(der)
                .is_ok_and(|about| !old_roots.iter().any(|root| root.common_name == about.issuer))
        };
        let certificates: Vec<_> = authority.certificates.iter().filter(|der| by_new(der)).cloned().collect();
        if certificates.len() < authority.certificates.len() && !certificates.is_empty() {
            set.push(Authority { certificates, ..authority });
        }
    }
    if !set.is_empty() {
        let authorities = set.iter().map(messages::authority_to).collect();
        let request = client.request(own::SetAuthoritiesRequest { authorities });
        client.call(client.pki().set_authorities(request)).await?;
    }
    for authority in &former {
        let request = client.request(own::RemoveAuthorityRequest { id: authority.id.clone() });
        client.call(client.pki().remove_authority(request)).await?;
    }
    let gone: Vec<_> = former.iter().map(|each| each.id.clone()).collect();
    let text = format!("Not trusted any more: {}\n", gone.join(", "));
    show(client, &Answer::Sheet(&Sheet { text, json: json!({"removed": gone}), table: None }))
}

/// The good certificates of former authorities whose holders have none by a current one.
fn held<'a>(
    certificates: &'a [own::Certificate],
    former: &[own::Authority],
    now: u64,
) -> Vec<&'a own::Certificate> {
    let is_by_former = |each: &own::Certificate| former.iter().any(|old| old.id == each.authority);
    let is_good = |each: &&own::Certificate| each.revoked == 0 && each.not_after >= now;
    let good: Vec<_> = certificates.iter().filter(is_good).collect();
    let has_another = |each: &own::Certificate| {
        let same = |other: &&&own::Certificate| other.role == each.role && other.name == each.name;
        good.iter().filter(same).any(|other| !is_by_former(other))
    };
    good.iter().filter(|each| is_by_former(each) && !has_another(each)).copied().collect()
}

fn read(authorities: Vec<own::Authority>) -> Result<Vec<Authority>, Failure> {
    let known = authorities.into_iter().map(messages::authority_from).collect::<Option<_>>();
    known.ok_or_else(|| Failure::error("the member knows kinds of authorities that this program does not"))
}

/// Reads the recovery key.
pub(super) fn recovery_key(path: &Path) -> Result<HolderKey, Failure> {
    let text = certificate::files::key(path).map_err(|error| failed(&error))?;
    let text = text.ok_or_else(|| Failure::error(format!("{}: no such file", path.display())))?;
    HolderKey::from_pem(&text).map_err(|why| {
        Failure::error(format!("{}: {why}", path.display())).hinting("name the recovery key of this cluster")
    })
}

fn wrong_key(error: &certificate::Error, path: &Path) -> Failure {
    Failure::error(format!("{} does not open the root's key: {error}", path.display()))
        .hinting("strongroom pki show tells the id of the key that does")
}
