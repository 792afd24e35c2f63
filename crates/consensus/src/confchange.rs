//! Configuration entries: etcd's numbers, made the library's.
//!
//! etcd numbers the acts add (0), remove (1), update (2) and add as learner (3). The library knows no update, and what
//! it does not know it takes for its default, add: an update of a learner would make it a voter, one of a stranger would
//! let it vote, and the members' quorums would differ without a word. So every number is looked at here, in both forms
//! of entry: an update becomes a change of nobody (member 0, which etcd itself uses for a change that it decided not to
//! make, and which keeps the number of changes, on which entering a joint configuration depends); an unknown number is
//! an error, as in etcd.

use crate::error::Error;
use crate::words::{Entry, EntryKind};
use prost::Message as _;
use raft_proto::eraftpb as pb;

/// etcd's number for a change of a member's addresses.
const UPDATE: i32 = 2;

/// What an entry asks of the configuration.
#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    /// Nothing: it updates what only the state machine knows.
    Nothing,
    /// These changes.
    Changes(pb::ConfChangeV2),
}

/// The change that an entry makes.
pub(crate) fn decode(entry: &Entry) -> Result<Change, Error> {
    let error = |what: &str| Error::Configuration(format!("entry {} {what}", entry.index));
    let change = match entry.kind {
        EntryKind::Normal => return Err(error("is none")),
        EntryKind::ConfChange => {
            let change = pb::ConfChange::decode(entry.data.clone()).map_err(|_| error("cannot be read"))?;
            if change.change_type == UPDATE {
                return Ok(Change::Nothing);
            }
            let single = pb::ConfChangeSingle { change_type: change.change_type, node_id: change.node_id };
            pb::ConfChangeV2 { changes: vec![single], context: change.context, ..Default::default() }
        }
        EntryKind::ConfChangeV2 => {
            pb::ConfChangeV2::decode(entry.data.clone()).map_err(|_| error("cannot be read"))?
        }
    };
    let transition = pb::ConfChangeTransition::try_from(change.transition);
    transition.map_err(|_| error("has an unknown transition"))?;
    let changes =
        change.changes.into_iter().map(|single| translate(single).ok_or_else(|| error("has an unknown act")));
    Ok(Change::Changes(pb::ConfChangeV2 { changes: changes.collect::<Result<_, _>>()?, ..change }))
}

fn translate(change: pb::ConfChangeSingle) -> Option<pb::ConfChangeSingle> {
    if change.change_type == UPDATE {
        return Some(pb::ConfChangeSingle { change_type: pb::ConfChangeType::AddNode as i32, node_id: 0 });
    }
    pb::ConfChangeType::try_from(change.change_type).ok().map(|_| change)
}

/// Whether the library can take this configuration: it panics over one that is not consistent with itself.
pub(crate) fn is_consistent(state: &pb::ConfState) -> bool {
    let pb::ConfState { voters, learners, voters_outgoing, learners_next, auto_leave } = state;
    let is_joint = !voters_outgoing.is_empty();
    let all = || voters.iter().chain(learners).chain(voters_outgoing).chain(learners_next);
    all().all(|id| *id != raft::INVALID_ID)
        && !learners.iter().any(|id| voters.contains(id) || voters_outgoing.contains(id))
        && learners_next.iter().all(|id| voters_outgoing.contains(id) && !voters.contains(id))
        && (is_joint || !auto_leave)
        && (!voters.is_empty() || (learners.is_empty() && !is_joint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{LogIndex, Term};

    fn entry(kind: EntryKind, change: &impl prost::Message) -> Entry {
        Entry { term: Term(2), index: LogIndex(9), kind, data: change.encode_to_vec().into() }
    }

    fn acts(kinds: &[i32]) -> pb::ConfChangeV2 {
        let single = |kind: &i32| pb::ConfChangeSingle { change_type: *kind, node_id: 7 };
        pb::ConfChangeV2 { changes: kinds.iter().map(single).collect(), ..Default::default() }
    }

    /// etcd's four acts, in both forms of entry: none may be taken for another one, since every member must come to
    /// the same quorum.
    #[test]
    fn both_forms_have_etcds_numbers() {
        for (kind, node_id) in [(0, 7), (1, 7), (3, 7)] {
            let change = pb::ConfChange { change_type: kind, node_id: 7, ..Default::default() };
            let expected = Change::Changes(acts(&[kind]));
            assert_eq!(decode(&entry(EntryKind::ConfChange, &change)).unwrap(), expected);
            assert_eq!(decode(&entry(EntryKind::ConfChangeV2, &acts(&[kind]))).unwrap(), expected);
            assert_eq!(acts(&[kind]).changes[0].node_id, node_id);
        }
        let update = pb::ConfChange { change_type: UPDATE, node_id: 7, ..Default::default() };
        assert_eq!(decode(&entry(EntryKind::ConfChange, &update)).unwrap(), Change::Nothing);
    }

    /// An update among other changes changes nobody, and still counts as one: the number decides whether the change
    /// goes through a joint configuration, and that must be the same on every member.
    #[test]
    fn an_update_among_others_changes_nobody_and_is_counted() {
        let Change::Changes(changes) = decode(&entry(EntryKind::ConfChangeV2, &acts(&[2, 3]))).unwrap()
        else {
            panic!("changes were expected");
        };
        assert_eq!(changes.changes.iter().map(|each| each.node_id).collect::<Vec<_>>(), [0, 7]);
        assert_eq!(changes.enter_joint(), Some(true));
    }

    /// What cannot be understood is refused: guessing would split the members' idea of who votes.
    #[test]
    fn what_is_unknown_is_refused() {
        let unknown = pb::ConfChange { change_type: 4, ..Default::default() };
        let transition = pb::ConfChangeV2 { transition: 9, ..Default::default() };
        let garbage = |kind| Entry {
            term: Term(2),
            index: LogIndex(9),
            kind,
            data: bytes::Bytes::from_static(b"\xff"),
        };
        for entry in [
            entry(EntryKind::ConfChange, &unknown),
            entry(EntryKind::ConfChangeV2, &acts(&[0, 4])),
            entry(EntryKind::ConfChangeV2, &transition),
            entry(EntryKind::Normal, &unknown),
            garbage(EntryKind::ConfChange),
            garbage(EntryKind::ConfChangeV2),
        ] {
            assert!(matches!(decode(&entry), Err(Error::Configuration(_))), "{entry:?}");
        }
    }

    /// A configuration from the disk that contradicts itself would end the process inside the library.
    #[test]
    fn contradictory_configurations_are_told() {
        let state = |voters: &[u64], learners: &[u64], outgoing: &[u64], next: &[u64], auto_leave| {
            is_consistent(&pb::ConfState {
                voters: voters.to_vec(),
                learners: learners.to_vec(),
                voters_outgoing: outgoing.to_vec(),
                learners_next: next.to_vec(),
                auto_leave,
            })
        };
        assert!(state(&[], &[], &[], &[], false) && state(&[1, 2], &[3], &[], &[], false));
        assert!(state(&[1], &[4], &[1, 3], &[3], true));
        assert!(!state(&[0], &[], &[], &[], false), "member 0 is nobody");
        assert!(!state(&[1], &[1], &[], &[], false), "a voter that learns");
        assert!(!state(&[1], &[], &[], &[3], false), "a learner to be that did not vote");
        assert!(!state(&[1], &[], &[], &[], true), "nothing to leave");
        assert!(!state(&[], &[3], &[], &[], false), "learners of nobody");
    }
}
