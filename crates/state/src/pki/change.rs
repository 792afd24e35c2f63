//! The ways in which the register is changed, and what each comes to.
//!
//! Deterministic: the time is the proposer's, in the change. Every change that adds something first lets go of what has
//! ended by then, so that the register holds no more than what is good.

use super::{Authority, Effect, Holder, Issued, Register, Token};
use crate::error::Refusal;
use types::limits::{
    AUTHORITIES_MAX, CERTIFICATES_ENDED_PER_ENTRY, CERTIFICATES_MAX, ENROLMENT_TOKENS_MAX, KEY_HOLDERS_MAX,
};

/// One change of the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateChange {
    /// Adds authorities and those to whom their keys are sealed, or sets them anew, all at once.
    Set {
        /// These authorities.
        authorities: Vec<Authority>,
        /// These holders.
        holders: Vec<Holder>,
    },
    /// Ends the trust in an authority; what it has issued is worth nothing from then on.
    RemoveAuthority {
        /// Which.
        id: String,
    },
    /// Forgets a holder, and what was sealed to it.
    RemoveHolder {
        /// Which.
        id: String,
    },
    /// Records certificates before they are handed out.
    Issue {
        /// These.
        issued: Vec<Issued>,
        /// The token that is used up by it.
        token: Option<String>,
        /// When, Unix seconds.
        now: u64,
    },
    /// Revokes a certificate.
    Revoke {
        /// Its serial number.
        serial: String,
        /// When, Unix seconds.
        now: u64,
    },
    /// Adds a token.
    AddToken {
        /// The token.
        token: Token,
        /// When, Unix seconds.
        now: u64,
    },
    /// Takes a token back.
    RemoveToken {
        /// Which.
        id: String,
    },
}

/// The effects of a change, or why it is refused; none when everything is as it was.
pub(crate) fn decide(register: &Register, change: CertificateChange) -> Result<Vec<Effect>, Refusal> {
    match change {
        CertificateChange::Set { authorities, holders } => {
            let new = authorities.iter().filter(|each| register.authority(&each.id).is_none()).count();
            room(register.authorities.len(), new, AUTHORITIES_MAX)?;
            let new = holders.iter().filter(|each| register.holder(&each.id).is_none()).count();
            room(register.holders.len(), new, KEY_HOLDERS_MAX)?;
            let effects = holders.into_iter().map(Effect::Holder);
            let effects = effects.chain(authorities.into_iter().map(Effect::Authority));
            Ok(effects.filter(|effect| register.still_says(effect) != Some(true)).collect())
        }
        CertificateChange::RemoveAuthority { id } => {
            register.authority(&id).ok_or(Refusal::AuthorityNotFound)?;
            let of_it = register.issued().filter(|issued| issued.authority == id);
            let ended = of_it.map(|issued| Effect::IssuedGone(issued.serial.clone()));
            Ok(ended.chain([Effect::AuthorityGone(id.clone())]).collect())
        }
        CertificateChange::RemoveHolder { id } => {
            register.holder(&id).ok_or(Refusal::KeyHolderNotFound)?;
            let with = register.authorities().filter(|each| each.keys.iter().any(|key| key.holder == id));
            let without = with.map(|authority| {
                let keys = authority.keys.iter().filter(|key| key.holder != id).cloned().collect();
                Effect::Authority(Authority { keys, ..authority.clone() })
            });
            Ok(without.chain([Effect::HolderGone(id.clone())]).collect())
        }
        CertificateChange::Issue { issued, token, now } => issue(register, issued, token, now),
        CertificateChange::Revoke { serial, now } => {
            let known = register.certificate(&serial).ok_or(Refusal::CertificateNotFound)?;
            if known.revoked != 0 {
                return Ok(Vec::new());
            }
            let mut effects = ended(register, now);
            if known.not_after >= now {
                effects.push(Effect::Issued(Issued { revoked: now.max(1), ..known.clone() }));
            }
            Ok(effects)
        }
        CertificateChange::AddToken { token, now } => {
            let mut effects = ended(register, now);
            let gone = effects.iter().filter(|effect| matches!(effect, Effect::TokenGone(_))).count();
            room(register.tokens.len().saturating_sub(gone), 1, ENROLMENT_TOKENS_MAX)?;
            effects.push(Effect::Token(token));
            Ok(effects)
        }
        CertificateChange::RemoveToken { id } => {
            register.token(&id).ok_or(Refusal::EnrolmentTokenInvalid)?;
            Ok(vec![Effect::TokenGone(id)])
        }
    }
}

fn issue(
    register: &Register,
    issued: Vec<Issued>,
    token: Option<String>,
    now: u64,
) -> Result<Vec<Effect>, Refusal> {
    let mut effects = ended(register, now);
    let gone = effects.iter().filter(|effect| matches!(effect, Effect::IssuedGone(_))).count();
    room(register.issued.len().saturating_sub(gone), issued.len(), CERTIFICATES_MAX)?;
    if let Some(id) = token {
        let token = register.token(&id).ok_or(Refusal::EnrolmentTokenInvalid)?;
        let is_asked = |issued: &Issued| {
            token.roles.contains(&issued.role) && issued.name == token.name && issued.names == token.names
        };
        if token.not_after < now || !issued.iter().all(is_asked) {
            return Err(Refusal::EnrolmentTokenInvalid);
        }
        effects.retain(|effect| *effect != Effect::TokenGone(id.clone()));
        effects.push(Effect::TokenGone(id));
    }
    for certificate in issued {
        // An authority that was replaced meanwhile issues nothing.
        let by = register.authority(&certificate.authority).ok_or(Refusal::AuthorityNotFound)?;
        if by.is_former || register.certificate(&certificate.serial).is_some() {
            return Err(Refusal::AuthorityNotFound);
        }
        effects.push(Effect::Issued(certificate));
    }
    Ok(effects)
}

/// What has ended by `now`, or as much of it as one entry may let go of.
fn ended(register: &Register, now: u64) -> Vec<Effect> {
    let certificates = register.issued().filter(|issued| issued.not_after < now);
    let tokens = register.tokens().filter(|token| token.not_after < now);
    let gone = certificates.map(|issued| Effect::IssuedGone(issued.serial.clone()));
    let gone = gone.chain(tokens.map(|token| Effect::TokenGone(token.id.clone())));
    gone.take(CERTIFICATES_ENDED_PER_ENTRY).collect()
}

fn room(there: usize, more: usize, most: usize) -> Result<(), Refusal> {
    if more == 0 || there.saturating_add(more) <= most { Ok(()) } else { Err(Refusal::RegisterFull) }
}
