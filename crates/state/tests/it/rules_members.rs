//! Membership: changes by configuration entries, by etcd's rules, and what members say of themselves.

use crate::rig::Rig;
use state::Refusal;
use state::command::{Command, MemberAttributes};
use state::membership::{Member, MembershipChange};
use types::{LogIndex, MemberId, Term};

fn member(id: u64, url: &str) -> Member {
    Member {
        id: MemberId(id),
        name: String::new(),
        peer_urls: vec![url.to_owned()],
        client_urls: vec![],
        is_learner: false,
    }
}

/// Joins, leaves for ever, moves, is promoted; refused where etcd refuses; and all of it is there after a restart.
#[test]
fn members_change_by_etcds_rules() {
    use MembershipChange::{Add, Promote, Remove, UpdatePeerUrls};
    let id = MemberId;
    let cases = [
        (Add(member(1, "https://a")), Ok(())),
        (Add(Member { is_learner: true, ..member(2, "https://b") }), Ok(())),
        (Add(member(1, "https://z")), Err(Refusal::MemberExists(id(1)))),
        (Add(member(3, "https://b")), Err(Refusal::PeerUrlExists)),
        (Promote(id(1)), Err(Refusal::MemberNotLearner(id(1)))),
        (Promote(id(2)), Ok(())),
        (Promote(id(9)), Err(Refusal::MemberNotFound(id(9)))),
        (UpdatePeerUrls { id: id(2), peer_urls: vec!["https://a".into()] }, Err(Refusal::PeerUrlExists)),
        (UpdatePeerUrls { id: id(2), peer_urls: vec!["https://b".into(), "https://c".into()] }, Ok(())),
        (Remove(id(1)), Ok(())),
        (Remove(id(1)), Err(Refusal::MemberRemoved(id(1)))),
        (Add(member(1, "https://new")), Err(Refusal::MemberRemoved(id(1)))),
    ];
    let mut rig = Rig::new();
    for (i, (change, expected)) in cases.into_iter().enumerate() {
        let index = LogIndex(i as u64 + 1);
        assert_eq!(
            rig.machine.change_membership(index, Term(1), change.clone()).unwrap(),
            expected,
            "{change:?}"
        );
        assert_eq!(rig.machine.take_changes().membership, expected.is_ok());
        assert_eq!(rig.machine.applied().0, index, "a refused change is applied too");
        rig.log.push(Command::Nothing);
    }
    let attributes = |id| MemberAttributes {
        member: MemberId(id),
        name: "two".to_owned(),
        client_urls: vec!["https://c:2379".to_owned()],
    };
    rig.apply(Command::MemberAttributesSet(attributes(2))).unwrap();
    rig.apply(Command::MemberAttributesSet(attributes(77))).unwrap();
    rig.apply(Command::ClusterVersionSet("3.7.0".to_owned())).unwrap();
    rig.apply(Command::DowngradeSet(Some("3.6.0".to_owned()))).unwrap();
    let before = rig.reader().membership();
    let two = before.member(MemberId(2)).unwrap();
    assert_eq!((two.name.as_str(), two.is_learner, two.peer_urls.len()), ("two", false, 2));
    assert_eq!(before.members().count(), 1);
    assert_eq!((before.cluster_version(), before.downgrade_target()), (Some("3.7.0"), Some("3.6.0")));
    rig.checkpoint();
    rig.crash();
    assert_eq!(rig.reader().membership(), before);
    assert!(before.is_removed(MemberId(1)));
    rig.apply(Command::DowngradeSet(None)).unwrap();
    assert_eq!(rig.reader().membership().downgrade_target(), None);
}
