//! The threads that drive a member's step machines in production: consensus, log, apply, watch, checkpoint, chores.
//!
//! Owns the channels between them. Decides nothing that a step machine decides: it waits, calls, writes and hands on.
//!
//! ```text
//!   propose ──▶ log ── step ── Batch ──▶ apply ── changes ─▶ watch
//!                ▲      ▲                  │ └─ replies
//!       a write  └──────┴── consensus      └─ prepared ─▶ checkpoint ── what the log may let go of
//!                           (ticks)
//! ```
//!
//! Invariants: no tick waits for the disk (consensus is locked for a step, never for a write; one write is out at a time; a full
//! apply queue gives the batch back); a failure of any thread is told once and stops all.

mod apply;
mod checkpoint;
mod chores;
mod consensus;
mod log;
mod stepper;
mod watch;

pub(crate) use apply::{ApplyThread, wait_for_space};
pub(crate) use checkpoint::run_checkpoints;
pub(crate) use chores::{Chores, run_chores};
pub(crate) use consensus::ConsensusThread;
pub(crate) use log::{LogThread, Space};
pub(crate) use stepper::Stepper;
pub(crate) use watch::run_hub;

use crate::failure::Failure;
use std::sync::Arc;

/// Told once, by whichever thread fails first.
pub(crate) type OnFailure = Arc<dyn Fn(Failure) + Send + Sync>;
