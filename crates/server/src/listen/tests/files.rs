//! The files of a listener as other programs write them: seen without a signal, taken whole or not at all, and told once.

use crate::listen::testing::*;
use crate::listen::tests::written;
use crate::tls::{Clients, Settings, Source};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

/// The file settings of a directory as a mounted secret has it: every name leads through `..data`.
fn mounted(directory: &Path, leaf: &Leaf, ca: &Ca, version: &str) -> Settings {
    std::fs::create_dir(directory.join(version)).unwrap();
    written(&directory.join(version), leaf, ca);
    symlink(version, directory.join("..new")).unwrap();
    std::fs::rename(directory.join("..new"), directory.join("..data")).unwrap();
    for name in ["tls.crt", "tls.key", "ca.crt"] {
        let _ = symlink(Path::new("..data").join(name), directory.join(name));
    }
    let file = |name: &str| Source::File(directory.join(name));
    Settings {
        client_ca: Some(file("ca.crt")),
        clients: Clients::Required,
        ..Settings::new(file("tls.crt"), file("tls.key"))
    }
}

async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come");
}

fn quick(settings: Settings) -> Plan {
    let mut plan = Plan::tls(settings);
    plan.limits.reload_interval = Duration::from_millis(20);
    plan
}

/// cert-manager's certificates reach a pod as a secret, whose files change together when the link `..data` is turned: name, size
/// and even time of a file may stay as they were. The new set is in force, and the old CA's connections are gone.
#[test]
fn a_turned_link_is_seen() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (Ca::new("old"), Ca::new("new"));
        let server = quick(mounted(directory.path(), &old.server(), &old, "..1")).start();
        let client = Client::new(&old, Some(old.client("x", Good::Now)));
        let mut standing = http2(client.connect(&server).await.0.unwrap()).await;
        assert_eq!(call(&mut standing, range("a")).await.unwrap().code, 0);
        mounted(directory.path(), &new.server(), &new, "..2");
        let client = Client::new(&new, Some(new.client("x", Good::Now)));
        until(async || client.connect(&server).await.0.is_ok()).await;
        until(async || call(&mut standing, range("a")).await.is_err()).await;
        assert_eq!(server.metrics.certificates_refused.value(), 0);
    });
}

/// kubeadm writes certificate and key over the old ones, one after the other. Between the two nothing fits: the old set serves,
/// and nobody is told of it, however often it is looked. What stays wrong is told once, and shows in a metric until it is mended.
#[test]
fn files_written_over_in_place_are_taken_when_they_fit() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let ca = Ca::new("ca");
        let server = quick(written(directory.path(), &ca.server(), &ca)).start();
        let client = Client::new(&ca, Some(ca.client("x", Good::Now)));
        let renewed = ca.server();
        let path = |name: &str| directory.path().join(name);
        let mine = path("tls.crt").display().to_string();
        let said = || lines_with(&["the files on disk are refused", &mine]);
        std::fs::write(path("tls.crt"), &renewed.certificate).unwrap();
        until(async || !said().is_empty()).await;
        let line: serde_json::Value = serde_json::from_str(&said()[0]).unwrap();
        assert!(line["error"].as_str().unwrap().contains("does not belong to certificate"), "{line}");
        assert!(line["hint"].as_str().unwrap().contains("renewed together"), "{line}");
        assert_eq!(server.metrics.certificates_refused.value(), 1);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(said().len(), 1, "once, not at every look");
        assert_eq!(client.http(&server, "/health").await.status, 200, "the old set serves");
        std::fs::write(path("tls.key"), &renewed.key).unwrap();
        until(async || server.metrics.certificates_refused.value() == 0).await;
        assert_eq!(server.metrics.certificate_reloads.with(["replaced"]).value(), 1);
        assert_eq!(server.metrics.certificate_reloads.with(["refused"]).value(), 1);
        assert_eq!(client.http(&server, "/health").await.status, 200);
    });
}

/// Whatever lies where a file should, the old set serves: a pipe nobody writes to, a directory, a file without an end.
#[test]
fn odd_files_hang_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ca = Ca::new("ca");
    let tls = crate::tls::Reloading::open(written(directory.path(), &ca.server(), &ca)).unwrap();
    let crt = directory.path().join("tls.crt");
    let odd: [&dyn Fn(); 4] = [
        &|| std::fs::create_dir(&crt).unwrap(),
        &|| symlink("/dev/zero", &crt).unwrap(),
        &|| symlink("tls.crt", &crt).unwrap(),
        &|| {
            let file = std::fs::File::create(&crt).unwrap();
            file.set_len(types::limits::CERTIFICATE_FILE_BYTES_MAX + 1).unwrap();
        },
    ];
    for make in odd {
        let _ = std::fs::remove_file(&crt);
        make();
        let error = tls.reload().unwrap_err();
        assert!(error.to_string().contains("tls.crt") && !error.hint().is_empty(), "{error}");
        let _ = std::fs::remove_dir(&crt);
    }
    let serves = rustls::ServerConnection::new(tls.current().config.clone());
    assert!(serves.is_ok(), "the old set serves");
}

/// What is left of each certificate, CA and list stands in the metrics of its listener, and what is near its end in the log, with
/// what to do, also if somebody else made it: an end that nobody sees coming takes the cluster down.
#[test]
fn ends_are_shown_and_told() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let ca = Ca::new("the ca");
        let now = i64::try_from(rustls::pki_types::UnixTime::now().as_secs()).unwrap();
        let day = 24 * 60 * 60;
        let leaf = ca.made("server", |params| {
            let moment = |at| time::OffsetDateTime::from_unix_timestamp(at).unwrap();
            params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().unwrap())];
            (params.not_before, params.not_after) = (moment(now - 360 * day), moment(now + 5 * day));
        });
        let settings = written(directory.path(), &leaf, &ca);
        let crl = Source::File(directory.path().join("list.crl"));
        std::fs::write(directory.path().join("list.crl"), ca.list(1, &[], 2025).pem().unwrap()).unwrap();
        let manner = crate::tls::Manner::AsEtcd;
        let server = quick(Settings { crl: Some(crl), manner, ..settings }).start();
        let client = Client::new(&ca, Some(ca.client("x", Good::Now)));
        let text = client.http(&server, "/metrics").await.body;
        let left = |kind: &str, name: &str| {
            let (listener, family) = (&server.address, "strongroom_certificate_expires_in_seconds");
            let labels = format!("{family}{{kind=\"{kind}\",listener=\"{listener}\",name=\"{name}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&labels));
            line.unwrap_or_else(|| panic!("no {labels} in {text}")).parse::<f64>().unwrap()
        };
        let crt = directory.path().join("tls.crt").display().to_string();
        assert!((left("serving", &crt) - 5.0 * 86_400.0).abs() < 60.0);
        assert!(left("client_ca", "CN=the ca") > 86_400.0);
        assert!(left("revocation_list", "CN=the ca") < 0.0, "stale");
        until(async || !lines_with(&["ends soon", &crt]).is_empty()).await;
        until(async || !lines_with(&["is stale; it stays in force", "CN=the ca"]).is_empty()).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let said = lines_with(&["ends soon", &crt]);
        assert!(
            said.len() == 1 && said[0].contains("renew it and put certificate and key in place"),
            "{said:?}"
        );
    });
}
