//! The register of certificates as an authority reads and changes it: a running member's, or one in memory.

use state::pki::{CertificateChange, Register};

/// Where the register is.
pub trait Registry: Send + Sync {
    /// Shows the register as it is now.
    fn look(&self, look: &mut dyn FnMut(&Register));

    /// Changes it, and returns when that is so.
    ///
    /// # Errors
    /// Why not, in words.
    fn change(&self, change: CertificateChange) -> Result<(), String>;

    /// Has it changed when that can be; nobody waits for it.
    fn record(&self, change: CertificateChange);
}

/// Looks at the register.
pub(super) fn read<T>(registry: &dyn Registry, look: impl FnOnce(&Register) -> T) -> T {
    let (mut look, mut seen) = (Some(look), None);
    registry.look(&mut |register| seen = look.take().map(|look| look(register)));
    seen.expect("a registry shows its register")
}
