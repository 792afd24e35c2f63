//! The authority on a real disk, with handshakes in memory: who gets in, who does not, and what survives an accident.

use super::made::{OWN, certificate, client_ca, client_crl, key, member_key, peer_ca, recovery_key, root};
use super::*;
use crate::tls::{self, Clients, Source, Version};
use env::WallTime;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use state::pki::{CertificateChange, Kind, Register, Role};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY: u64 = 86_400;

fn now() -> WallTime {
    env::Env::real().clock.wall()
}

fn days_from_now(days: i64) -> WallTime {
    let seconds = i64::try_from(now().unix_seconds()).unwrap() + days * i64::try_from(DAY).unwrap();
    WallTime::from_unix_nanos(u64::try_from(seconds).unwrap() * 1_000_000_000)
}

fn names() -> Vec<String> {
    ["localhost", "127.0.0.1", "::1", "host1"].map(str::to_owned).to_vec()
}

/// A register in memory, with the state machine's own rules.
#[derive(Default)]
pub(crate) struct InMemory(Mutex<Register>);

impl Registry for InMemory {
    fn look(&self, look: &mut dyn FnMut(&Register)) {
        look(&self.0.lock().unwrap());
    }

    fn change(&self, change: CertificateChange) -> Result<(), String> {
        self.0.lock().unwrap().change(change).map_err(|refusal| refusal.to_string())
    }

    fn record(&self, change: CertificateChange) {
        self.change(change).unwrap();
    }
}

struct Made {
    _directory: TempDir,
    dir: PathBuf,
    register: Arc<InMemory>,
}

impl Made {
    fn try_open(&self, names: &[String], at: WallTime) -> Result<(Authority, Vec<Renewed>), Error> {
        let place = Place { dir: &self.dir, member: "host1", names, recovery: None };
        Authority::open(place, self.register.clone(), at)
    }

    fn open(&self, at: WallTime) -> Authority {
        self.try_open(&names(), at).unwrap().0
    }

    fn register(&self) -> Register {
        self.register.0.lock().unwrap().clone()
    }
}

fn place() -> Made {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().join("data-pki");
    Made { _directory: directory, dir, register: Arc::default() }
}

fn made_at(at: WallTime) -> Made {
    let place = place();
    place.open(at);
    place
}

/// A listener's settings with made certificates, as the configuration writes them.
fn server(dir: &Path, role: Role, ca: PathBuf) -> tls::Settings {
    tls::Settings {
        client_ca: Some(Source::File(ca)),
        clients: Clients::Required,
        min_version: Version::Tls12,
        ..tls::Settings::new(Source::File(certificate(dir, role)), Source::File(key(dir, role)))
    }
}

fn chain(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect()
}

