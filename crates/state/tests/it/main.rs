//! The state machine from outside: etcd's rules one by one, a naive model, and hashes taken from a real etcd.
#![allow(clippy::unwrap_used)]

mod accesses;
mod answers;
mod collect;
mod concurrent;
mod hashkv;
mod home;
mod lists;
mod model;
mod reopen;
mod rig;
mod rules_alarms;
mod rules_history;
mod rules_leases;
mod rules_members;
mod rules_range;
mod rules_txn;
mod tokens;
