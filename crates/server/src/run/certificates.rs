//! The certificates of the listeners, looked at before a listener is opened with them.
//!
//! Owns what is made of a mistake: one with which nothing can be served stops the start, with the file, the cause and the
//! step; one that only some client will stumble over (ended, no names) is told in the log, for a member that does not start
//! cannot be repaired from outside. Contents of files are in no message.

use super::Failure;
use crate::config::{self, Config, Problem, Security, Serves};
use crate::listen;
use crate::pki::foreign;
use crate::tls::{self, Reloading, Source};
use env::WallTime;
use std::path::Path;
use std::sync::Arc;

/// The files of all listeners; what is said of a file is said once.
#[derive(Debug)]
pub(super) struct Certificates {
    now: WallTime,
    said: Vec<Problem>,
    loose: Vec<String>,
    /// Listeners with the same files have them in common.
    opened: Vec<Arc<Reloading>>,
}

impl Certificates {
    pub(super) fn new(now: WallTime) -> Self {
        Self { now, said: Vec::new(), loose: Vec::new(), opened: Vec::new() }
    }

    /// Reads those files that somebody brought, and looks at the directory of made ones, before anything is made or opened: a
    /// mistake in them leaves nothing behind. A brought certificate whose clients' CA is yet to be made is read alone.
    ///
    /// # Errors
    /// Nothing can be served with them.
    pub(super) fn read_brought(&mut self, config: &Config) -> Result<(), Failure> {
        if config.pki.needed {
            ::certificate::files::directory_is_there(&config.pki.dir)?;
        }
        for listener in served(config) {
            let (Security::Tls(settings) | Security::ClearOrTls(settings)) = &listener.security else {
                continue;
            };
            if !is_made(settings, &config.pki.dir) {
                self.read(settings)?;
            } else if !lies_in(&settings.certificate, &config.pki.dir) {
                self.read(&tls::Settings::new(settings.certificate.clone(), settings.key.clone()))?;
            }
        }
        Ok(())
    }

    /// The listeners of clients and probes, with their certificates read.
    ///
    /// # Errors
    /// Nothing can be served with them.
    pub(super) fn listeners(&mut self, config: &Config) -> Result<Vec<listen::Listener>, Failure> {
        for listener in config.listeners.iter().filter(|listener| listener.serves == Serves::Peers) {
            tracing::info!(
                address = listener.url,
                "not listening for peers: this version runs clusters of one member"
            );
        }
        let mut listeners = Vec::new();
        for listener in served(config) {
            let Serves::Clients(serves) = listener.serves else { continue };
            let security = match &listener.security {
                Security::Clear => listen::Security::Clear,
                Security::DangerouslyClear => listen::Security::DangerouslyClearAnywhere,
                Security::Tls(settings) => listen::Security::Tls(self.read(settings)?),
                Security::ClearOrTls(settings) => listen::Security::ClearOrTls(self.read(settings)?),
            };
            listeners.push(listen::Listener { address: listener.address.clone(), serves, security });
        }
        Ok(listeners)
    }

    /// What was read for all of them.
    pub(super) fn opened(self) -> Vec<Arc<Reloading>> {
        self.opened
    }

    /// Reads the files of a listener, once.
    ///
    /// # Errors
    /// Nothing can be served with them.
    pub(super) fn read(&mut self, settings: &tls::Settings) -> Result<Arc<Reloading>, Failure> {
        if let Some(opened) = self.opened.iter().find(|opened| opened.settings() == settings) {
            return Ok(opened.clone());
        }
        self.warn_of_loose_key(&settings.key);
        let mut problems = foreign::check(settings, self.now);
        match Reloading::open(settings.clone()) {
            Ok(loaded) => {
                problems.retain(|problem| !self.said.contains(problem));
                for problem in &problems {
                    tracing::warn!(
                        error = problem.what,
                        hint = problem.hint,
                        "clients will refuse this certificate"
                    );
                }
                self.said.append(&mut problems);
                let loaded = Arc::new(loaded);
                self.opened.push(loaded.clone());
                Ok(loaded)
            }
            Err(error) => {
                let Some(last) = problems.pop() else { return Err(error.into()) };
                for problem in &problems {
                    tracing::error!(error = problem.what, hint = problem.hint, "cannot serve with this file");
                }
                Err(Failure::Certificate(last))
            }
        }
    }

