//! How an entry changes the register of certificates.
//!
//! Deterministic like the rest of `apply`; what a change comes to is the register's to say (`pki/change.rs`).

use crate::error::Error;
use crate::lock;
use crate::machine::Machine;
use crate::outcome::Outcome;
use crate::pki::{self, CertificateChange};
use crate::record::Record;

impl Machine {
    pub(crate) fn change_certificates(&mut self, change: CertificateChange) -> Result<Outcome, Error> {
        let effects = pki::decide(&lock::read(&self.shared.register), change)?;
        for effect in effects {
            self.journal.append(&Record::Pki(effect.clone()))?;
            lock::write(&self.shared.register).take(effect);
            self.changes.certificates = true;
        }
        Ok(Outcome::Nothing)
    }
}
