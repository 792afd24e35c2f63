//! Configuration changes in the two forms that the raft library accepts, as one.

use crate::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The change of one node.
#[must_use]
pub fn new_conf_change_single(node_id: u64, change_type: ConfChangeType) -> ConfChangeSingle {
    ConfChangeSingle { change_type: change_type as i32, node_id }
}

/// Whether two states describe the same configuration, in whatever order they list it.
#[must_use]
pub fn conf_state_eq(left: &ConfState, right: &ConfState) -> bool {
    let same = |left: &[u64], right: &[u64]| {
        left.iter().collect::<BTreeSet<_>>() == right.iter().collect::<BTreeSet<_>>()
    };
    same(&left.voters, &right.voters)
        && same(&left.learners, &right.learners)
        && same(&left.voters_outgoing, &right.voters_outgoing)
        && same(&left.learners_next, &right.learners_next)
        && left.auto_leave == right.auto_leave
}

/// A configuration change of either form.
pub trait ConfChangeI {
    /// As the newer form.
    fn into_v2(self) -> ConfChangeV2;
    /// As the newer form, borrowed where it is one.
    fn as_v2(&self) -> Cow<'_, ConfChangeV2>;
    /// The older form, where it is one.
    fn as_v1(&self) -> Option<&ConfChange>;
}

impl ConfChangeI for ConfChange {
    fn into_v2(self) -> ConfChangeV2 {
        let changes = vec![new_conf_change_single(self.node_id, self.get_change_type())];
        ConfChangeV2 { transition: ConfChangeTransition::Auto as i32, changes, context: self.context }
    }

    fn as_v2(&self) -> Cow<'_, ConfChangeV2> {
        Cow::Owned(self.clone().into_v2())
    }

    fn as_v1(&self) -> Option<&ConfChange> {
        Some(self)
    }
}

impl ConfChangeI for ConfChangeV2 {
    fn into_v2(self) -> ConfChangeV2 {
        self
    }

    fn as_v2(&self) -> Cow<'_, ConfChangeV2> {
        Cow::Borrowed(self)
    }

    fn as_v1(&self) -> Option<&ConfChange> {
        None
    }
}

impl ConfChangeV2 {
    /// Whether the change goes through a joint configuration, and if so whether it leaves that by itself.
    #[must_use]
    pub fn enter_joint(&self) -> Option<bool> {
        match self.get_transition() {
            ConfChangeTransition::Auto if self.changes.len() <= 1 => None,
            ConfChangeTransition::Auto | ConfChangeTransition::Implicit => Some(true),
            ConfChangeTransition::Explicit => Some(false),
        }
    }

    /// Whether the change only leaves a joint configuration.
    #[must_use]
    pub fn leave_joint(&self) -> bool {
        self.get_transition() == ConfChangeTransition::Auto && self.changes.is_empty()
    }
}
