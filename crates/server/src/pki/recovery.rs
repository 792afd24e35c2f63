//! Ways back in, on a member that serves nobody: the authority opened again with the recovery key, and an administrator's
//! certificate made for whoever can read the data.

use super::authority::{Authority, Renewed, holder_key};
use super::made;
use super::registry::{Registry, read};
use ::certificate::files::{self, CERTIFICATE_MODE, KEY_MODE};
use ::certificate::{Error, HolderKey, KeyPair, Wanted, reseal};
use env::WallTime;
use state::pki::{CertificateChange, Kind, Register, Role};
use std::path::Path;
use std::time::Duration;

/// Seals the issuers' keys to this member again, whose own key was lost; what was sealed to the lost one is forgotten.
///
/// # Errors
/// The recovery key is another cluster's; or a file.
pub fn reopen(dir: &Path, member: &str, recovery: &HolderKey, registry: &dyn Registry) -> Result<(), Error> {
    files::directory(dir)?;
    let register = read(registry, Register::clone);
    let holder = holder_key(dir)?.holder(member, false);
    let issuers = register.authorities().filter(|authority| authority.kind != Kind::Root);
    let mut authorities = Vec::new();
    for issuer in issuers.filter(|issuer| !issuer.keys.iter().any(|key| key.holder == holder.id)) {
        let mut again = issuer.clone();
        again.keys.push(reseal(issuer, recovery, &holder)?);
        authorities.push(again);
    }
    let failed = |why| Error::Make { what: "the authority's record", why };
    let holders = vec![holder.clone()];
    registry.change(CertificateChange::Set { authorities, holders }).map_err(failed)?;
    let lost = register.holders().filter(|known| known.name == member && known.id != holder.id);
    for lost in lost.filter(|known| !known.is_recovery) {
        registry.change(CertificateChange::RemoveHolder { id: lost.id.clone() }).map_err(failed)?;
    }
    Ok(())
}

impl Authority {
    /// Makes an administrator's certificate anew, whatever the old one was worth, and records it.
    ///
    /// # Errors
    /// [`Error`]
    pub fn recover_administrator(&self, now: WallTime) -> Result<Renewed, Error> {
        let key = KeyPair::generate()?;
        let wanted = Wanted {
            role: Role::Administrator,
            name: "root".to_owned(),
            names: Vec::new(),
            life: Duration::ZERO,
            by: format!("pki recover on {}", self.member()),
        };
        let leaf = self.issue(&wanted, &key, now)?;
        let not_after = i64::try_from(leaf.issued.not_after).unwrap_or(i64::MAX);
        let change =
            CertificateChange::Issue { issued: vec![leaf.issued], token: None, now: now.unix_seconds() };
        let failed = |why| Error::Make { what: "the certificate's record", why };
        self.registry().change(change).map_err(failed)?;
        let path = made::certificate(&self.dir, Role::Administrator);
        files::write(&made::key(&self.dir, Role::Administrator), &key.to_pem(), KEY_MODE)?;
        files::write(&path, &leaf.chain, CERTIFICATE_MODE)?;
        Ok(Renewed { role: Role::Administrator, path, not_after })
    }
}