fn client(dir: &Path, trusts: &Path, identity: Option<Role>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for ca in chain(trusts) {
        roots.add(ca).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    match identity {
        Some(role) => builder
            .with_client_auth_cert(
                chain(&certificate(dir, role)),
                PrivateKeyDer::from_pem_file(key(dir, role)).unwrap(),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    }
}

/// A handshake in memory; the error of the side that refused.
fn handshake(server: &tls::Settings, client: ClientConfig, name: &str) -> Result<(), String> {
    let mut server = ServerConnection::new(tls::load(server).unwrap().config).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut read = wire.as_slice();
        while !read.is_empty() {
            server.read_tls(&mut read).unwrap();
            server.process_new_packets().map_err(|error| format!("server: {error}"))?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut read = wire.as_slice();
        while !read.is_empty() {
            client.read_tls(&mut read).unwrap();
            client.process_new_packets().map_err(|error| format!("client: {error}"))?;
        }
    }
    if client.is_handshaking() || server.is_handshaking() { Err("not finished".to_owned()) } else { Ok(()) }
}

fn refusal(server: &tls::Settings, client: ClientConfig, name: &str) -> String {
    handshake(server, client, name).expect_err("was let in")
}

/// The first five minutes: a stock client with the root and the administrator's certificate gets in, under every name.
#[test]
fn the_administrator_gets_in() {
    let place = made_at(now());
    let dir = &place.dir;
    let listener = server(dir, Role::Server, client_ca(dir));
    for name in ["localhost", "127.0.0.1", "::1", "host1"] {
        let client = client(dir, &root(dir), Some(Role::Administrator));
        assert_eq!(handshake(&listener, client, name), Ok(()), "{name}");
    }
    let wrong_name = refusal(&listener, client(dir, &root(dir), Some(Role::Administrator)), "elsewhere");
    assert!(wrong_name.contains("not valid for name"), "{wrong_name}");
    let (_, leaf) = X509Certificate::from_der(&chain(&certificate(dir, Role::Administrator))[0])
        .map(|(rest, found)| (rest.len(), found.subject().to_string()))
        .unwrap();
    assert_eq!(leaf, "CN=root");
}

/// etcd's hole: any certificate of the one CA makes a member. Here each listener lets in its own kind only, both ways.
#[test]
fn a_client_is_no_peer_and_a_peer_no_client() {
    let place = made_at(now());
    let dir = &place.dir;
    let peers = server(dir, Role::Peer, peer_ca(dir));
    let clients = server(dir, Role::Server, client_ca(dir));
    let as_peer = |identity| client(dir, &peer_ca(dir), identity);
    assert_eq!(handshake(&peers, as_peer(Some(Role::Peer)), "localhost"), Ok(()));
    for intruder in [Some(Role::Administrator), Some(Role::Server), None] {
        refusal(&peers, as_peer(intruder), "localhost");
    }
    for intruder in [Some(Role::Peer), Some(Role::Server), None] {
        refusal(&clients, client(dir, &root(dir), intruder), "localhost");
    }
    // The anchor is what keeps a client out: below the root it would pass, so this test can fail.
    let anchored_at_root = server(dir, Role::Peer, root(dir));
    assert_eq!(handshake(&anchored_at_root, as_peer(Some(Role::Administrator)), "localhost"), Ok(()));
    // A client's certificate does not pass for a server either.
    let posing = server(dir, Role::Administrator, client_ca(dir));
    refusal(&posing, client(dir, &root(dir), Some(Role::Administrator)), "localhost");
    // A stranger with an authority of its own stays outside.
    let stranger = made_at(now());
    refusal(&clients, client(&stranger.dir, &root(dir), Some(Role::Administrator)), "localhost");
    refusal(&clients, client(dir, &root(&stranger.dir), Some(Role::Administrator)), "localhost");
}

/// The anchor is the issuer; should somebody configure the root instead, the constraints in the certificates still stand.
#[test]
fn certificates_say_what_they_are_for() {
    let place = made_at(now());
    let dir = &place.dir;
    let shown = |path: PathBuf| {
        let der = chain(&path);
        let (_, found) = X509Certificate::from_der(&der[0]).unwrap();
        let basic =
            found.basic_constraints().unwrap().map(|basic| (basic.value.ca, basic.value.path_len_constraint));
        let usages = found
            .extended_key_usage()
            .unwrap()
            .map(|usage| (usage.value.server_auth, usage.value.client_auth));
        let life = found.validity().not_after.timestamp() - found.validity().not_before.timestamp();
        let early = i64::try_from(now().unix_seconds()).unwrap() - found.validity().not_before.timestamp();
        assert!((3_590..3_700).contains(&early), "begins an hour early: {early}");
        assert_eq!(found.public_key().parsed().unwrap().key_size(), 256);
        (basic, usages, life / i64::try_from(DAY).unwrap(), der.len())
    };
    assert_eq!(shown(root(dir)), (Some((true, Some(1))), None, 3650, 1));
    assert_eq!(shown(client_ca(dir)), (Some((true, Some(0))), Some((true, true)), 1825, 1));
    assert_eq!(shown(peer_ca(dir)), (Some((true, Some(0))), Some((true, true)), 1825, 1));
    assert_eq!(shown(certificate(dir, Role::Server)), (Some((false, None)), Some((true, false)), 7, 2));
    assert_eq!(shown(certificate(dir, Role::Peer)), (Some((false, None)), Some((true, true)), 7, 2));
    assert_eq!(
        shown(certificate(dir, Role::Administrator)),
        (Some((false, None)), Some((false, true)), 90, 2)
    );
}

/// Keys are for their owner only, and nothing is left over from making them.
#[test]
fn files_have_their_modes() {
    let place = made_at(now());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&place.dir), 0o700);
    let mut count = 0;
    for entry in fs::read_dir(&place.dir).unwrap() {
        let path = entry.unwrap().path();
        let expected = if path.extension().unwrap() == "key" { 0o600 } else { 0o644 };
        assert_eq!(mode(&path), expected, "{}", path.display());
        count += 1;
    }
    assert_eq!(count, 14, "root, two issuers, two lists, three pairs, three keys");
}

