//! The authority on a real disk, with handshakes in memory: who gets in, who does not, and what survives an accident.

use super::made::{Role, certificate, client_ca, key, peer_ca, root};
use super::*;
use crate::tls::{self, Clients, Source, Version};
use env::WallTime;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

struct Place {
    _directory: TempDir,
    dir: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().join("data-pki");
    Place { _directory: directory, dir }
}

fn open(dir: &Path, at: WallTime) -> Authority {
    Authority::open(dir, "host1", &names(), at).unwrap().0
}

fn made_at(at: WallTime) -> Place {
    let place = place();
    open(&place.dir, at);
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
    assert_eq!(count, 12);
}

/// A later start finds everything and changes nothing; clients keep what they were given.
#[test]
fn a_later_start_finds_all() {
    let place = made_at(now());
    let read = || -> Vec<_> {
        let mut files: Vec<_> =
            fs::read_dir(&place.dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    };
    let before = read();
    let (_, renewed) = Authority::open(&place.dir, "host1", &names(), days_from_now(4)).unwrap();
    assert_eq!(renewed, []);
    assert_eq!(read(), before);
}

/// Leaves are renewed after two thirds of their life, each in its time, with a new key, and the old clients get in.
#[test]
fn leaves_are_renewed_after_two_thirds() {
    let begin = days_from_now(-5);
    let place = place();
    let authority = open(&place.dir, begin);
    let due = authority.next_due().unwrap();
    let days = (due.unix_seconds() - begin.unix_seconds()) / 3600;
    assert!((110..113).contains(&days), "two thirds of a week and an hour: {days} h");
    let just_before = WallTime::from_unix_nanos(due.unix_nanos() - 1_000_000_000);
    assert_eq!(authority.renew_if_due(just_before).unwrap(), []);
    let old_key = fs::read(key(&place.dir, Role::Server)).unwrap();
    let renewed: Vec<_> =
        authority.renew_if_due(now()).unwrap().into_iter().map(|renewed| renewed.role).collect();
    assert_eq!(renewed, [Role::Server, Role::Peer]);
    assert_ne!(fs::read(key(&place.dir, Role::Server)).unwrap(), old_key);
    assert!(authority.next_due().unwrap() > days_from_now(4));
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
    let (_, renewed) = Authority::open(dir, "host1", &names(), now()).unwrap();
    assert_eq!(renewed.len(), 3);
    let listener = server(dir, Role::Server, client_ca(dir));
    assert_eq!(handshake(&listener, client(dir, &root(dir), Some(Role::Administrator)), "localhost"), Ok(()));
    let error = Authority::open(dir, "host1", &names(), days_from_now(5 * 366)).unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error}");
}

/// A new name, or a renewal that was cut between key and certificate, is put right at the next look.
#[test]
fn new_names_and_interrupted_renewals_are_put_right() {
    let place = made_at(now());
    let dir = &place.dir;
    let mut more = names();
    more.push("db.example".to_owned());
    let (authority, renewed) = Authority::open(dir, "host1", &more, now()).unwrap();
    assert_eq!(renewed.iter().map(|renewed| renewed.role).collect::<Vec<_>>(), [Role::Server, Role::Peer]);
    let listener = server(dir, Role::Server, client_ca(dir));
    let admin = || client(dir, &root(dir), Some(Role::Administrator));
    assert_eq!(handshake(&listener, admin(), "db.example"), Ok(()));
    fs::copy(key(dir, Role::Peer), key(dir, Role::Server)).unwrap();
    let renewed = authority.renew_if_due(now()).unwrap();
    assert_eq!(renewed.iter().map(|renewed| renewed.role).collect::<Vec<_>>(), [Role::Server]);
    assert_eq!(handshake(&listener, admin(), "localhost"), Ok(()));
}

/// A first start that was killed anywhere goes on where it stopped: whatever file was the last one written.
#[test]
fn an_interrupted_first_start_goes_on() {
    let order = [
        "root.key",
        "root.crt",
        "clients.key",
        "clients.crt",
        "peers.key",
        "peers.crt",
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
        let authority = open(&place.dir, now());
        let dir = authority.dir();
        let client = client(dir, &root(dir), Some(Role::Administrator));
        assert_eq!(
            handshake(&server(dir, Role::Server, client_ca(dir)), client, "localhost"),
            Ok(()),
            "{kept}"
        );
    }
}

