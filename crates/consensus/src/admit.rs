//! What a message must be before the library sees it: the library ends the process over what no honest member sends, and
//! what arrives from a network must never do that.
//!
//! Owns one decision, admitted or refused with a reason; changes nothing. The cases, each a place in `raft` 0.7.0 that
//! panics or acts for somebody else: an empty proposal or read request reaching a leader, a proposal with a term or a
//! forwarded leader transfer reaching a follower, anything else without a term (taken for a local message), entries with
//! gaps, an answer or a heartbeat beyond the log's end, a term or index whose successor overflows. Snapshots are refused
//! as long as [`crate::Ready`] has no place for one: the library would take over its state, and nobody its content.

use raft::{Raft, StateRole, Storage};
use raft_proto::eraftpb as pb;
use raft_proto::eraftpb::MessageType as Kind;

/// Terms and indices beyond this are never reached, and near the end of their range the library's sums overflow.
const NUMBER_MAX: u64 = 1 << 62;

/// Why a message is refused.
pub(crate) type Reason = &'static str;

fn check(holds: bool, reason: Reason) -> Result<(), Reason> {
    if holds { Ok(()) } else { Err(reason) }
}

/// Decides about one message for this member.
pub(crate) fn admit<S: Storage>(raft: &Raft<S>, message: &pb::Message) -> Result<(), Reason> {
    check(message.to == raft.id, "it is for another member")?;
    check(message.from != raft.id && message.from != raft::INVALID_ID, "nobody else sent it")?;
    let kind = Kind::try_from(message.msg_type).map_err(|_| "its kind is unknown")?;
    check(!raft::raw_node::is_local_msg(kind), "such a message never leaves a member")?;
    check(kind != Kind::MsgSnapshot, "snapshots are not taken")?;
    check(message.request_snapshot == 0, "it asks for a snapshot")?;
    check_numbers(message)?;
    let is_forwarded = matches!(kind, Kind::MsgPropose | Kind::MsgReadIndex);
    check((message.term == 0) == is_forwarded, "its kind and its term contradict each other")?;
    let last = raft.raft_log.last_index();
    match kind {
        Kind::MsgPropose => check(!message.entries.is_empty(), "it proposes nothing"),
        Kind::MsgReadIndex | Kind::MsgReadIndexResp => check_context(message),
        Kind::MsgAppend => check_entries(message),
        Kind::MsgAppendResponse => {
            let counts = raft.state == StateRole::Leader && message.term == raft.term;
            check(!counts || message.index <= last, "it answers for what this log has not")
        }
        Kind::MsgHeartbeat => {
            let counts = message.term >= raft.term;
            check(!counts || message.commit <= last, "its commit lies beyond the log")
        }
        Kind::MsgTransferLeader => check(raft.state == StateRole::Leader, "this member does not lead"),
        _ => Ok(()),
    }
}

fn check_numbers(message: &pb::Message) -> Result<(), Reason> {
    let pb::Message { term, log_term, index, commit, reject_hint, .. } = *message;
    let largest = [term, log_term, index, commit, reject_hint].into_iter().max().unwrap_or(0);
    check(largest <= NUMBER_MAX, "a number in it is beyond reach")
}

/// A read request and its answer carry the context as their one entry.
fn check_context(message: &pb::Message) -> Result<(), Reason> {
    let has_one = matches!(&message.entries[..], [entry] if !entry.data.is_empty());
    check(has_one, "it has no context")
}

/// Entries follow the one they are appended to without a gap, in terms that never fall and never pass the leader's.
/// Only the place before the first entry has term 0, which is also the library's word for "beyond the log".
fn check_entries(message: &pb::Message) -> Result<(), Reason> {
    check((message.index == 0) == (message.log_term == 0), "its place and its term contradict each other")?;
    let mut last = (message.index, message.log_term);
    for entry in &message.entries {
        let follows = last.0.checked_add(1) == Some(entry.index) && entry.term != 0;
        check(follows && last.1 <= entry.term && entry.term <= message.term, "its entries do not follow")?;
        last = (entry.index, entry.term);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
