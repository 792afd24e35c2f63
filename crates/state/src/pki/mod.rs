//! The cluster's own certificate authority, as all members know it: its keys (sealed to those who may use them), what it
//! has issued, what of that is revoked, and who may come for a certificate with a token.
//!
//! Owns the register and the rules of its changes. Never makes or reads a certificate or a key: they are bytes here, and
//! whoever proposes a change has made them. Like the accounts it is part of the replicated state, and of no snapshot in
//! etcd's format.

mod change;
mod record;

pub use change::CertificateChange;
pub(crate) use change::decide;

use bytes::Bytes;
use std::collections::BTreeMap;

/// What an authority's certificates are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Signs the issuers; what clients are given to trust.
    Root,
    /// Issues to servers and clients; what servers know clients by.
    Clients,
    /// Issues to members; what members know each other by.
    Peers,
}

/// A certificate authority of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its name: the beginning of the hash of its public key, in hexadecimal.
    pub id: String,
    /// What its certificates are for.
    pub kind: Kind,
    /// Whether it is still trusted but issues nothing any more.
    pub is_former: bool,
    /// Its certificates, DER: the first is the one to show, others are the same key's by another root.
    pub certificates: Vec<Bytes>,
    /// Its private key, once for each holder that may use it.
    pub keys: Vec<SealedKey>,
}

/// A private key as one holder can open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// Who.
    pub holder: String,
    /// Sealed to the holder's public key.
    pub sealed: Bytes,
}

/// Somebody to whom keys are sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its name: the beginning of the hash of its public key, in hexadecimal.
    pub id: String,
    /// What people call it: a member's name.
    pub name: String,
    /// Whether it is the recovery key, which is nobody's of the cluster: it alone opens the root's.
    pub is_recovery: bool,
    /// Its public key.
    pub public_key: Bytes,
}

/// Whom a certificate makes of its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A server that clients speak to.
    Server,
    /// A member among members.
    Peer,
    /// A client; its name is a user's.
    Client,
    /// An administrator.
    Administrator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Server, Self::Peer, Self::Client, Self::Administrator];

    /// As people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Peer => "peer",
            Self::Client => "client",
            Self::Administrator => "administrator",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Its serial number, in lower-case hexadecimal.
    pub serial: String,
    /// The authority that signed it.
    pub authority: String,
    /// Whom it makes of its holder.
    pub role: Role,
    /// Its common name.
    pub name: String,
    /// Its other names.
    pub names: Vec<String>,
    /// When it begins, Unix seconds.
    pub not_before: u64,
    /// When it ends, Unix seconds.
    pub not_after: u64,
    /// Who had it issued.
    pub by: String,
    /// Since when it is revoked, Unix seconds; 0 while it is not.
    pub revoked: u64,
}

impl Issued {
    /// The URIs among its other names.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| is_uri(name))
    }

    /// The DNS names among them.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        let is_address = |name: &str| name.parse::<std::net::IpAddr>().is_ok();
        self.names.iter().map(String::as_str).filter(move |name| !is_uri(name) && !is_address(name))
    }
}

/// Whether a certificate's other name, as it is written here, is a URI.
#[must_use]
pub fn is_uri(name: &str) -> bool {
    name.starts_with("urn:") || name.contains("://")
}

/// The right to come for certificates, once.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is called.
    pub id: String,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// For which roles it gives certificates, one each.
    pub roles: Vec<Role>,
    /// The common name of these.
    pub name: String,
    /// Their other names.
    pub names: Vec<String>,
    /// How long these last, in seconds.
    pub life_seconds: u64,
    /// Until when it can be used, Unix seconds.
    pub not_after: u64,
    /// Who gave it.
    pub by: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, {:?}, {:?})", self.id, self.name, self.roles)
    }
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    authorities: BTreeMap<String, Authority>,
    holders: BTreeMap<String, Holder>,
    issued: BTreeMap<String, Issued>,
    tokens: BTreeMap<String, Token>,
}

impl Register {
    /// The authorities, by name.
    pub fn authorities(&self) -> impl Iterator<Item = &Authority> {
        self.authorities.values()
    }

    /// The authority of this kind that issues now.
    #[must_use]
    pub fn current(&self, kind: Kind) -> Option<&Authority> {
        self.authorities().find(|authority| authority.kind == kind && !authority.is_former)
    }

    /// An authority.
    #[must_use]
    pub fn authority(&self, id: &str) -> Option<&Authority> {
        self.authorities.get(id)
    }

