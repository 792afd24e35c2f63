//! The first user of a `strongroom`: root, without a password, with the root role; then access control is on.
//!
//! Done before anybody is served, in the replicated accounts themselves, so that from the first request on there is one
//! policy and no special case: who is nobody's user may do nothing. What is there already is left alone.

use super::Failure;
use crate::config::{Listener, Security};
use node::Member;
use state::auth::{AccessChange, PasswordHash, ROOT};
use state::{Command, Refusal};

/// Makes the first user and turns access control on, as far as that has not been done.
///
/// # Errors
/// Nothing can be written.
pub(crate) fn make(member: &Member) -> Result<(), Failure> {
    let (is_enabled, is_there, is_root) = member.gauges().first_user();
    if is_enabled {
        return Ok(());
    }
    if !is_there {
        let (name, password) = (ROOT.to_owned(), PasswordHash::default());
        carry_out(member, AccessChange::UserAdd { name, no_password: true, password })?;
    }
    if !is_root {
        carry_out(member, AccessChange::UserGrantRole { user: ROOT.to_owned(), role: ROOT.to_owned() })?;
    }
    carry_out(member, AccessChange::Enable)?;
    tracing::info!(
        "access control is on: the administrator's certificate is root, everybody else needs a role"
    );
    Ok(())
}

/// Says so when nobody who gets in can be an administrator: clients' certificates are another authority's, and no user that
/// one of them or a password could name has the root role.
pub(super) fn warn_of_a_locked_door(member: &Member, listeners: &[Listener]) {
    let is_ours = |listener: &Listener| match &listener.security {
        Security::Tls(tls) | Security::ClearOrTls(tls) => tls.names_administrators,
        Security::Clear | Security::DangerouslyClear => false,
    };
    if !listeners.iter().any(is_ours) && !member.gauges().has_other_administrators() {
        tracing::warn!(
            hint = "start once without --tls-client-ca; then strongroom user add NAME --no-password, and strongroom user grant-role NAME root, for the common name of a certificate of that authority",
            "nobody can be an administrator here: certificates of --tls-client-ca name users, and none of these has the root role"
        );
    }
}

fn carry_out(member: &Member, change: AccessChange) -> Result<(), Failure> {
    match super::own_acts::carry_out(member, Command::Access(change)).map_err(Failure::FirstUser)? {
        // Somebody was faster.
        Ok(()) | Err(Refusal::UserExists) => Ok(()),
        Err(refusal) => Err(Failure::FirstUser(refusal.to_string())),
    }
}
