//! Compaction by the member itself, so that history does not grow for ever where no client compacts.
//!
//! Owns when to compact and to which revision; the act is a command like any other, of the member's own. etcd's rules: in
//! the periodic mode the revision is sampled ten times a period (at least every 6 minutes for periods over an hour) and
//! the one a period ago is compacted to; in the revision mode the latest so many stay, looked at every five minutes.

use crate::config::AutoCompaction;
use crate::gate::Gate;
use env::Env;
use node::Member;
use state::command::{Command, Compact};
use std::collections::VecDeque;
use std::time::Duration;
use types::Revision;

/// How often the revision mode looks.
const REVISION_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Samples taken in one period.
const SAMPLES: u32 = 10;

/// Starts the thread that compacts; it ends with the process. Off starts none.
pub(super) fn start(mode: AutoCompaction, member: Member, env: Env) {
    let interval = match mode {
        AutoCompaction::Off => return,
        AutoCompaction::Revisions(_) => REVISION_INTERVAL,
        AutoCompaction::Periodic(period) => period.min(Duration::from_secs(3_600)) / SAMPLES,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the thread waits for real time; what it decides is tested with given times"
    )]
    let spawned = std::thread::Builder::new().name("auto-compaction".to_owned()).spawn(move || {
        let mut plan = Plan::new(mode, env.clock.monotonic().since_origin());
        loop {
            std::thread::sleep(interval);
            let revision = member.gauges().revision();
            if let Some(target) = plan.sample(env.clock.monotonic().since_origin(), revision) {
                compact(&member, target);
            }
        }
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "cannot start automatic compaction");
    }
}

fn compact(member: &Member, target: Revision) {
    let gate = Gate::of_the_member();
    let command = Command::Compact(Compact { revision: target, physical: false });
    let Ok(recorded) = gate.admit(&gate.member(), command) else { return };
    member.propose(
        recorded,
        Box::new(move |answer| match answer.map(|proposed| proposed.applied.result) {
            Ok(Ok(_)) => tracing::info!(revision = %target, "completed auto compaction"),
            Ok(Err(refusal)) => tracing::info!(revision = %target, %refusal, "nothing to compact"),
            Err(refused) => tracing::warn!(revision = %target, %refused, "auto compaction was refused"),
        }),
    );
}

/// Which revision is due, from the samples so far.
struct Plan {
    mode: AutoCompaction,
    samples: VecDeque<(Duration, Revision)>,
    last: Revision,
    began: Duration,
}

impl Plan {
    fn new(mode: AutoCompaction, now: Duration) -> Self {
        Self { mode, samples: VecDeque::new(), last: Revision::ZERO, began: now }
    }

    /// Takes a sample; answers what to compact to, if anything new.
    fn sample(&mut self, now: Duration, revision: Revision) -> Option<Revision> {
        let target = match self.mode {
            AutoCompaction::Off => return None,
            AutoCompaction::Revisions(kept) => Revision(revision.0.saturating_sub_unsigned(kept)),
            AutoCompaction::Periodic(period) => {
                self.samples.push_back((now, revision));
                if now.saturating_sub(self.began) < period {
                    return None;
                }
                let mut due = None;
                while let Some((_, sampled)) =
                    self.samples.front().copied().filter(|(at, _)| *at + period <= now)
                {
                    due = Some(sampled);
                    self.samples.pop_front();
                }
                due?
            }
        };
        if target <= self.last || target <= Revision::ZERO {
            return None;
        }
        self.last = target;
        Some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// In the periodic mode the revision of one period ago is due, never a younger one: that is the promise of how far
    /// back clients can read.
    #[test]
    fn the_revision_of_one_period_ago_is_due() {
        let mut plan = Plan::new(AutoCompaction::Periodic(10 * MINUTE), Duration::ZERO);
        let due: Vec<_> = (1..=12).map(|n| plan.sample(MINUTE * n, Revision(100 + i64::from(n)))).collect();
        assert_eq!(due[..10], [None; 10]);
        assert_eq!(due[10..], [Some(Revision(101)), Some(Revision(102))]);
    }

    /// In the revision mode the latest ones stay; nothing is due twice.
    #[test]
    fn the_latest_revisions_stay() {
        let mut plan = Plan::new(AutoCompaction::Revisions(1_000), Duration::ZERO);
        assert_eq!(plan.sample(MINUTE, Revision(900)), None);
        assert_eq!(plan.sample(MINUTE, Revision(1_500)), Some(Revision(500)));
        assert_eq!(plan.sample(MINUTE, Revision(1_500)), None);
        assert_eq!(plan.sample(MINUTE, Revision(1_501)), Some(Revision(501)));
    }
}