    /// Those to whom keys are sealed, by name.
    pub fn holders(&self) -> impl Iterator<Item = &Holder> {
        self.holders.values()
    }

    /// A holder.
    #[must_use]
    pub fn holder(&self, id: &str) -> Option<&Holder> {
        self.holders.get(id)
    }

    /// What was issued and has not ended, by serial number.
    pub fn issued(&self) -> impl Iterator<Item = &Issued> {
        self.issued.values()
    }

    /// A certificate.
    #[must_use]
    pub fn certificate(&self, serial: &str) -> Option<&Issued> {
        self.issued.get(serial)
    }

    /// The tokens that have not been used, by name.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.values()
    }

    /// A token.
    #[must_use]
    pub fn token(&self, id: &str) -> Option<&Token> {
        self.tokens.get(id)
    }

    /// Takes an effect: as it happens, and again when the state is rebuilt.
    pub(crate) fn take(&mut self, effect: Effect) {
        match effect {
            Effect::Authority(authority) => drop(self.authorities.insert(authority.id.clone(), authority)),
            Effect::AuthorityGone(id) => drop(self.authorities.remove(&id)),
            Effect::Holder(holder) => drop(self.holders.insert(holder.id.clone(), holder)),
            Effect::HolderGone(id) => drop(self.holders.remove(&id)),
            Effect::Issued(issued) => drop(self.issued.insert(issued.serial.clone(), issued)),
            Effect::IssuedGone(serial) => drop(self.issued.remove(&serial)),
            Effect::Token(token) => drop(self.tokens.insert(token.id.clone(), token)),
            Effect::TokenGone(id) => drop(self.tokens.remove(&id)),
        }
    }

    /// Whether what an effect set stands just so; nothing of one that did away with something.
    pub(crate) fn still_says(&self, effect: &Effect) -> Option<bool> {
        match effect {
            Effect::Authority(authority) => Some(self.authority(&authority.id) == Some(authority)),
            Effect::Holder(holder) => Some(self.holder(&holder.id) == Some(holder)),
            Effect::Issued(issued) => Some(self.certificate(&issued.serial) == Some(issued)),
            Effect::Token(token) => Some(self.token(&token.id) == Some(token)),
            Effect::AuthorityGone(_)
            | Effect::HolderGone(_)
            | Effect::IssuedGone(_)
            | Effect::TokenGone(_) => None,
        }
    }

    /// Takes a change as the state machine would: for tests of those who propose changes.
    ///
    /// # Errors
    /// The refusal.
    pub fn change(&mut self, change: CertificateChange) -> Result<(), crate::Refusal> {
        decide(self, change)?.into_iter().for_each(|effect| self.take(effect));
        Ok(())
    }
}

/// One effect of a change, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// An authority stands.
    Authority(Authority),
    /// An authority is not trusted any more.
    AuthorityGone(String),
    /// A holder stands.
    Holder(Holder),
    /// A holder left.
    HolderGone(String),
    /// A certificate stands.
    Issued(Issued),
    /// A certificate ended.
    IssuedGone(String),
    /// A token stands.
    Token(Token),
    /// A token was used, taken back, or ended.
    TokenGone(String),
}

#[cfg(test)]
mod tests;

/// One effect of each kind, for tests of their bytes.
#[cfg(test)]
pub(crate) fn samples() -> Vec<Effect> {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    vec![
        Effect::Authority(Authority {
            id: "a1".into(),
            kind: Kind::Peers,
            is_former: true,
            certificates: vec![bytes("one"), bytes("two")],
            keys: vec![SealedKey { holder: "h".into(), sealed: bytes("sealed") }],
        }),
        Effect::AuthorityGone("a1".into()),
        Effect::Holder(Holder {
            id: "h".into(),
            name: "one".into(),
            is_recovery: true,
            public_key: bytes("key"),
        }),
        Effect::HolderGone("h".into()),
        Effect::Issued(Issued {
            serial: "0aff".into(),
            authority: "a1".into(),
            role: Role::Server,
            name: "one".into(),
            names: vec!["localhost".into()],
            not_before: 1,
            not_after: 2,
            by: "root".into(),
            revoked: 3,
        }),
        Effect::IssuedGone("0aff".into()),
        Effect::Token(Token {
            id: "t".into(),
            secret_hash: [9; 32],
            roles: vec![Role::Server, Role::Peer],
            name: "two".into(),
            names: vec![],
            life_seconds: 4,
            not_after: 5,
            by: "root".into(),
        }),
        Effect::TokenGone("t".into()),
    ]
}
