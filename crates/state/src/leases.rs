//! Leases: their lives in seconds, and which keys hang on them.
//!
//! Owns both directions of the attachment. Knows no clock: when a lease has run out is the leader's to find, and its end
//! comes as a command. Source: etcd's `lease/lessor.go`, the replicated part.
//!
//! Invariants: a key hangs on at most one lease; a key hangs on a lease exactly when that lease lists it.

use crate::error::Refusal;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use types::limits::LEASE_TTL_SECONDS_MAX;
use types::{Key, LeaseId};

/// One lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) ttl_seconds: i64,
    /// The remaining life last replicated; 0 for none.
    pub(crate) remaining_seconds: i64,
    pub(crate) keys: BTreeSet<Key>,
}

/// All leases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
    attached: BTreeMap<Key, LeaseId>,
}

impl Leases {
    pub(crate) fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.leases.iter().map(|(id, lease)| (*id, lease))
    }

    /// The lease that a key hangs on.
    pub(crate) fn of(&self, key: &[u8]) -> LeaseId {
        self.attached.get(key).copied().unwrap_or(LeaseId::NONE)
    }

    /// Whether a put may name this lease; `NONE` it may.
    pub(crate) fn check_named(&self, id: LeaseId) -> Result<(), Refusal> {
        match id.is_none() || self.leases.contains_key(&id) {
            true => Ok(()),
            false => Err(Refusal::LeaseNotFound(id)),
        }
    }

    /// Whether this lease can be made, in etcd's order of checks.
    pub(crate) fn check_grant(&self, id: LeaseId, ttl_seconds: i64) -> Result<(), Refusal> {
        if id.is_none() {
            Err(Refusal::LeaseNotFound(id))
        } else if ttl_seconds > LEASE_TTL_SECONDS_MAX {
            Err(Refusal::LeaseTtlTooLarge(ttl_seconds))
        } else if self.leases.contains_key(&id) {
            Err(Refusal::LeaseExists(id))
        } else {
            Ok(())
        }
    }

    /// Makes a lease, or replaces what is known of its life.
    pub(crate) fn set(&mut self, id: LeaseId, ttl_seconds: i64, remaining_seconds: i64) {
        let lease = self.leases.entry(id).or_default();
        lease.ttl_seconds = ttl_seconds;
        lease.remaining_seconds = remaining_seconds;
    }

    /// Ends a lease; its keys hang on none.
    pub(crate) fn remove(&mut self, id: LeaseId) {
        if let Some(lease) = self.leases.remove(&id) {
            lease.keys.iter().for_each(|key| {
                self.attached.remove(key);
            });
        }
    }

    /// Hangs a key on a lease (that exists), or on none.
    pub(crate) fn attach(&mut self, key: &[u8], id: LeaseId) {
        if let Some(lease) = self.attached.remove(key).and_then(|old| self.leases.get_mut(&old)) {
            lease.keys.remove(key);
        }
        let Some(lease) = self.leases.get_mut(&id) else { return };
        // A copy of its own: the command's bytes would keep a whole request alive.
        if let Some(key) = Key::new(Bytes::copy_from_slice(key)) {
            lease.keys.insert(key.clone());
            self.attached.insert(key, id);
        }
    }
}