    /// etcd takes a key of any mode, and mounted secrets often have a loose one, so this is no reason not to start.
    fn warn_of_loose_key(&mut self, key: &Source) {
        let Some(mode) = key.mode_if_readable_by_all() else { return };
        let key = key.name();
        if self.loose.contains(&key) {
            return;
        }
        let (mode, hint) = (format!("{mode:04o}"), format!("chmod 600 {key}"));
        tracing::warn!(key, mode, hint, "every user of this machine can read the server's private key");
        self.loose.push(key);
    }
}

/// The addresses of all of them.
pub(super) fn addresses(config: &Config) -> Vec<listen::Address> {
    served(config).map(|listener| listener.address.clone()).collect()
}

fn served(config: &Config) -> impl Iterator<Item = &config::Listener> {
    config.listeners.iter().filter(|listener| listener.serves != Serves::Peers)
}

/// Whether a file of these is the authority's to make.
fn is_made(settings: &tls::Settings, dir: &Path) -> bool {
    lies_in(&settings.certificate, dir) || settings.client_ca.as_ref().is_some_and(|ca| lies_in(ca, dir))
}

fn lies_in(source: &Source, dir: &Path) -> bool {
    matches!(source, Source::File(path) if path.starts_with(dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::testing::{Ca, Good, held};
    use rcgen::ExtendedKeyUsagePurpose;

    fn now() -> WallTime {
        env::Env::real().clock.wall()
    }

    /// A key with a passphrase, the wrong file, a missing one: whoever brought it has to hear which file it is and what to
    /// do, not what a parser made of it.
    #[test]
    fn what_cannot_be_served_is_named_with_its_step() {
        let ca = Ca::new("ca");
        let leaf = ca.server();
        let (certificate, key) = (held("a.crt", &leaf.certificate), held("a.key", &leaf.key));
        let passphrase = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (certificate, key, cause, step) in [
            (&certificate, &held("b.key", passphrase), "b.key: it is encrypted", "openssl pkey"),
            (&key, &key, "a.key: it holds a private key, no certificate", "PEM file of the certificate"),
            (&certificate, &Source::File("/nowhere/c.key".into()), "/nowhere/c.key", "check the path"),
        ] {
            let settings = tls::Settings::new(certificate.clone(), key.clone());
            let failure = Certificates::new(now()).read(&settings).unwrap_err().to_string();
            assert!(failure.contains(cause) && failure.contains(step), "{failure}");
        }
    }

    /// An ended certificate is the operator's to renew, with the member running; it is told, and told once for all listeners.
    #[test]
    fn what_clients_will_refuse_is_served_and_told_once() {
        let ca = Ca::new("ca");
        let leaf = ca.leaf("ended", &["localhost"], ExtendedKeyUsagePurpose::ServerAuth, Good::InThePast);
        let settings = tls::Settings::new(held("a.crt", &leaf.certificate), held("a.key", &leaf.key));
        let mut certificates = Certificates::new(now());
        for other in [None, Some("another listener")] {
            let settings = tls::Settings { client_settings: other, ..settings.clone() };
            assert!(certificates.read(&settings).is_ok());
            let [said] = certificates.said.as_slice() else { panic!("{:?}", certificates.said) };
            assert!(said.what.contains("has ended") && said.hint.contains("renew"), "{said}");
        }
        // The same settings are the same files, judged and exchanged once.
        let shared = [certificates.read(&settings).unwrap(), certificates.read(&settings).unwrap()];
        assert!(Arc::ptr_eq(&shared[0], &shared[1]));
    }
}
