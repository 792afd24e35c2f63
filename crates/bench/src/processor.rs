//! Processor time of processes, from the system: user and system time of all threads together, also of those that ended.

use std::time::Duration;

/// What processes have used so far; a server's is absent where there is no such process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) own: Duration,
    pub(crate) server: Option<Duration>,
}

/// The readings of this moment.
pub(crate) fn used(server_pid: Option<u32>) -> Used {
    Used { own: of("self").unwrap_or_default(), server: server_pid.and_then(|pid| of(&pid.to_string())) }
}

fn of(process: &str) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    ticks(&stat).map(|ticks| Duration::from_millis(ticks * 10))
}

/// Fields 14 and 15, in ticks of 10 ms (Linux tells programs so whatever its own clock does). The name before them may hold
/// anything, a closing bracket too.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process may be called anything; its times must still be found.
    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b) 1) S 1 7 7 0 -1 4194304 100 0 0 0 250 30 5 5 20 0 9 0 100 1 2";
        assert_eq!(ticks(stat), Some(280));
        assert_eq!(ticks("7 (a) S 1 7"), None);
    }

    /// No such process is no figure, not zero.
    #[test]
    fn a_missing_server_has_no_figure() {
        assert!(used(None).server.is_none());
        assert!(used(Some(u32::MAX)).server.is_none());
        assert!(used(Some(std::process::id())).server.is_some());
    }
}