/// The root's key may be taken offline: starts and renewals go on without it, and only a lost issuer asks for it.
#[test]
fn the_root_key_may_be_offline() {
    let place = made_at(days_from_now(-6));
    let authority = open(&place.dir, days_from_now(-6));
    fs::remove_file(authority.root_key()).unwrap();
    assert_eq!(authority.renew_if_due(now()).unwrap().len(), 2);
    open(&place.dir, now());
    fs::remove_file(peer_ca(&place.dir)).unwrap();
    let error = Authority::open(&place.dir, "host1", &names(), now()).unwrap_err();
    assert!(error.to_string().contains("root.key, which makes it, is not there"), "{error}");
    fs::remove_file(root(&place.dir)).unwrap();
    let error = Authority::open(&place.dir, "host1", &names(), now()).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "a new root would lock every client out: {error}");
}

/// Issuers are renewed while they are good, under the same key: what they issued stays good, and clients notice nothing.
#[test]
fn issuers_are_renewed_under_the_same_key() {
    let four_years = -4 * 365;
    let place = made_at(days_from_now(four_years));
    let dir = &place.dir;
    let (old_key, old) = (fs::read(dir.join("clients.key")).unwrap(), fs::read(client_ca(dir)).unwrap());
    let offline = dir.join("offline.key");
    fs::rename(dir.join("root.key"), &offline).unwrap();
    let authority = open(dir, now());
    assert_eq!(fs::read(client_ca(dir)).unwrap(), old, "without the root's key it stays");
    assert_eq!(authority.notes(now()).unwrap().len(), 2, "and a note says so");
    let listener = server(dir, Role::Server, client_ca(dir));
    fs::rename(&offline, dir.join("root.key")).unwrap();
    let administrator = client(dir, &root(dir), Some(Role::Administrator));
    fs::remove_file(certificate(dir, Role::Server)).unwrap();
    let authority = open(dir, now());
    assert_eq!(authority.notes(now()).unwrap(), []);
    assert_ne!(fs::read(client_ca(dir)).unwrap(), old);
    assert_eq!(fs::read(dir.join("clients.key")).unwrap(), old_key);
    assert_eq!(handshake(&listener, administrator, "localhost"), Ok(()), "issued before, good after");
}

/// Loose modes, damage and mixed-up files are refused with the file's name and the way out.
#[test]
fn bad_files_are_named_with_the_way_out() {
    type Case = (&'static str, fn(&Path), &'static str, &'static str);
    let spoil: [Case; 7] = [
        ("root.key", |path| chmod(path, 0o640), "mode 0640", "chmod 600"),
        ("server.key", |path| chmod(path, 0o604), "mode 0604", "chmod 600"),
        (".", |path| chmod(path, 0o755), "mode 0755", "chmod 700"),
        ("server.crt", |path| fs::write(path, "nonsense").unwrap(), "it is not PEM", "remove it"),
        ("clients.crt", |path| fs::write(path, "").unwrap(), "it is empty", "from a copy"),
        (
            "server.key",
            |path| fs::write(path, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap(),
            "passphrase",
            "remove it",
        ),
        (
            "clients.key",
            |path| {
                fs::copy(path.with_file_name("peers.key"), path).unwrap();
            },
            "does not belong to",
            "from a copy",
        ),
    ];
    for (name, spoil, what, hint) in spoil {
        let place = made_at(now());
        spoil(&place.dir.join(name));
        let error = Authority::open(&place.dir, "host1", &names(), now()).unwrap_err();
        assert!(error.to_string().contains(what), "{name}: {error}");
        assert!(error.hint().contains(hint), "{name}: {}", error.hint());
    }
    let place = place();
    let bad_name = Authority::open(&place.dir, "host1", &["höst".to_owned()], now()).unwrap_err();
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
