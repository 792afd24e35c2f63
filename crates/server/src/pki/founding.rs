//! The first start: the authority is made, and everything of it that must outlive this moment is sealed and recorded at once.
//!
//! One change of the register holds it whole, so that a start that is interrupted leaves an authority or none. The root's
//! key signs both issuers here and is never written down but sealed to the recovery key.

use super::authority::{Authority, leaf_in};
use super::made;
use ::certificate::files::{self, KEY_MODE};
use ::certificate::{Authority as Made, Error, HolderKey, KeyPair, issuer, pem, public_key_to_pem, root};
use env::WallTime;
use state::pki::{CertificateChange, Holder, Kind};
use std::path::Path;

/// The keys of an authority of the time when they lay in the directory as they are.
const PLAIN_KEYS: [&str; 3] = ["root.key", "clients.key", "peers.key"];

/// Makes the authority, or takes over the one whose keys lie in the directory.
///
/// # Errors
/// [`Error`]; nothing is recorded then.
pub(super) fn found(of: &Authority, recovery: Option<Holder>, now: WallTime) -> Result<(), Error> {
    let member = of.holder().holder(of.member(), false);
    let recovery = match recovery {
        Some(recovery) => recovery,
        None => recovery_key(&of.dir)?,
    };
    let [root, clients, peers] = match plain(&of.dir)? {
        Some(there) => there,
        None => new(&of.dir, now)?,
    };
    let holders = [&member, &recovery];
    let authorities =
        vec![root.sealed_to([&recovery])?, clients.sealed_to(holders)?, peers.sealed_to(holders)?];
    let change = CertificateChange::Set { authorities, holders: vec![member.clone(), recovery.clone()] };
    of.registry().change(change).map_err(|why| Error::Make { what: "the authority's record", why })?;
    for name in PLAIN_KEYS {
        files::remove(&of.dir.join(name))?;
    }
    Ok(())
}

fn new(dir: &Path, now: WallTime) -> Result<[Made; 3], Error> {
    if made::root(dir).exists() {
        return Err(Error::Stranded { path: made::root(dir) });
    }
    let made = root(now)?;
    let signer = made.signer().map_err(|why| Error::Make { what: "the root certificate", why })?;
    Ok([made, issuer(Kind::Clients, &signer, now)?, issuer(Kind::Peers, &signer, now)?])
}

/// The key that the root's will be sealed to, made where nobody brought one; an earlier start may have made it.
fn recovery_key(dir: &Path) -> Result<Holder, Error> {
    let path = made::recovery_key(dir);
    let key = match files::key(&path)? {
        Some(text) => HolderKey::from_pem(&text).map_err(|why| Error::Broken {
            path,
            what: "private key",
            why,
            hint: "remove it: nothing is sealed to it yet",
        })?,
        None => {
            let key = HolderKey::generate()?;
            files::write(&path, &key.to_pem(), KEY_MODE)?;
            key
        }
    };
    let holder = key.holder("recovery", true);
    files::write(&made::recovery_public(dir), &public_key_to_pem(&holder), files::CERTIFICATE_MODE)?;
    Ok(holder)
}

/// The authority whose keys lie in the directory as they are, if one does.
fn plain(dir: &Path) -> Result<Option<[Made; 3]>, Error> {
    let read = |kind: Kind, certificate: &Path| -> Result<Option<Made>, Error> {
        let key_path = certificate.with_extension("key");
        let (Some(text), Some(key)) = (files::certificate(certificate)?, files::key(&key_path)?) else {
            return Ok(None);
        };
        let broken = |why: String| Error::Broken {
            path: key_path.clone(),
            what: "private key",
            why,
            hint: "put it back from a copy",
        };
        let about = leaf_in(certificate, &text)?;
        let key = KeyPair::from_pem(&key).map_err(broken)?;
        if !about.is_of(&key) {
            return Err(broken(format!("it does not belong to {}", certificate.display())));
        }
        let der = pem::read_certificates(&text).map_err(broken)?.into_iter().next().unwrap_or_default();
        Ok(Some(Made { kind, certificate: der, key }))
    };
    let found = (
        read(Kind::Root, &made::root(dir))?,
        read(Kind::Clients, &made::client_ca(dir))?,
        read(Kind::Peers, &made::peer_ca(dir))?,
    );
    Ok(match found {
        (Some(root), Some(clients), Some(peers)) => Some([root, clients, peers]),
        _ => None,
    })
}
