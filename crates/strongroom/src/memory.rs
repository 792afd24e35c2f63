//! What is in this process's memory stays there: keys and values are in it in the clear.
//!
//! Owns what Linux is told about the whole process: to write no core dump of it, to let no process of the same user read its
//! memory, and, where there is swap, to write none of it there (docs/decisions/0007-locked-memory.md); and that memory which is
//! free goes back. Keys themselves are wiped where they end (`seal`).

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

/// Larger than any block that the allocator keeps with others.
const LARGE_BLOCK_BYTES: usize = 1024 * 1024;

/// Gives back to Linux what has been free for a second. The allocator looks for that when a large block is freed or much is
/// allocated, so a process that has become quiet would keep all that its busiest moment took. The block is never touched, so it
/// takes no memory itself.
pub(crate) fn give_back() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE_BLOCK_BYTES)));
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

    /// What a busy moment took goes back while nothing else happens: who looks at the memory of a quiet member sees what it needs.
    #[test]
    fn free_memory_goes_back_while_nothing_happens() {
        const BYTES: usize = 64 * 1024 * 1024;
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
        };
        let blocks: Vec<Vec<u8>> = (0..BYTES / 32_768).map(|_| vec![1; 32_768]).collect();
        let busy = resident();
        drop(blocks);
        for _ in 0..1_000 {
            give_back();
            if resident() < busy - BYTES / 2 {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        panic!("{} MiB are kept, {} MiB were used", resident() >> 20, busy >> 20);
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
