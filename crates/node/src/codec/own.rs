//! Entries of our own: acts that etcd has no request for.
//!
//! ```text
//! 0 u8 · strongroom.v1.Entry
//! ```
//!
//! No message of etcd's begins with a zero byte (it would be a field of number zero), so an etcd member that met such an
//! entry would stop rather than pass over it. They are proposed only where every member is ours; today a cluster is one.

use super::{Envelope, Unreadable, certificates, unreadable};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use proto::authpb;
use proto::strongroom::v1 as own;
use state::auth::{
    Ability, AccessChange, Actor, IdentityRule, Limits, Matcher, Network, Permission, PermissionKind, Terms,
};
use state::command::Command;
use std::borrow::Cow;
use types::{AuthRevision, RequestId};

/// What an entry of our own begins with.
const MARK: u8 = 0;

/// The act, if it is one of our own.
pub(super) fn act(command: &Command) -> Option<own::entry::Act> {
    let change = match command {
        Command::Access(change) => change,
        Command::Certificates(change) => {
            return Some(own::entry::Act::Certificates(certificates::change_to(change)));
        }
        _ => return None,
    };
    Some(match change {
        AccessChange::SetTerms { role, terms } => {
            own::entry::Act::SetRole(own::SetRoleRequest { role: role.clone(), terms: Some(terms_to(terms)) })
        }
        AccessChange::SetIdentity { name, rule } => {
            let rule = Some(identity_to(name.clone(), rule.clone()));
            own::entry::Act::SetIdentity(own::SetIdentityRequest { rule })
        }
        AccessChange::RemoveIdentity { name } => {
            own::entry::Act::RemoveIdentity(own::RemoveIdentityRequest { name: name.clone() })
        }
        _ => return None,
    })
}

/// The bytes of an entry of our own.
pub(super) fn encode(id: RequestId, actor: Actor, act: own::entry::Act) -> Bytes {
    let entry = own::Entry {
        id: id.0,
        username: actor.user.into_owned(),
        auth_revision: actor.known.0,
        act: Some(act),
    };
    let mut out = BytesMut::with_capacity(entry.encoded_len() + 1);
    out.put_u8(MARK);
    out.put_slice(&entry.encode_to_vec());
    out.freeze()
}

/// Whether an entry is one of our own.
pub(super) fn is_own(bytes: &Bytes) -> bool {
    bytes.first() == Some(&MARK)
}

/// The content of such an entry.
pub(super) fn decode(bytes: &Bytes) -> Result<Envelope, Unreadable> {
    let Ok(entry) = own::Entry::decode(bytes.slice(1..)) else {
        return unreadable("not an entry of ours");
    };
    let actor = Actor { user: Cow::Owned(entry.username), known: AuthRevision(entry.auth_revision) };
    let envelope = |command| Ok(Envelope { id: RequestId(entry.id), actor, command });
    let change = match entry.act {
        Some(own::entry::Act::Certificates(change)) => {
            let change = certificates::change_from(change)
                .ok_or(Unreadable { what: "a change of certificates that this version does not know" })?;
            return envelope(Command::Certificates(change));
        }
        Some(own::entry::Act::SetRole(set)) => {
            let terms = terms_from(set.terms.unwrap_or_default())
                .map_err(|_| Unreadable { what: "terms of a role that this version does not know" })?;
            AccessChange::SetTerms { role: set.role, terms }
        }
        Some(own::entry::Act::SetIdentity(set)) => {
            let (name, rule) = identity_from(set.rule.unwrap_or_default())
                .ok_or(Unreadable { what: "an identity rule that this version does not know" })?;
            AccessChange::SetIdentity { name, rule }
        }
        Some(own::entry::Act::RemoveIdentity(remove)) => AccessChange::RemoveIdentity { name: remove.name },
        None => return unreadable("an act this version does not know"),
    };
    envelope(Command::Access(change))
}

/// etcd's message of a permission.
#[must_use]
pub fn permission_to(permission: &Permission) -> authpb::Permission {
    authpb::Permission {
        perm_type: permission.kind.number(),
        key: permission.key.clone(),
        range_end: permission.range_end.clone(),
    }
}

/// The permission in etcd's message.
#[must_use]
pub fn permission_from(written: authpb::Permission) -> Permission {
    let kind = PermissionKind::from_number(written.perm_type);
    Permission { kind, key: written.key, range_end: written.range_end }
}

/// Our message of a role's terms.
#[must_use]
pub fn terms_to(terms: &Terms) -> own::RoleTerms {
    own::RoleTerms {
        deny: terms.deny.iter().map(permission_to).collect(),
        abilities: terms.abilities.iter().map(|ability| ability.name().to_owned()).collect(),
        sources: terms.sources.iter().map(ToString::to_string).collect(),
        not_after: terms.not_after,
        requests_per_second: terms.limits.requests_per_second,
        write_bytes_max: terms.limits.write_bytes_max,
    }
}

/// The terms in our message.
///
/// # Errors
/// The right or network that is none.
pub fn terms_from(written: own::RoleTerms) -> Result<Terms, String> {
    let abilities = written.abilities.into_iter().map(|name| Ability::named(&name).ok_or(name));
    let sources = written.sources.into_iter().map(|text| Network::parse(&text).ok_or(text));
    Ok(Terms {
        deny: written.deny.into_iter().map(permission_from).collect(),
        abilities: abilities.collect::<Result<_, _>>()?,
        sources: sources.collect::<Result<_, _>>()?,
        not_after: written.not_after,
        limits: Limits {
            requests_per_second: written.requests_per_second,
            write_bytes_max: written.write_bytes_max,
        },
    })
}

/// Our message of an identity rule.
#[must_use]
pub fn identity_to(name: String, rule: IdentityRule) -> own::IdentityRule {
    let matcher = match rule.matcher {
        Matcher::Uri(text) => own::identity_rule::Matcher::Uri(text),
        Matcher::Dns(text) => own::identity_rule::Matcher::Dns(text),
        Matcher::Organization(text) => own::identity_rule::Matcher::Organization(text),
        Matcher::Claim { issuer, name, value } => {
            own::identity_rule::Matcher::OidcClaim(own::OidcClaim { issuer, name, value })
        }
    };
    own::IdentityRule { name, user: rule.user, matcher: Some(matcher) }
}

/// The identity rule in our message, if it says by what somebody is recognized.
#[must_use]
pub fn identity_from(written: own::IdentityRule) -> Option<(String, IdentityRule)> {
    let matcher = match written.matcher? {
        own::identity_rule::Matcher::Uri(text) => Matcher::Uri(text),
        own::identity_rule::Matcher::Dns(text) => Matcher::Dns(text),
        own::identity_rule::Matcher::Organization(text) => Matcher::Organization(text),
        own::identity_rule::Matcher::OidcClaim(claim) => {
            Matcher::Claim { issuer: claim.issuer, name: claim.name, value: claim.value }
        }
    };
    Some((written.name, IdentityRule { matcher, user: written.user }))
}
