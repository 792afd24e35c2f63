//! Membership entries: etcd's `ConfChange` with its JSON context, as our membership changes.
//!
//! The context is etcd's own (`id`, `peerURLs`, `isLearner`, `name`, `clientURLs`, `isPromote`), so that a membership
//! entry means the same to an etcd member.

use bytes::Bytes;
use consensus::EntryKind;
use prost::Message;
use proto::raftpb;
use serde::{Deserialize, Serialize};
use state::membership::{Member, MembershipChange};
use types::MemberId;

/// A membership entry that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Malformed {
    /// What about it.
    pub what: &'static str,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    id: u64,
    #[serde(rename = "peerURLs", default)]
    peer_urls: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_learner: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(rename = "clientURLs", default, skip_serializing_if = "Vec::is_empty")]
    client_urls: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_promote: bool,
}

/// The context of the entry with which a member joins at bootstrap.
pub(crate) fn bootstrap_context(member: &Member) -> Bytes {
    let context = Context {
        id: member.id.0,
        peer_urls: member.peer_urls.clone(),
        is_learner: member.is_learner,
        name: member.name.clone(),
        client_urls: member.client_urls.clone(),
        is_promote: false,
    };
    serde_json::to_vec(&context).map(Bytes::from).unwrap_or_default()
}

/// The membership change of an entry; nothing for one that only leaves joint consensus.
///
/// # Errors
/// [`Malformed`] when the entry or its context is not etcd's.
pub(crate) fn decode(kind: EntryKind, data: &Bytes) -> Result<Option<MembershipChange>, Malformed> {
    if kind == EntryKind::ConfChangeV2 {
        return Ok(None);
    }
    let change = raftpb::ConfChange::decode(data.clone())
        .map_err(|_| Malformed { what: "not a membership change" })?;
    let id = MemberId(change.node_id());
    let context = || {
        serde_json::from_slice::<Context>(change.context.as_deref().unwrap_or_default())
            .map_err(|_| Malformed { what: "its context is not etcd's" })
    };
    Ok(Some(match change.r#type() {
        raftpb::ConfChangeType::ConfChangeRemoveNode => MembershipChange::Remove(id),
        raftpb::ConfChangeType::ConfChangeUpdateNode => {
            MembershipChange::UpdatePeerUrls { id, peer_urls: context()?.peer_urls }
        }
        raftpb::ConfChangeType::ConfChangeAddNode | raftpb::ConfChangeType::ConfChangeAddLearnerNode => {
            let context = context()?;
            if context.is_promote {
                return Ok(Some(MembershipChange::Promote(id)));
            }
            MembershipChange::Add(Member {
                id,
                name: context.name,
                peer_urls: context.peer_urls,
                client_urls: context.client_urls,
                is_learner: context.is_learner,
            })
        }
    }))
}
