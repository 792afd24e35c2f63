//! The cluster's authority in a running member: its register read and changed through the member, its files kept up to it.
//!
//! Owns when that is done: before anybody is served, whenever the register changes, and each minute for what gets old.

use super::{Failure, carry_out, propose};
use crate::config::Config;
use crate::listen::Running;
use crate::pki::{Authority, Error, Place, Registry, Renewed};
use ::certificate::{HolderKey, public_key_from_pem};
use env::{Clock, Env};
use node::Member;
use state::Command;
use state::pki::{CertificateChange, Holder, Register};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Notify;

/// The register of a running member.
pub(crate) struct RegisterOfMember(pub(crate) Member);

impl Registry for RegisterOfMember {
    fn look(&self, look: &mut dyn FnMut(&Register)) {
        self.0.look_at_certificates(look);
    }

    fn change(&self, change: CertificateChange) -> Result<(), String> {
        carry_out(&self.0, Command::Certificates(change))?.map_err(|refusal| refusal.to_string())
    }

    fn record(&self, change: CertificateChange) {
        let tell = |why: String| {
            tracing::warn!(
                error = why,
                hint = "it is good all the same, and missing in strongroom pki list",
                "a certificate was made and could not be recorded"
            );
        };
        let done = propose(&self.0, Command::Certificates(change), move |done| match done {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => tell(refusal.to_string()),
            Err(why) => tell(why),
        });
        if let Err(why) = done {
            tell(why);
        }
    }
}

/// What a recovery made.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The administrator's certificate.
    pub administrator: Renewed,
    /// Where all certificates lie.
    pub dir: std::path::PathBuf,
}

/// Makes an administrator's certificate on a member that is started for it and serves nobody; with the recovery key the
/// authority is opened again for a member whose own key was lost. It is in the register, with who made it.
///
/// # Errors
/// [`Failure`], naming the file.
pub fn recover(config: &Config, env: &Env, recovery: Option<&Path>) -> Result<Recovered, Failure> {
    let key = recovery.map(key_of).transpose()?;
    let data = super::data::open(config, env)?;
    let settings = super::node_settings(config, data.peer_urls, data.mark);
    let member = node::start(settings, env, &data.dir, Box::new(|_| {}))?;
    let name = name_of(config, &member);
    let registry = Arc::new(RegisterOfMember(member.clone()));
    let dir = config.pki.dir.clone();
    let recovered = (|| -> Result<Renewed, Error> {
        if let Some(key) = &key {
            crate::pki::reopen(&dir, &name, key, &*registry)?;
        }
        let place = Place { dir: &dir, member: &name, names: &config.pki.names, recovery: None };
        let (authority, _) = Authority::open(place, registry.clone(), env.clock.wall())?;
        authority.recover_administrator(env.clock.wall())
    })();
    member.stop();
    Ok(Recovered { administrator: recovered?, dir: config.pki.dir.clone() })
}

/// The member's name, as the cluster knows it.
fn name_of(config: &Config, member: &Member) -> String {
    member.name().unwrap_or_else(|| config.name.clone())
}

fn key_of(path: &Path) -> Result<HolderKey, Error> {
    let broken = |why: String| Error::Broken {
        path: path.to_owned(),
        what: "recovery key",
        why,
        hint: "name the recovery key of this cluster",
    };
    let text = ::certificate::files::key(path)?.ok_or_else(|| broken("it is not there".to_owned()))?;
    HolderKey::from_pem(&text).map_err(broken)
}

/// Keeps the authority's files up to the register, and the listeners up to the files.
pub(super) struct Keeper {
    authority: Option<Arc<Authority>>,
    changed: Arc<Notify>,
    clock: Arc<dyn Clock>,
}

impl Keeper {
    /// Finds or makes the authority, where a listener uses its certificates; what is due is renewed.
    ///
    /// # Errors
    /// [`Failure`], naming the file.
    pub(super) fn start(config: &Config, env: &Env, member: &Member) -> Result<Self, Failure> {
        let (changed, clock) = (Arc::new(Notify::new()), env.clock.clone());
        if !config.pki.needed {
            return Ok(Self { authority: None, changed, clock });
        }
        let name = name_of(config, member);
        let place = Place {
            dir: &config.pki.dir,
            member: &name,
            names: &config.pki.names,
            recovery: config.pki.recovery.as_deref().map(recipient).transpose()?,
        };
        let (authority, renewed) =
            Authority::open(place, Arc::new(RegisterOfMember(member.clone())), clock.wall())?;
        renewed.iter().for_each(tell_renewed);
        authority.notes(clock.wall())?.iter().for_each(super::tell);
        let notify = changed.clone();
        member.on_certificate_change(move || notify.notify_one());
        Ok(Self { authority: Some(Arc::new(authority)), changed, clock })
    }