/// A later start finds everything and changes nothing; clients keep what they were given.
#[test]
fn a_later_start_finds_all() {
    let place = made_at(now());
    let read = || -> Vec<_> {
        let mut files: Vec<_> =
            fs::read_dir(&place.dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        // A start signs the revocation lists anew.
        files.retain(|path| path.extension().unwrap() != "crl");
        files.sort();
        files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    };
    let before = read();
    let (_, renewed) = place.try_open(&names(), days_from_now(3)).unwrap();
    assert_eq!(renewed, []);
    assert_eq!(read(), before);
}

/// Leaves are renewed after half of their life, each in its time, with a new key, and the old clients get in.
#[test]
fn leaves_are_renewed_at_half_their_life() {
    let begin = days_from_now(-5);
    let place = place();
    let authority = place.open(begin);
    let half = || {
        let leaf =
            ::certificate::files::certificate(&certificate(&place.dir, Role::Server)).unwrap().unwrap();
        let about = authority::leaf_in(&place.dir, &leaf).unwrap();
        let seconds = u64::try_from(i64::midpoint(about.not_before, about.not_after)).unwrap();
        WallTime::from_unix_nanos(seconds * 1_000_000_000)
    };
    let due = half();
    let days = (due.unix_seconds() - begin.unix_seconds()) / 3600;
    assert!((83..86).contains(&days), "half a week: {days} h");
    let just_before = WallTime::from_unix_nanos(due.unix_nanos() - 1_000_000_000);
    assert_eq!(authority.refresh(just_before).unwrap(), []);
    let old_key = fs::read(key(&place.dir, Role::Server)).unwrap();
    let renewed: Vec<_> = authority.refresh(now()).unwrap().into_iter().map(|renewed| renewed.role).collect();
    assert_eq!(renewed, [Role::Server, Role::Peer]);
    assert_ne!(fs::read(key(&place.dir, Role::Server)).unwrap(), old_key);
    assert!(half() > days_from_now(3));
    let listener = server(&place.dir, Role::Server, client_ca(&place.dir));
    let client = client(&place.dir, &root(&place.dir), Some(Role::Administrator));
    assert_eq!(handshake(&listener, client, "localhost"), Ok(()));
}

/// A member that was off for months starts with new certificates; a certificate that has ended lets nobody in.
#[test]
fn ended_certificates_are_replaced_and_refused() {
    let place = made_at(days_from_now(-100));
    let dir = &place.dir;
    let fresh = made_at(now());
    let listener = server(&fresh.dir, Role::Server, client_ca(dir));
    let ended = refusal(&listener, client(dir, &root(&fresh.dir), Some(Role::Administrator)), "localhost");
    assert!(ended.contains("expired"), "{ended}");
    let problems = foreign::check(&server(dir, Role::Server, client_ca(dir)), now());
    assert!(problems[0].what.contains("has ended on 20"), "{problems:?}");
    let (_, renewed) = place.try_open(&names(), now()).unwrap();
    assert_eq!(renewed.len(), 3);
    let listener = server(dir, Role::Server, client_ca(dir));
    assert_eq!(handshake(&listener, client(dir, &root(dir), Some(Role::Administrator)), "localhost"), Ok(()));
    let error = place.try_open(&names(), days_from_now(5 * 366)).map(drop).unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error}");
}

