//! The threads that drive a member's step machines in production: consensus, log, apply, watch, checkpoint, chores.
//!
//! Owns the channels between them. Decides nothing that a step machine decides: it waits, calls, writes and hands on.
//!
//! ```text
//!   propose ─▶ consensus ─ Write ─▶ log ─ Persisted ─▶ consensus ─ Batch ─▶ apply ─ changes ─▶ watch
//!                                    ▲                                        │ └─ replies
//!                                    └─ Release ── checkpoint ◀── prepared ───┘
//! ```
//!
//! Invariants: the consensus thread waits for nobody but its queue (one write is out at a time, a full apply queue gives
//! the batch back); a failure of any thread is told once and stops all.

mod apply;
mod checkpoint;
mod chores;
mod consensus;
mod log;
mod watch;

pub(crate) use apply::{ApplyThread, wait_for_space};
pub(crate) use checkpoint::run_checkpoints;
pub(crate) use chores::{Chores, run_chores};
pub(crate) use consensus::ConsensusThread;
pub(crate) use log::{LogThread, Space};
pub(crate) use watch::run_hub;

use crate::failure::Failure;
use std::sync::Arc;

/// Told once, by whichever thread fails first.
pub(crate) type OnFailure = Arc<dyn Fn(Failure) + Send + Sync>;