    /// The authority, for whoever answers requests about it.
    pub(super) fn authority(&self) -> Option<Arc<Authority>> {
        self.authority.clone()
    }

    /// Waits until the register has changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Brings files and listeners up to the register; connections whose certificates are not good any more are cut.
    pub(super) fn refresh(&self, running: &Running) {
        let Some(authority) = &self.authority else { return };
        match authority.refresh(self.clock.wall()) {
            Ok(renewed) => renewed.iter().for_each(tell_renewed),
            Err(error) => {
                tracing::error!(%error, hint = error.hint(), "cannot bring the certificates up to the register");
            }
        }
        super::reload(running, super::Asked::ByItself);
    }
}

fn tell_renewed(renewed: &Renewed) {
    let (certificate, not_after) = (renewed.path.display(), renewed.ends());
    tracing::info!(%certificate, not_after, "made a certificate");
}

/// To whom the root's key is sealed, from the file that the settings name.
fn recipient(path: &Path) -> Result<Holder, Error> {
    let broken = |why: String| Error::Broken {
        path: path.to_owned(),
        what: "public key",
        why,
        hint: "give the public half of a key of X25519: openssl genpkey -algorithm X25519 -out recovery.key; openssl pkey -in recovery.key -pubout",
    };
    let text =
        ::certificate::files::certificate(path)?.ok_or_else(|| broken("it is not there".to_owned()))?;
    public_key_from_pem(&text, "recovery").map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::testing::*;
    use crate::pki::{made, tests::InMemory};
    use crate::tls::{Clients, Settings, Source};
    use env::WallTime;
    use env::sim::SimClock;
    use state::pki::Role;
    use std::path::PathBuf;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(86_400);

    fn text(path: PathBuf) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    async fn shown(client: &Client<'_>, server: &Server) -> Vec<u8> {
        let stream = client.connect(server).await.0.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    /// A member that runs for months must not end with its first certificates: past half of their life it shows others, without
    /// a restart, and a connection that was made with the old ones goes on.
    #[test]
    fn a_running_member_shows_what_it_renewed_and_cuts_nobody() {
        block_on(async {
            let real = Env::real().clock.wall().unix_nanos();
            let clock = SimClock::new();
            // The client lives now, so the member begins in the past: its leaves of seven days end in three.
            clock.set_wall(WallTime::from_unix_nanos(real - 4 * u64::try_from(DAY.as_nanos()).unwrap()));
            let directory = tempfile::tempdir().unwrap();
            let dir = directory.path().join("pki");
            let names = ["localhost".to_owned()];
            let place = Place { dir: &dir, member: "one", names: &names, recovery: None };
            let (authority, _) = Authority::open(place, Arc::new(InMemory::default()), clock.wall()).unwrap();
            let keeper = Keeper {
                authority: Some(Arc::new(authority)),
                changed: Arc::default(),
                clock: Arc::new(clock.clone()),
            };
            let (certificate, key) = (made::certificate(&dir, Role::Server), made::key(&dir, Role::Server));
            let server = Plan::tls(Settings {
                client_ca: Some(Source::File(made::client_ca(&dir))),
                clients: Clients::Explained,
                ..Settings::new(Source::File(certificate), Source::File(key))
            })
            .start();
            let root = Ca { pem: text(made::root(&dir)), ..Ca::new("the root has another key") };
            let administrator = Leaf {
                certificate: text(made::certificate(&dir, Role::Administrator)),
                key: text(made::key(&dir, Role::Administrator)),
                serial: Vec::new(),
            };
            let client = Client::new(&root, Some(administrator));
            let mut sender = http2(client.connect(&server).await.0.unwrap()).await;
            assert_eq!(call(&mut sender, range("a")).await.unwrap().code, 0);
            let first = shown(&client, &server).await;

            let running = server.running.as_ref().unwrap();
            clock.advance(3 * DAY);
            keeper.refresh(running);
            assert_eq!(shown(&client, &server).await, first, "half of the life is not over");
            clock.advance(DAY);
            keeper.refresh(running);
            assert_ne!(shown(&client, &server).await, first);
            assert_eq!(call(&mut sender, range("a")).await.unwrap().code, 0, "the old connection goes on");
            assert_eq!(server.metrics.connections_cut.sum(), 0);
        });
    }
}
