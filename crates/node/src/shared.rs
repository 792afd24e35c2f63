//! What the handle of a member and its threads have in common.
//!
//! Each part has one writer, or is a counter, or a mutex of a few lines; who writes is said beside it.

use crate::counts::Counts;
use crate::inbox::Inbox;
use crate::input::Input;
use crate::lease_clock::LeaseClock;
use crate::tokens::Tokens;
use crate::watch::HubInput;
use consensus::Position;
use env::Clock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use types::{ClusterId, LogIndex, MemberId};

/// What the handle and the threads share.
pub(crate) struct Shared {
    pub cluster: ClusterId,
    pub member: MemberId,
    pub request_bytes_max: usize,
    pub reader: state::Reader,
    pub clock: Arc<dyn Clock>,
    /// In front of the log thread.
    pub inputs: Arc<Inbox<Input>>,
    pub hub: SyncSender<HubInput>,
    pub leases: Mutex<LeaseClock>,
    /// Given and made void by the apply thread, used by the edge.
    pub tokens: Mutex<Tokens>,
    /// Called by the apply thread when who may do what has changed.
    pub policy_listeners: Mutex<Vec<Listener>>,
    /// Called by the apply thread when the register of certificates has changed.
    pub certificate_listeners: Mutex<Vec<Listener>>,
    /// Written by whoever steps consensus.
    pub position: Mutex<Position>,
    /// Written by the apply thread.
    pub applied: AtomicU64,
    /// Written by the checkpoint thread: the number of the newest durable manifest, 0 before the first of this life.
    pub generation: AtomicU64,
    /// Written by the checkpoint thread: what the log may let go of.
    pub release: Mutex<Release>,
    pub next_request: AtomicU64,
    pub next_stream: AtomicU64,
    /// Watch streams that are open: without any the hub need not be told of changes.
    pub open_streams: Arc<AtomicUsize>,
    pub pending: AtomicUsize,
    /// Bytes of the proposals that are not answered yet.
    pub pending_bytes: AtomicU64,
    pub failed: AtomicU64,
    /// Set by the first thread that fails; the consensus thread then ends at its next tick, and with it all others.
    pub broken: AtomicBool,
    /// Set when the member is to stop.
    pub stopping: AtomicBool,
    /// Written by the log thread: there is no room for the next segments.
    pub full_disk: AtomicBool,
    /// Written by the apply thread: an entry waits for space in the store.
    pub store_waits: AtomicBool,
    /// Rung when the member is to stop.
    pub bell: (Mutex<()>, Condvar),
    pub threads: Mutex<Option<Threads>>,
    pub counts: Arc<Counts>,
}

/// Told that who may do what has changed; must not block.
pub(crate) type Listener = Box<dyn Fn() + Send>;

/// What a checkpoint lets the log go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Release {
    /// No entry below is needed any more.
    pub below: LogIndex,
    /// Those from here on are kept for members that lag, as far as there is room.
    pub kept_from: LogIndex,
}

/// How long a full disk is left alone before the next try.
pub(crate) const FULL_DISK_PAUSE: Duration = Duration::from_millis(200);

impl Shared {
    /// Whether the member is to stop, or cannot go on.
    pub(crate) fn is_ending(&self) -> bool {
        self.stopping.load(Ordering::Acquire) || self.broken.load(Ordering::Acquire)
    }

    /// Waits, but not beyond the wish to stop.
    pub(crate) fn pause(&self, how_long: Duration) {
        let (gate, bell) = &self.bell;
        let is_on = |_: &mut ()| !self.stopping.load(Ordering::Acquire);
        drop(bell.wait_timeout_while(lock(gate), how_long, is_on));
    }

    /// Tells everybody that the member is to stop.
    pub(crate) fn ring(&self) {
        self.stopping.store(true, Ordering::Release);
        let (gate, bell) = &self.bell;
        drop(lock(gate));
        bell.notify_all();
    }
}

/// The running threads.
pub(crate) struct Threads(pub(crate) Vec<JoinHandle<()>>);

impl Threads {
    pub(crate) fn join(self) {
        for thread in self.0 {
            // A thread that panicked has said so; the others still end in order.
            let _ = thread.join();
        }
    }
}

/// A lock whose holder panicked still guards whole values: every critical section here is a plain assignment or call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