/// A member whose cluster answers nobody (it was off too long, and the others still are) makes its own certificates all the
/// same, from the copy of the register that it has: a cold start after all of them ended works.
#[test]
fn a_cold_start_asks_nobody() {
    struct Mute(Register);
    impl Registry for Mute {
        fn look(&self, look: &mut dyn FnMut(&Register)) {
            look(&self.0);
        }
        fn change(&self, _: CertificateChange) -> Result<(), String> {
            Err("no quorum".to_owned())
        }
        fn record(&self, _: CertificateChange) {}
    }
    let place = made_at(days_from_now(-100));
    let (dir, names) = (&place.dir, names());
    let at = Place { dir, member: "host1", names: &names, recovery: None };
    let (_, renewed) = Authority::open(at, Arc::new(Mute(place.register())), now()).unwrap();
    assert_eq!(renewed.len(), 3);
    let administrator = client(dir, &root(dir), Some(Role::Administrator));
    assert_eq!(handshake(&server(dir, Role::Server, client_ca(dir)), administrator, "localhost"), Ok(()));
}

/// With the recovery key a member whose own key was lost opens the authority again, and what was sealed to the lost key is
/// forgotten; another cluster's recovery key opens nothing.
#[test]
fn the_recovery_key_opens_the_authority_again() {
    let place = made_at(now());
    let read = |dir: &Path| {
        ::certificate::HolderKey::from_pem(&fs::read_to_string(recovery_key(dir)).unwrap()).unwrap()
    };
    let recovery = read(&place.dir);
    let lost = ::certificate::HolderKey::from_pem(&fs::read_to_string(member_key(&place.dir)).unwrap());
    fs::remove_dir_all(&place.dir).unwrap();
    let foreign = read(&made_at(now()).dir);
    assert!(reopen(&place.dir, "host1", &foreign, &*place.register).is_err());
    reopen(&place.dir, "host1", &recovery, &*place.register).unwrap();
    let authority = place.open(now());
    let made = authority.recover_administrator(now()).unwrap();
    assert_eq!(made.path, certificate(&place.dir, Role::Administrator));
    let register = place.register();
    let lost = lost.unwrap();
    assert!(register.holder(&lost.id()).is_none());
    for each in register.authorities() {
        assert!(lost.open(&each.id, &each.keys).is_err(), "{:?}", each.kind);
    }
    let recorded = register.issued().find(|issued| issued.by.starts_with("pki recover")).unwrap();
    assert_eq!(recorded.role, Role::Administrator);
}

/// A new name, or a renewal that was cut between key and certificate, is put right at the next look.
#[test]
fn new_names_and_interrupted_renewals_are_put_right() {
    let place = made_at(now());
    let dir = &place.dir;
    let mut more = names();
    more.push("db.example".to_owned());
    let (authority, renewed) = place.try_open(&more, now()).unwrap();
    assert_eq!(renewed.iter().map(|renewed| renewed.role).collect::<Vec<_>>(), [Role::Server, Role::Peer]);
    let listener = server(dir, Role::Server, client_ca(dir));
    let admin = || client(dir, &root(dir), Some(Role::Administrator));
    assert_eq!(handshake(&listener, admin(), "db.example"), Ok(()));
    fs::copy(key(dir, Role::Peer), key(dir, Role::Server)).unwrap();
    let renewed = authority.refresh(now()).unwrap();
    assert_eq!(renewed.iter().map(|renewed| renewed.role).collect::<Vec<_>>(), [Role::Server]);
    assert_eq!(handshake(&listener, admin(), "localhost"), Ok(()));
}

/// A first start that was killed anywhere goes on where it stopped, whatever file was the last one written; so does a start
/// whose copies were lost: the register has them.
#[test]
fn an_interrupted_first_start_goes_on() {
    let order = [
        "root.crt",
        "clients.crt",
        "peers.crt",
        "clients.crl",
        "peers.crl",
        "server.key",
        "server.crt",
        "peer.key",
        "peer.crt",
        "administrator.key",
        "administrator.crt",
    ];
    for kept in 0..=order.len() {
        let place = made_at(now());
        for name in &order[kept..] {
            fs::remove_file(place.dir.join(name)).unwrap();
        }
        fs::write(place.dir.join("server.crt.new"), "half").unwrap();
        let authority = place.open(now());
        let dir = authority.dir();
        let client = client(dir, &root(dir), Some(Role::Administrator));
        assert_eq!(
            handshake(&server(dir, Role::Server, client_ca(dir)), client, "localhost"),
            Ok(()),
            "{kept}"
        );
    }
    let before = place();
    fs::create_dir(&before.dir).unwrap();
    chmod(&before.dir, 0o700);
    let interrupted = made_at(now());
    for name in ["member.key", "recovery.key"] {
        fs::copy(interrupted.dir.join(name), before.dir.join(name)).unwrap();
    }
    before.open(now());
    let kept = fs::read(recovery_key(&before.dir)).unwrap();
    assert_eq!(kept, fs::read(recovery_key(&interrupted.dir)).unwrap(), "the keys of the first try are used");
}

