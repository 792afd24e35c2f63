//! Room in the store: a word before it is used up, and the end of the alarm once there is room again.
//!
//! Owns when to speak and when this member's NOSPACE alarm is cleared; the clearing is a command of the member's own. The
//! alarm is raised where a request finds no room (`rpc`). etcd leaves clearing to its operator, and a cluster whose
//! operator forgets it stays read-only although there is room; here it ends by itself after a while, in which whoever
//! wants to do it by hand finds everything as in etcd.

use crate::gate::Gate;
use env::Env;
use node::Member;
use state::command::{Alarm, AlarmAction, AlarmChange, AlarmKind, Command};
use std::time::Duration;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Hundredths of the quota at which it speaks.
const LEVELS: [u64; 3] = [70, 85, 95];
/// Below so many hundredths there is room enough to clear the alarm.
const ROOM_PERCENT: u64 = 90;
/// For so long there must have been room.
const ROOM_LASTS: Duration = Duration::from_secs(30);

/// Starts the thread that looks; it ends with the process.
pub(super) fn start(quota: u64, member: Member, env: Env) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the thread waits for real time; what it decides is tested with given times"
    )]
    let spawned = std::thread::Builder::new().name("room".to_owned()).spawn(move || {
        let mut watch = RoomWatch::default();
        let us = member.status().member;
        loop {
            std::thread::sleep(INTERVAL);
            let gauges = member.gauges();
            let alarm = Alarm { member: us, kind: AlarmKind::NoSpace };
            let stands = gauges.alarms().contains(&alarm);
            let live = gauges.sizes().live_bytes;
            for act in watch.look(env.clock.monotonic().since_origin(), live, quota, stands) {
                match act {
                    Act::Rises(percent) => tracing::warn!(
                        live_bytes = live,
                        quota_bytes = quota,
                        percent,
                        hint = "compact, delete what is not needed, or raise the quota",
                        "the store is filling up"
                    ),
                    Act::Falls(percent) => tracing::info!(
                        live_bytes = live,
                        quota_bytes = quota,
                        percent,
                        "the store has more room again"
                    ),
                    Act::Clear => clear(&member, alarm),
                }
            }
        }
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "cannot watch the room in the store");
    }
}

fn clear(member: &Member, alarm: Alarm) {
    let gate = Gate::of_the_member();
    let command = Command::Alarm(AlarmChange { action: AlarmAction::Clear, alarm });
    let Ok(recorded) = gate.admit(&gate.member(), command) else { return };
    member.propose(
        recorded,
        Box::new(|answer| match answer {
            Ok(_) => tracing::info!("there is room again: cleared the alarm NOSPACE"),
            Err(refused) => tracing::warn!(%refused, "cannot clear the alarm NOSPACE"),
        }),
    );
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// This level was reached.
    Rises(u64),
    /// It is below this level again.
    Falls(u64),
    /// The alarm is to end.
    Clear,
}

/// What was seen so far.
#[derive(Default)]
struct RoomWatch {
    /// Levels that are reached.
    reached: usize,
    /// Since when there is room, while the alarm stands.
    room_since: Option<Duration>,
}

impl RoomWatch {
    fn look(&mut self, now: Duration, live: u64, quota: u64, alarm_stands: bool) -> Vec<Act> {
        let is_at = |percent: u64| u128::from(live) * 100 >= u128::from(quota) * u128::from(percent);
        let mut acts = Vec::new();
        while let Some(level) = LEVELS.get(self.reached).filter(|level| is_at(**level)) {
            acts.push(Act::Rises(*level));
            self.reached += 1;
        }
        // Two hundredths less, so that it does not speak with every put and deletion.
        while let Some(level) = self.reached.checked_sub(1).and_then(|below| LEVELS.get(below))
            && !is_at(level.saturating_sub(2))
        {
            acts.push(Act::Falls(*level));
            self.reached -= 1;
        }
        if !alarm_stands || is_at(ROOM_PERCENT) {
            self.room_since = None;
        } else if now.saturating_sub(*self.room_since.get_or_insert(now)) >= ROOM_LASTS {
            self.room_since = None;
            acts.push(Act::Clear);
        }
        acts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Each level is told once on the way up and once on the way down, and not again while the store stays near it.
    #[test]
    fn levels_are_told_once() {
        let mut watch = RoomWatch::default();
        let mut told = Vec::new();
        for live in [10, 69, 70, 71, 69, 70, 90, 84, 97, 99, 96, 94, 92, 60, 10] {
            told.extend(watch.look(SECOND, live, 100, false));
        }
        use Act::{Falls, Rises};
        assert_eq!(told, [Rises(70), Rises(85), Rises(95), Falls(95), Falls(85), Falls(70)]);
        assert!(watch.look(SECOND, u64::MAX, u64::MAX, false).len() == 3);
    }

    /// The alarm ends when there was room for half a minute without a break, and only if it stands: an alarm that comes and
    /// goes would be worse than one that stays.
    #[test]
    fn the_alarm_ends_when_there_is_room_for_a_while() {
        let mut watch = RoomWatch::default();
        let mut clears = |seconds: std::ops::Range<u32>, live, stands| {
            let all = seconds.flat_map(|s| watch.look(SECOND * s, live, 100, stands)).collect::<Vec<_>>();
            all.iter().filter(|act| **act == Act::Clear).count()
        };
        assert_eq!(clears(0..100, 95, true), 0, "no room");
        assert_eq!(clears(100..120, 50, true), 0, "not for long");
        assert_eq!(clears(120..121, 95, true), 0);
        assert_eq!(clears(121..151, 50, true), 0, "it begins anew");
        assert_eq!(clears(151..160, 50, true), 1);
        assert_eq!(clears(200..300, 50, false), 0, "none stands");
    }
}
