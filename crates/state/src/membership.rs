//! Who is a member, and the versions the cluster agreed on: last-wins facts, changed by membership entries of the log.
//!
//! Owns the set of members, the ids that left for ever, the cluster version and the downgrade in progress. Never decides
//! on quorum or on who may join: consensus and the edge do.
//!
//! Invariants: an id is a member or removed, never both; a removed id does not come back.

use crate::command::MemberAttributes;
use crate::error::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use types::MemberId;

/// One member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// Its name for people; empty until it has started once.
    pub name: String,
    /// Where the other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until it has started once.
    pub client_urls: Vec<String>,
    /// Whether it receives the log without a vote.
    pub is_learner: bool,
}

/// A change of the membership, as a configuration entry of the log carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipChange {
    /// A member joins, as a voter or as a learner.
    Add(Member),
    /// A learner becomes a voter.
    Promote(MemberId),
    /// A member leaves for ever.
    Remove(MemberId),
    /// A member is reached elsewhere.
    UpdatePeerUrls {
        /// Which member.
        id: MemberId,
        /// Its new peer URLs.
        peer_urls: Vec<String>,
    },
}

/// The membership with the agreed versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    members: BTreeMap<MemberId, Member>,
    removed: BTreeSet<MemberId>,
    cluster_version: Option<String>,
    downgrade_target: Option<String>,
}

impl Membership {
    /// The members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// One member.
    #[must_use]
    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// The members that left for ever, by id.
    pub fn removed(&self) -> impl Iterator<Item = MemberId> {
        self.removed.iter().copied()
    }

    /// Whether a member of this id has left.
    #[must_use]
    pub fn is_removed(&self, id: MemberId) -> bool {
        self.removed.contains(&id)
    }

    /// The version that all members speak, once agreed.
    #[must_use]
    pub fn cluster_version(&self) -> Option<&str> {
        self.cluster_version.as_deref()
    }

    /// The version that a downgrade in progress goes to.
    #[must_use]
    pub fn downgrade_target(&self) -> Option<&str> {
        self.downgrade_target.as_deref()
    }

    /// Whether the change can be made, by etcd's rules for configuration entries.
    ///
    /// # Errors
    /// The refusal: the id is taken, unknown or removed, a peer URL is in use, or the member is no learner.
    pub fn check(&self, change: &MembershipChange) -> Result<(), Refusal> {
        let id = change.id();
        if self.removed.contains(&id) {
            return Err(Refusal::MemberRemoved(id));
        }
        match (change, self.members.get(&id)) {
            (MembershipChange::Add(_), Some(_)) => Err(Refusal::MemberExists(id)),
            (MembershipChange::Add(member), None) => self.check_urls(id, &member.peer_urls),
            (_, None) => Err(Refusal::MemberNotFound(id)),
            (MembershipChange::Promote(_), Some(member)) if !member.is_learner => {
                Err(Refusal::MemberNotLearner(id))
            }
            (MembershipChange::UpdatePeerUrls { peer_urls, .. }, Some(_)) => self.check_urls(id, peer_urls),
            (MembershipChange::Promote(_) | MembershipChange::Remove(_), Some(_)) => Ok(()),
        }
    }

    fn check_urls(&self, id: MemberId, urls: &[String]) -> Result<(), Refusal> {
        let mut others = self.members.values().filter(|member| member.id != id);
        match others.any(|member| member.peer_urls.iter().any(|url| urls.contains(url))) {
            true => Err(Refusal::PeerUrlExists),
            false => Ok(()),
        }
    }

    /// The member as the change leaves it; `None` when it leaves. Call after [`Membership::check`].
    pub(crate) fn changed(&self, change: &MembershipChange) -> Option<Member> {
        match change {
            MembershipChange::Add(member) => Some(member.clone()),
            MembershipChange::Remove(_) => None,
            MembershipChange::Promote(id) => {
                self.member(*id).map(|member| Member { is_learner: false, ..member.clone() })
            }
            MembershipChange::UpdatePeerUrls { id, peer_urls } => {
                self.member(*id).map(|member| Member { peer_urls: peer_urls.clone(), ..member.clone() })
            }
        }
    }

    /// The member as the attributes leave it; `None` when there is no such member, which etcd passes over too.
    pub(crate) fn described(&self, attributes: &MemberAttributes) -> Option<Member> {
        let member = self.member(attributes.member)?.clone();
        Some(Member { name: attributes.name.clone(), client_urls: attributes.client_urls.clone(), ..member })
    }

    pub(crate) fn set(&mut self, member: Member) {
        self.members.insert(member.id, member);
    }

    pub(crate) fn remove(&mut self, id: MemberId) {
        self.members.remove(&id);
        self.removed.insert(id);
    }

    pub(crate) fn set_cluster_version(&mut self, version: String) {
        self.cluster_version = Some(version);
    }

    pub(crate) fn set_downgrade_target(&mut self, target: Option<String>) {
        self.downgrade_target = target;
    }
}

impl MembershipChange {
    /// Whom it changes.
    #[must_use]
    pub fn id(&self) -> MemberId {
        match self {
            Self::Add(member) => member.id,
            Self::Promote(id) | Self::Remove(id) | Self::UpdatePeerUrls { id, .. } => *id,
        }
    }
}