/// The root's key is written nowhere but sealed to the recovery key, and the issuers' nowhere in clear: neither the directory
/// nor the register gives a thief an authority.
#[test]
fn no_authoritys_key_lies_open() {
    let place = made_at(now());
    let register = place.register();
    let recovery = ::certificate::HolderKey::from_pem(&fs::read_to_string(recovery_key(&place.dir)).unwrap());
    let recovery = recovery.unwrap();
    let member = ::certificate::HolderKey::from_pem(&fs::read_to_string(member_key(&place.dir)).unwrap());
    let member = member.unwrap();
    let root = register.current(Kind::Root).unwrap();
    let opened = recovery.open(&root.id, &root.keys).unwrap();
    assert!(member.open(&root.id, &root.keys).is_err(), "no member opens the root's key");
    let clients = register.current(Kind::Clients).unwrap();
    let issuer = member.open(&clients.id, &clients.keys).unwrap();
    assert_eq!(*recovery.open(&clients.id, &clients.keys).unwrap(), *issuer);
    let needles = [opened, issuer].map(|key| {
        // The private number, as it stands in PKCS #8.
        let at = key.windows(2).position(|pair| pair == [0x04, 0x20]).unwrap() + 2;
        (
            key[at..at + 32].to_vec(),
            ::certificate::pem::text("X", &key[at..at + 32]).lines().nth(1).unwrap().to_owned(),
        )
    });
    for entry in fs::read_dir(&place.dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for (raw, text) in &needles {
            let there = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!there(raw) && !there(&text.as_bytes()[..20]), "{}", path.display());
        }
    }
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let all: Vec<_> = fs::read_dir(&place.dir).unwrap().map(|entry| name(entry.unwrap().path())).collect();
    assert!(
        !all.iter().any(|name| ["root.key", "clients.key", "peers.key"].contains(&name.as_str())),
        "{all:?}"
    );
}

/// Who keeps the recovery key elsewhere gives its public half, and none is made here.
#[test]
fn the_recovery_key_may_be_brought() {
    let place = place();
    let key = ::certificate::HolderKey::generate().unwrap();
    let recovery = Some(key.holder("recovery", true));
    let at = Place { dir: &place.dir, member: "host1", names: &names(), recovery };
    Authority::open(at, place.register.clone(), now()).unwrap();
    assert!(!recovery_key(&place.dir).exists());
    let register = place.register();
    let root = register.current(Kind::Root).unwrap();
    assert!(key.open(&root.id, &root.keys).is_ok() && root.keys.len() == 1);
}

/// A member whose key was lost says so and names the way out; a directory of another authority is never written over, since
/// every client would be locked out.
#[test]
fn lost_keys_and_other_authorities_are_told() {
    let place = made_at(now());
    fs::remove_file(member_key(&place.dir)).unwrap();
    let error = place.try_open(&names(), now()).map(drop).unwrap_err();
    assert!(matches!(error, Error::Sealed { .. }) && error.hint().contains("pki recover"), "{error}");
    let elsewhere = made_at(now());
    let before = fs::read(root(&elsewhere.dir)).unwrap();
    let emptied = Made { register: Arc::default(), ..elsewhere };
    let error = emptied.try_open(&names(), now()).map(drop).unwrap_err();
    assert!(matches!(error, Error::Stranded { .. }) && error.hint().contains("root.crt"), "{error}");
    assert_eq!(fs::read(root(&emptied.dir)).unwrap(), before);
}

