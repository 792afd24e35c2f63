//! What the member does on its own account before and beside all requests.

use crate::gate::Gate;
use node::Member;
use state::{Command, Refusal};
use std::sync::mpsc;
use std::time::Duration;

/// Longer than any disk that works takes for an entry.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has a command done and waits for it; the inner refusal is the state machine's.
///
/// # Errors
/// Why it came to nothing, in words.
pub(super) fn carry_out(member: &Member, command: Command) -> Result<Result<(), Refusal>, String> {
    let (done, answer) = mpsc::sync_channel(1);
    propose(member, command, move |proposed| drop(done.send(proposed)))?;
    answer.recv_timeout(PATIENCE).map_err(|_| "the entry took too long".to_owned())?
}

/// Proposes a command and returns; `done` hears of its end.
///
/// # Errors
/// It may not be proposed at all.
pub(super) fn propose(
    member: &Member,
    command: Command,
    done: impl FnOnce(Result<Result<(), Refusal>, String>) + Send + 'static,
) -> Result<(), String> {
    let gate = Gate::of_the_member();
    let command = gate.admit(&gate.member(), command).map_err(|denied| denied.to_string())?;
    member.propose(
        command,
        Box::new(move |proposed| {
            let proposed = proposed.map_err(|refused| refused.to_string());
            done(proposed.map(|proposed| proposed.applied.result.map(drop)));
        }),
    );
    Ok(())
}
