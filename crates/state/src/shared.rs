//! The state as the one writer and the many readers share it.
//!
//! Owns the parts; each has its own lock, held for a few lines. The writer is the machine; readers never change anything.

use crate::auth::Accounts;
use crate::command::{Alarm, AlarmKind};
use crate::effects_hash::Checkmark;
use crate::leases::Leases;
use crate::membership::Membership;
use crate::mvcc::KeySpace;
use crate::pki::Register;
use std::collections::BTreeSet;
use std::sync::RwLock;
use std::sync::atomic::AtomicU64;

/// Everything replicated.
pub(crate) struct Shared {
    pub(crate) space: KeySpace,
    pub(crate) leases: RwLock<Leases>,
    pub(crate) alarms: RwLock<BTreeSet<Alarm>>,
    pub(crate) membership: RwLock<Membership>,
    pub(crate) accounts: RwLock<Accounts>,
    pub(crate) register: RwLock<Register>,
    /// Counts the changes of the accounts in this process.
    pub(crate) policy_epoch: AtomicU64,
    pub(crate) checkmark: RwLock<Option<Checkmark>>,
}

/// The alarms of a kind; `None` means of every kind.
pub(crate) fn alarms_of(alarms: &BTreeSet<Alarm>, kind: AlarmKind) -> Vec<Alarm> {
    let asked = |alarm: &&Alarm| kind == AlarmKind::None || alarm.kind == kind;
    alarms.iter().filter(asked).copied().collect()
}