/// An authority whose keys lay in the directory as they are, as the first version left it, is taken over: its clients go on,
/// and the open keys are gone.
#[test]
fn an_authority_with_open_keys_is_taken_over() {
    use ::certificate::{files, issuer, pem, root as new_root};
    let place = place();
    files::directory(&place.dir).unwrap();
    let made_root = new_root(now()).unwrap();
    let by = made_root.signer().unwrap();
    let both = [issuer(Kind::Clients, &by, now()).unwrap(), issuer(Kind::Peers, &by, now()).unwrap()];
    for (made, name) in [&made_root, &both[0], &both[1]].into_iter().zip(["root", "clients", "peers"]) {
        let path = place.dir.join(name);
        files::write(&path.with_extension("key"), &made.key.to_pem(), 0o600).unwrap();
        files::write(&path.with_extension("crt"), &pem::certificates([&made.certificate[..]]), 0o644)
            .unwrap();
    }
    let before = fs::read(client_ca(&place.dir)).unwrap();
    place.open(now());
    assert_eq!(fs::read(client_ca(&place.dir)).unwrap(), before);
    for name in ["root.key", "clients.key", "peers.key"] {
        assert!(!place.dir.join(name).exists(), "{name}");
    }
    let dir = &place.dir;
    let administrator = client(dir, &root(dir), Some(Role::Administrator));
    assert_eq!(handshake(&server(dir, Role::Server, client_ca(dir)), administrator, "localhost"), Ok(()));
}

/// What is revoked stands in the list beside the issuer at the next look, and the handshake refuses it; the member's own
/// certificate is made anew when it is revoked.
#[test]
fn what_is_revoked_is_listed_and_refused() {
    let place = made_at(now());
    let authority = place.open(now());
    let dir = &place.dir;
    let listener = || tls::Settings {
        crl: Some(Source::File(client_crl(dir))),
        ..server(dir, Role::Server, client_ca(dir))
    };
    let administrator = || client(dir, &root(dir), Some(Role::Administrator));
    assert_eq!(handshake(&listener(), administrator(), "localhost"), Ok(()));
    let old = administrator();
    let register = place.register();
    let serial_of = |role| register.issued().find(|issued| issued.role == role).unwrap().serial.clone();
    let revoke = |serial| CertificateChange::Revoke { serial, now: now().unix_seconds() };
    place.register.change(revoke(serial_of(Role::Administrator))).unwrap();
    let renewed: Vec<_> = authority.refresh(now()).unwrap().into_iter().map(|renewed| renewed.role).collect();
    assert_eq!(renewed, [Role::Administrator]);
    let error = refusal(&listener(), old, "localhost");
    assert!(error.to_lowercase().contains("revoked"), "{error}");
    assert_eq!(handshake(&listener(), administrator(), "localhost"), Ok(()), "the new one is good");
}

/// The register knows every certificate that was made: whoever holds one can be found and revoked.
#[test]
fn every_certificate_is_in_the_register() {
    let place = made_at(now());
    let register = place.register();
    for role in OWN {
        let on_disk = fs::read_to_string(certificate(&place.dir, role)).unwrap();
        let der = ::certificate::pem::read_certificates(&on_disk).unwrap();
        let about = ::certificate::About::of(&der[0]).unwrap();
        let issued = register.certificate(&about.serial).unwrap();
        assert_eq!((issued.role, issued.by.as_str()), (role, "member host1"));
    }
}

