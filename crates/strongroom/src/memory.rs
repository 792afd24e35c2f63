//! What is in this process's memory stays there: keys and values are in it in the clear.
//!
//! Owns what Linux is told about the whole process: to write no core dump of it, to let no process of the same user read its
//! memory, and, where there is swap, to write none of it there (docs/decisions/0007-locked-memory.md). Keys themselves are wiped
//! where they end (`seal`).

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// The number of the capability that lifts the limit on locked memory.
const CAP_IPC_LOCK: u32 = 14;

/// Closes this process's memory. Whether it could not, for the log that comes later; no reason not to start.
pub(crate) fn close() -> Result<(), Errno> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Keeps this process's memory off swap, now and later, before there is a key in it. Says so, or what to do where it may not.
pub(crate) fn keep_off_swap() {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    if !has_swap(&read("/proc/swaps")) {
        return;
    }
    match lock(&read("/proc/self/status")) {
        Ok(()) => {
            tracing::info!("locked this process's memory: there is swap, and nothing of it is written there")
        }
        Err(error) => tracing::warn!(
            %error,
            hint = "turn swap off or encrypt it, or allow this process to lock its memory (LimitMEMLOCK=infinity, or the \
                    capability IPC_LOCK)",
            "this process's memory may be written to swap, with keys and values in the clear"
        ),
    }
}

/// Locks pages as they are first used. Never under a limit that could be reached: memory beyond it would be refused, and the
/// process would end for that.
fn lock(status: &str) -> Result<(), Errno> {
    // Raises it where this process may; the limit that is there is looked at in any case.
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    if getrlimit(Resource::Memlock).current.is_some() && !has_capability(status, CAP_IPC_LOCK) {
        return Err(Errno::PERM);
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
}

/// Whether `/proc/swaps` lists any, below its line of titles.
fn has_swap(swaps: &str) -> bool {
    swaps.lines().skip(1).any(|line| !line.trim().is_empty())
}

/// Whether `/proc/self/status` has a capability among those in effect.
fn has_capability(status: &str, number: u32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> number & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    /// A crash writes no file with keys and values in it, and another process of the same user cannot read them.
    #[test]
    fn no_core_dump_and_no_reader() {
        close().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
    }

    /// Locking costs what the allocator then cannot give back, so it is done only where there is swap; and never without the
    /// right, or the process would die of the first page beyond its limit.
    #[test]
    fn swap_and_the_right_to_lock_are_told() {
        let titles = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(!has_swap("") && !has_swap(titles));
        assert!(has_swap(&format!("{titles}/swapfile file 1024 0 -2\n")));
        let status = |mask| format!("Name:\tetcd\nCapPrm:\t0\nCapEff:\t{mask}\n");
        assert!(has_capability(&status("0000000000004000"), CAP_IPC_LOCK));
        assert!(!has_capability(&status("ffffffffffffbfff"), CAP_IPC_LOCK));
        assert!(!has_capability("", CAP_IPC_LOCK) && !has_capability(&status("?"), CAP_IPC_LOCK));
    }
}
