//! Changes of the register of certificates, as they stand in entries of our own, and our messages of what it holds.

use proto::strongroom::v1 as own;
use state::pki::{Authority, CertificateChange, Holder, Issued, Kind, Role, SealedKey, Token};

/// The message of a change.
pub(super) fn change_to(change: &CertificateChange) -> own::CertificateChange {
    use own::certificate_change::Change;
    let change = match change.clone() {
        CertificateChange::Set { authorities, holders } => Change::Set(own::AuthoritiesSet {
            authorities: authorities.iter().map(authority_to).collect(),
            holders: holders.iter().map(holder_to).collect(),
        }),
        CertificateChange::RemoveAuthority { id } => Change::RemoveAuthority(id),
        CertificateChange::RemoveHolder { id } => Change::RemoveHolder(id),
        CertificateChange::Issue { issued, token, now } => Change::Issue(own::Issuance {
            certificates: issued.iter().map(issued_to).collect(),
            enrolment: token.unwrap_or_default(),
            now,
        }),
        CertificateChange::Revoke { serial, now } => Change::Revoke(own::Revocation { serial, now }),
        CertificateChange::AddToken { token, now } => {
            Change::AddToken(own::TokenAddition { token: Some(token_to(&token)), now })
        }
        CertificateChange::RemoveToken { id } => Change::RemoveEnrolment(id),
    };
    own::CertificateChange { change: Some(change) }
}

/// The change in the message, unless it is one that this version does not know.
pub(super) fn change_from(written: own::CertificateChange) -> Option<CertificateChange> {
    use own::certificate_change::Change;
    Some(match written.change? {
        Change::Set(own::AuthoritiesSet { authorities, holders }) => CertificateChange::Set {
            authorities: authorities.into_iter().map(authority_from).collect::<Option<_>>()?,
            holders: holders.into_iter().map(holder_from).collect(),
        },
        Change::RemoveAuthority(id) => CertificateChange::RemoveAuthority { id },
        Change::RemoveHolder(id) => CertificateChange::RemoveHolder { id },
        Change::Issue(own::Issuance { certificates, enrolment, now }) => CertificateChange::Issue {
            issued: certificates.into_iter().map(issued_from).collect::<Option<_>>()?,
            token: Some(enrolment).filter(|token| !token.is_empty()),
            now,
        },
        Change::Revoke(own::Revocation { serial, now }) => CertificateChange::Revoke { serial, now },
        Change::AddToken(own::TokenAddition { token, now }) => {
            CertificateChange::AddToken { token: token_from(token?)?, now }
        }
        Change::RemoveEnrolment(id) => CertificateChange::RemoveToken { id },
    })
}

/// The name of a kind of authority.
#[must_use]
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Root => "root",
        Kind::Clients => "clients",
        Kind::Peers => "peers",
    }
}

/// Our message of an authority, its sealed keys with it.
#[must_use]
pub fn authority_to(authority: &Authority) -> own::Authority {
    let key = |key: &SealedKey| own::SealedKey { holder: key.holder.clone(), sealed: key.sealed.clone() };
    own::Authority {
        id: authority.id.clone(),
        kind: kind_name(authority.kind).to_owned(),
        former: authority.is_former,
        certificates: authority.certificates.clone(),
        keys: authority.keys.iter().map(key).collect(),
    }
}

/// The authority in our message, if its kind is one.
#[must_use]
pub fn authority_from(written: own::Authority) -> Option<Authority> {
    let kind =
        [Kind::Root, Kind::Clients, Kind::Peers].into_iter().find(|k| kind_name(*k) == written.kind)?;
    let key = |key: own::SealedKey| SealedKey { holder: key.holder, sealed: key.sealed };
    Some(Authority {
        id: written.id,
        kind,
        is_former: written.former,
        certificates: written.certificates,
        keys: written.keys.into_iter().map(key).collect(),
    })
}

/// Our message of a holder of keys.
#[must_use]
pub fn holder_to(holder: &Holder) -> own::KeyHolder {
    own::KeyHolder {
        id: holder.id.clone(),
        name: holder.name.clone(),
        recovery: holder.is_recovery,
        public_key: holder.public_key.clone(),
    }
}

/// The holder of keys in our message.
#[must_use]
pub fn holder_from(written: own::KeyHolder) -> Holder {
    Holder {
        id: written.id,
        name: written.name,
        is_recovery: written.recovery,
        public_key: written.public_key,
    }
}

/// Our message of a certificate that was issued.
#[must_use]
pub fn issued_to(issued: &Issued) -> own::Certificate {
    own::Certificate {
        serial: issued.serial.clone(),
        authority: issued.authority.clone(),
        role: issued.role.name().to_owned(),
        name: issued.name.clone(),
        names: issued.names.clone(),
        not_before: issued.not_before,
        not_after: issued.not_after,
        by: issued.by.clone(),
        revoked: issued.revoked,
    }
}

fn issued_from(written: own::Certificate) -> Option<Issued> {
    Some(Issued {
        serial: written.serial,
        authority: written.authority,
        role: Role::named(&written.role)?,
        name: written.name,
        names: written.names,
        not_before: written.not_before,
        not_after: written.not_after,
        by: written.by,
        revoked: written.revoked,
    })
}

/// Our message of a token, with what its secret is compared with.
#[must_use]
pub fn token_to(token: &Token) -> own::EnrolmentToken {
    own::EnrolmentToken {
        id: token.id.clone(),
        secret_hash: token.secret_hash.to_vec().into(),
        roles: token.roles.iter().map(|role| role.name().to_owned()).collect(),
        name: token.name.clone(),
        names: token.names.clone(),
        life_seconds: token.life_seconds,
        not_after: token.not_after,
        by: token.by.clone(),
    }
}

fn token_from(written: own::EnrolmentToken) -> Option<Token> {
    Some(Token {
        id: written.id,
        secret_hash: written.secret_hash.as_ref().try_into().ok()?,
        roles: written.roles.iter().map(|role| Role::named(role)).collect::<Option<_>>()?,
        name: written.name,
        names: written.names,
        life_seconds: written.life_seconds,
        not_after: written.not_after,
        by: written.by,
    })
}