/// Loose modes, damage and mixed-up files are refused with the file's name and the way out.
#[test]
fn bad_files_are_named_with_the_way_out() {
    type Case = (&'static str, fn(&Path), &'static str, &'static str);
    let spoil: [Case; 7] = [
        ("member.key", |path| chmod(path, 0o640), "mode 0640", "chmod 600"),
        ("server.key", |path| chmod(path, 0o604), "mode 0604", "chmod 600"),
        (".", |path| chmod(path, 0o755), "mode 0755", "chmod 700"),
        ("server.crt", |path| fs::write(path, "nonsense").unwrap(), "it is not PEM", "remove it"),
        ("server.crt", |path| fs::write(path, "").unwrap(), "it is empty", "remove it"),
        (
            "server.key",
            |path| fs::write(path, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap(),
            "passphrase",
            "remove it",
        ),
        (
            "member.key",
            |path| {
                fs::copy(path.with_file_name("peer.key"), path).unwrap();
            },
            "no key of X25519",
            "from a copy",
        ),
    ];
    for (name, spoil, what, hint) in spoil {
        let place = made_at(now());
        spoil(&place.dir.join(name));
        let error = place.try_open(&names(), now()).map(drop).unwrap_err();
        assert!(error.to_string().contains(what), "{name}: {error}");
        assert!(error.hint().contains(hint), "{name}: {}", error.hint());
    }
    let place = place();
    let bad_name = place.try_open(&["höst".to_owned()], now()).map(drop).unwrap_err();
    assert!(matches!(bad_name, Error::Name { .. }), "{bad_name}");
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Files that people bring are looked at before a listener fails on them: each mistake has its cause and its step.
#[test]
fn foreign_files_are_explained() {
    let place = made_at(now());
    let dir = &place.dir;
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let good = |role| (certificate(dir, role), key(dir, role));
    let (server_crt, server_key) = good(Role::Server);
    let encrypted = write(
        "encrypted.pem",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    let request = write(
        "request.pem",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
    );
    for (certificate, key, ca, what) in [
        (&server_crt, &server_key, client_ca(dir), None),
        (&dir.join("nowhere"), &server_key, client_ca(dir), Some("no such file or directory")),
        (&server_key, &server_key, client_ca(dir), Some("it holds a private key, no certificate")),
        (&request, &server_key, client_ca(dir), Some("certificate request")),
        (&server_crt, &server_crt, client_ca(dir), Some("it holds a certificate, no private key")),
        (&server_crt, &encrypted, client_ca(dir), Some("passphrase")),
        (&server_crt, &key(dir, Role::Peer), client_ca(dir), Some("does not belong to certificate")),
        (&server_crt, &server_key, server_key.clone(), Some("client CA")),
        (
            &certificate(dir, Role::Administrator),
            &key(dir, Role::Administrator),
            client_ca(dir),
            Some("carries no names"),
        ),
    ] {
        let settings = tls::Settings {
            client_ca: Some(Source::File(ca)),
            ..tls::Settings::new(Source::File(certificate.clone()), Source::File(key.clone()))
        };
        let problems = foreign::check(&settings, now());
        match what {
            None => assert_eq!(problems, []),
            Some(what) => {
                assert!(problems.len() == 1 && problems[0].what.contains(what), "{what}: {problems:?}");
                assert!(!problems[0].what.contains("AAAA"), "no content of a key in a message");
            }
        }
    }
    let early = foreign::check(&server(dir, Role::Server, client_ca(dir)), days_from_now(-1));
    assert!(early[0].what.contains("begins on"), "{early:?}");
}

/// `eval "$(strongroom env)"` must survive any path: what sh makes of the lines is what was meant.
#[test]
fn sh_reads_the_environment_back() {
    let odd = Path::new("/tmp/it's a $(dir) `x`/\"pki\"");
    let client = Client::administrator(&["https://127.0.0.1:2379".into(), "https://[::1]:2379".into()], odd);
    let script = format!(
        "ETCDCTL_API=2\n{}printf '%s\\n' \"$ETCDCTL_ENDPOINTS\" \"$ETCDCTL_CACERT\" \"$ETCDCTL_CERT\" \"$ETCDCTL_KEY\"",
        env_lines(&client)
    );
    let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
    let lines: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().map(str::to_owned).collect();
    let path = |path: PathBuf| path.display().to_string();
    assert_eq!(
        lines,
        [
            "https://127.0.0.1:2379,https://[::1]:2379".to_owned(),
            path(root(odd)),
            path(certificate(odd, Role::Administrator)),
            path(key(odd, Role::Administrator)),
        ]
    );
    let clear = env_lines(&Client { endpoints: vec!["http://127.0.0.1:2379".into()], ..Client::default() });
    assert!(
        clear.contains("export ETCDCTL_ENDPOINTS=http://127.0.0.1:2379\nunset ETCDCTL_CACERT\n"),
        "{clear}"
    );
}
