//! Revocation lists: which are taken, whom they keep out, and that an old or forged one never takes the place of a good one.

use crate::listen::testing::*;
use crate::listen::{Serves, tests::written};
use crate::tls::{Clients, Error, Exchange, Manner, Reloading, Settings, Source};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, KeyUsagePurpose};
use std::path::Path;

/// A revoked certificate is out as soon as the list is read, on every kind of listener (GHSA-3wh4-j44w-pg92), in the handshake
/// also where other mistakes are explained, as etcd's own tests expect.
#[test]
fn revoked_certificates_are_refused() {
    block_on(async {
        let ca = Ca::new("ca");
        let revoked = ca.client("revoked", Good::Now);
        let pem = held("list.crl", &ca.revoking(1, &[&revoked]));
        // DER, as etcd takes it, is taken too.
        let der = Source::Held("list.der", ca.list(1, &[&revoked], 2090).der().as_ref().into());
        for (serves, list) in [
            (Serves::Everything, &pem),
            (Serves::Grpc, &pem),
            (Serves::Http, &pem),
            (Serves::Everything, &der),
        ] {
            for clients in [Clients::Required, Clients::Explained] {
                let crl = Some(list.clone());
                let server = Plan { serves, ..Plan::tls(Settings { crl, ..settings(&ca, clients) }) }.start();
                let (error, peer) = Client::new(&ca, Some(revoked.clone())).refused(&server).await;
                assert!(error.contains("CertificateRevoked"), "{error}");
                assert!(
                    line_about(&server, &peer).await["hint"].as_str().unwrap().contains("revocation list")
                );
                assert_eq!(server.metrics.handshakes_failed.with(["revoked"]).value(), 1);
                let good = Client::new(&ca, Some(ca.client("still good", Good::Now)));
                assert!(good.connect(&server).await.0.is_ok());
            }
        }
    });
}

/// A CA of this name with this key, allowed to sign what the usages say.
fn ca_with(name: &str, usages: Vec<KeyUsagePurpose>) -> Ca {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = usages;
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    // rcgen would not sign a list for one that may not: with the right usages in memory it does.
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ca { pem, issuer: rcgen::Issuer::new(params, key) }
}

/// A list that nobody of the bundle has signed could let in, or keep out, whom it likes: it is refused when it is read, with
/// the file, what is missing and what to do; so is one that does not mean what it seems to.
#[test]
fn a_list_that_no_ca_of_the_bundle_signed_is_refused() {
    let (ca, same_name, stranger) = (Ca::new("ca"), Ca::new("ca"), Ca::new("stranger"));
    let may_not = ca_with("may not", vec![KeyUsagePurpose::KeyCertSign]);
    let leaf = ca.client("x", Good::Now);
    let flipped = {
        let mut der = ca.list(1, &[&leaf], 2090).der().to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        Source::Held("it.crl", der.into())
    };
    let two = ca.revoking(1, &[&leaf]) + &ca.revoking(2, &[]);
    let bundle = format!("{}{}", ca.pem, may_not.pem);
    for (list, cause) in [
        (held("it.crl", &stranger.revoking(1, &[&leaf])), "no CA of the client CA bundle has this name"),
        (held("it.crl", &same_name.revoking(1, &[&leaf])), "forged, damaged, or of another CA"),
        (flipped, "forged, damaged, or of another CA"),
        (held("it.crl", &may_not.revoking(1, &[&leaf])), "does not allow it to sign lists"),
        (held("it.crl", &two), "two lists of CN=ca"),
        (held("it.crl", ""), "no revocation list in it.crl"),
        (held("it.crl", &ca.pem), "no revocation list in it.crl"),
        (
            Source::Held("it.crl", [0x30, 0x03, 0x02, 0x01, 0x00].into()),
            "cannot parse revocation list it.crl",
        ),
    ] {
        let settings = Settings {
            crl: Some(list),
            client_ca: Some(held("ca.crt", &bundle)),
            ..settings(&ca, Clients::Explained)
        };
        for manner in [Manner::Strict, Manner::AsEtcd] {
            let error = Reloading::open(Settings { manner, ..settings.clone() }).unwrap_err();
            assert!(error.to_string().contains(cause) && error.to_string().contains("it.crl"), "{error}");
            assert!(error.hint().len() > 20);
        }
    }
}

/// A serial number is one issuer's own: what one revokes is another's good certificate, also when both have the same name,
/// as the old and the new key of a CA do. Each issuer has its list in the one file.
#[test]
fn one_issuers_list_says_nothing_of_anothers_certificates() {
    block_on(async {
        let (first, second, same_name) = (Ca::new("first"), Ca::new("second"), Ca::new("first"));
        let cas = [&first, &second, &same_name];
        let leaves = cas.map(|ca| ca.client("same serial", Good::Now));
        assert!(leaves.iter().all(|leaf| leaf.serial == leaves[0].serial));
        for revoking in 0..3 {
            let lists: String = (0..3)
                .map(|at| cas[at].revoking(1, &Vec::from_iter((at == revoking).then_some(&leaves[0]))))
                .collect();
            let bundle: String = cas.map(|ca| ca.pem.clone()).concat();
            let server = Plan::tls(Settings {
                crl: Some(held("lists.crl", &lists)),
                client_ca: Some(held("ca.crt", &bundle)),
                ..settings(&first, Clients::Required)
            })
            .start();
            for (at, leaf) in leaves.iter().enumerate() {
                let client = Client::new(&first, Some(leaf.clone()));
                if at == revoking {
                    assert!(client.refused(&server).await.0.contains("CertificateRevoked"), "{at}");
                } else {
                    assert_eq!(client.http(&server, "/health").await.status, 200, "{at} of {revoking}");
                }
            }
        }
    });
}

