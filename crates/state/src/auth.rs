//! Who asks, and whether they may: the types that make an unchecked request impossible to pass on.
//!
//! Owns [`Principal`] (built from verified evidence only), the classification of what a request demands, and
//! [`Authorized`], which only [`Policy::authorize`] can make. Knows two identities so far: an administrator, who may
//! do everything, and nobody, who may do nothing. Users, roles and key permissions join here, replicated.
//!
//! Invariant: no value of type `Authorized<T>` exists whose demands its principal did not meet.

use crate::access::accesses;
use crate::command::Command;
use std::sync::Arc;
use types::{KeyRange, LeaseId, MemberId};

/// What the edge has verified about the sender of a request. Only facts: deciding is this module's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A client certificate that chains to the client issuer, with this common name.
    Certificate {
        /// The subject's common name.
        common_name: Arc<str>,
    },
    /// Nothing: the transport asks for no certificate.
    None,
    /// The member itself: expiry, compaction, alarms, health.
    Member,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    identity: Identity,
    name: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    Administrator,
    Nobody,
    System,
}

impl Principal {
    /// The principal's name, for the audit record and the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The right that a request needs on a range of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To read.
    Read,
    /// To write.
    Write,
}

/// What a request demands of its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Being somebody known.
    Known,
    /// A right on each of these ranges.
    Keys(Vec<(KeyRange, Right)>),
    /// Being an administrator.
    Administrator,
}

/// A request that can say what it demands. Every request type implements it; there is no default.
pub trait Demanding {
    /// The whole of what the request demands, nested operations included.
    fn demand(&self) -> Demand;
}

impl Demanding for Command {
    fn demand(&self) -> Demand {
        match self {
            Self::Put(_) | Self::DeleteRange(_) | Self::Txn(_) | Self::LeaseRevoke(_) => {
                Demand::Keys(accesses(self).ranges)
            }
            Self::LeaseGrant(_) => Demand::Known,
            Self::Compact(_)
            | Self::LeaseCheckpoint(_)
            | Self::Alarm(_)
            | Self::ClusterVersionSet(_)
            | Self::MemberAttributesSet(_)
            | Self::DowngradeSet(_)
            | Self::Nothing => Demand::Administrator,
        }
    }
}

/// Renewing a lease, or asking how long it has left; who wants its keys demands to read those as well.
impl Demanding for LeaseId {
    fn demand(&self) -> Demand {
        Demand::Known
    }
}

/// Handing leadership to a member.
impl Demanding for MemberId {
    fn demand(&self) -> Demand {
        Demand::Administrator
    }
}

/// A request whose sender may make it.
#[derive(Clone, Debug)]
pub struct Authorized<T> {
    request: T,
    principal: Principal,
}

impl<T> Authorized<T> {
    /// The request.
    pub fn request(&self) -> &T {
        &self.request
    }

    /// Who made it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Takes it apart, for the next room.
    pub fn into_parts(self) -> (T, Principal) {
        (self.request, self.principal)
    }
}

/// The answer to a sender who may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("permission denied")]
pub struct Denied;

/// The access policy in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Access control is off, as in an etcd whose authentication nobody enabled: whoever the transport lets in may do
    /// everything.
    Open,
    /// Access control is on: the certificate of `root` is the administrator, everyone else is nobody.
    Closed,
}

/// The common name of the administrator's certificate, etcd's name for its first user.
pub const ADMINISTRATOR: &str = "root";

impl Policy {
    /// Who the evidence says is asking.
    #[must_use]
    pub fn principal(self, evidence: &Evidence) -> Principal {
        let (identity, name) = match (self, evidence) {
            (_, Evidence::Member) => (Identity::System, Arc::from("system")),
            (Self::Open, Evidence::Certificate { common_name }) => {
                (Identity::Administrator, common_name.clone())
            }
            (Self::Open, Evidence::None) => (Identity::Administrator, Arc::from("anonymous")),
            (Self::Closed, Evidence::Certificate { common_name }) if &**common_name == ADMINISTRATOR => {
                (Identity::Administrator, common_name.clone())
            }
            (Self::Closed, Evidence::Certificate { common_name }) => (Identity::Nobody, common_name.clone()),
            (Self::Closed, Evidence::None) => (Identity::Nobody, Arc::from("anonymous")),
        };
        Principal { identity, name }
    }

    /// Lets the request pass, or not.
    ///
    /// # Errors
    /// [`Denied`] when the principal does not meet what the request demands.
    pub fn authorize<T: Demanding>(self, principal: &Principal, request: T) -> Result<Authorized<T>, Denied> {
        match (principal.identity, request.demand()) {
            (Identity::Administrator | Identity::System, _) => {
                Ok(Authorized { request, principal: principal.clone() })
            }
            (Identity::Nobody, Demand::Known | Demand::Keys(_) | Demand::Administrator) => Err(Denied),
        }
    }
}
