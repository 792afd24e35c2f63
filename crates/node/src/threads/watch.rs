//! The watch thread: feeds the hub what was applied and what streams ask, and the time.

use crate::counts::Counts;
use crate::watch::{HubInput, HubState};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often a waiting watch hub looks again.
const HUB_BUSY: Duration = Duration::from_millis(5);
/// How often an idle one does.
const HUB_IDLE: Duration = Duration::from_millis(100);

/// The watch thread.
pub(crate) fn run_hub(
    mut hub: HubState,
    inputs: &Receiver<HubInput>,
    clock: &dyn env::Clock,
    counts: &Counts,
) {
    let mut wait = HUB_IDLE;
    loop {
        let mut next = match inputs.recv_timeout(wait) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if next.is_none() && !wait.is_zero() {
            hub.look();
        }
        let now = clock.monotonic().millis();
        while let Some(input) = next {
            match input {
                HubInput::Open(id, sink) => hub.open(id, sink, now),
                HubInput::Create(id, request) => hub.create(id, request),
                HubInput::Cancel(id, watch) => hub.cancel(id, watch),
                HubInput::Progress(id) => hub.progress(id),
                HubInput::Close(id) => hub.close(id),
                HubInput::Changes(changes, upto) => hub.changes(&changes, upto),
                HubInput::Stop => return,
            }
            next = inputs.try_recv().ok();
        }
        let more = hub.work(now);
        let (streams, watchers, behind) = hub.census();
        counts.watch_streams.set(signed(streams));
        counts.watchers.set(signed(watchers));
        counts.watchers_behind.set(signed(behind));
        wait = match (more, hub.is_waiting()) {
            (true, _) => Duration::ZERO,
            (false, true) => HUB_BUSY,
            (false, false) => HUB_IDLE,
        };
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
