//! What is in this process's memory stays there: keys and values are in it in the clear.
//!
//! Owns the two settings by which Linux writes no core dump of it and lets no process of the same user read its memory. Keys
//! themselves are wiped where they end (`seal`).

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Closes this process's memory. Whether it could not, for the log that comes later; no reason not to start.
pub(crate) fn close() -> Result<(), rustix::io::Errno> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{dumpable_behavior, getrlimit};

    /// A crash writes no file with keys and values in it, and another process of the same user cannot read them.
    #[test]
    fn no_core_dump_and_no_reader() {
        close().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
    }
}