/// A CA that another one of the bundle revoked is trusted no longer, though it stands in the bundle: its certificates are out.
#[test]
fn a_revoked_ca_of_the_bundle_is_not_trusted() {
    block_on(async {
        let root = Ca::new("root");
        let intermediate_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "between");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let serial = vec![7, 7, 7];
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
        let pem = params.signed_by(&intermediate_key, &root.issuer).unwrap().pem();
        let between = Ca { pem: pem.clone(), issuer: rcgen::Issuer::new(params, intermediate_key) };
        let its = Leaf { certificate: pem.clone(), key: String::new(), serial };
        for (revoked, is_let_in) in [(vec![], true), (vec![&its], false)] {
            let server = Plan::tls(Settings {
                crl: Some(held("root.crl", &root.revoking(1, &revoked))),
                client_ca: Some(held("ca.crt", &format!("{}{pem}", root.pem))),
                ..settings(&root, Clients::Explained)
            })
            .start();
            let client = Client::new(&root, Some(between.client("x", Good::Now)));
            let status = client.http(&server, "/health").await.status;
            assert_eq!(status == 200, is_let_in, "{status}");
        }
    });
}

fn files(directory: &Path, ca: &Ca, manner: Manner) -> Settings {
    let crl = Some(Source::File(directory.join("list.crl")));
    Settings { crl, manner, ..written(directory, &ca.server(), ca) }
}

/// Whoever can replace the list by an old one can let revoked certificates in again: by its number, or its date, an old one is
/// refused while a newer one is in use, as is one that is stale. What is in use stays, and a stale list in use keeps no renewed
/// certificate out.
#[test]
fn an_old_list_never_takes_the_place_of_a_newer_one() {
    let directory = tempfile::tempdir().unwrap();
    let ca = Ca::new("ca");
    let leaf = ca.client("x", Good::Now);
    let lay = |list: &str| std::fs::write(directory.path().join("list.crl"), list).unwrap();
    for manner in [Manner::Strict, Manner::AsEtcd] {
        lay(&ca.revoking(0x1_00, &[&leaf]));
        let tls = Reloading::open(files(directory.path(), &ca, manner)).unwrap();
        for (list, cause) in [
            (
                ca.revoking(0xff, &[]),
                "is an old one: number 0xff of 2024-01-01T00:00:00Z, while number 0x100",
            ),
            (ca.list(0x1_01, &[], 2025).pem().unwrap(), "is stale: a newer one was due on 2025-01-01"),
            (ca.revoking(7, &[]), "is an old one"),
        ] {
            lay(&list);
            let error = tls.reload().unwrap_err();
            assert!(error.to_string().contains(cause) && error.to_string().contains("list.crl"), "{error}");
            assert!(
                tls.current().lists_due().is_some_and(|due| due > 3_000_000_000),
                "the old one is in use"
            );
        }
        lay(&ca.revoking(0x1_02, &[&leaf]));
        assert_eq!(tls.reload().unwrap(), Exchange::Replaced);
        std::fs::remove_file(directory.path().join("list.crl")).unwrap();
        assert!(matches!(tls.reload(), Err(Error::Read { .. })), "a list that is gone is not an empty one");
    }
}

/// A stale list at start could be one that an attacker put back; a strongroom says so and does not start. etcd takes it, and a
/// member that does not come up any more is no drop-in replacement: as etcd it is taken, and known to be stale.
#[test]
fn a_stale_list_at_start_is_refused_or_as_etcd_taken() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let ca = Ca::new("ca");
        let revoked = ca.client("revoked", Good::Now);
        let stale = ca.list(5, &[&revoked], 2025).pem().unwrap();
        std::fs::write(directory.path().join("list.crl"), stale).unwrap();
        let error = Reloading::open(files(directory.path(), &ca, Manner::Strict)).unwrap_err();
        assert!(matches!(&error, Error::ListStale { .. }) && error.hint().contains("-gencrl"), "{error}");
        let server = Plan::tls(files(directory.path(), &ca, Manner::AsEtcd)).start();
        let client = Client::new(&ca, Some(revoked.clone()));
        assert!(client.refused(&server).await.0.contains("CertificateRevoked"), "stale is not void");
        // A renewed certificate is taken though the list beside it is stale.
        written(directory.path(), &ca.server(), &ca);
        let reloaded = server.running.as_ref().unwrap().reload();
        assert!(matches!(reloaded[0].result, Ok(Exchange::Replaced)), "{reloaded:?}");
    });
}

/// The file of several lists is written piece by piece: an issuer whose list is missing in it has not pardoned anybody. When
/// its CA is gone too, nothing is missing.
#[test]
fn a_list_does_not_go_before_its_ca() {
    let directory = tempfile::tempdir().unwrap();
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let lay = |file: &str, content: &str| std::fs::write(directory.path().join(file), content).unwrap();
    let settings = files(directory.path(), &ca, Manner::Strict);
    lay("ca.crt", &format!("{}{}", ca.pem, other.pem));
    lay("list.crl", &format!("{}{}", ca.revoking(1, &[]), other.revoking(1, &[])));
    let tls = Reloading::open(settings).unwrap();
    lay("list.crl", &ca.revoking(2, &[]));
    let error = tls.reload().unwrap_err();
    assert!(matches!(&error, Error::ListGone { issuer, .. } if issuer == "CN=other"), "{error}");
    lay("ca.crt", &ca.pem);
    assert_eq!(tls.reload().unwrap(), Exchange::Replaced);
}
