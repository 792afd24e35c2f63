//! `pki check`: whether files that somebody made will serve, before they are put in place: they fit each other, they are in
//! their time, the names are there, and the CA has signed for the purpose.

use super::files::read;
use super::inspect;
use crate::command::say_sheet;
use crate::command::span;
use crate::exit::Failure;
use crate::print::Sheet;
use crate::settings::Global;
use certificate::{About, KeyPair};
use clap::Args;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `pki check --file CERT --file-key KEY [--file-ca CA] [--crl CRL] [--for server|client|peer] [--host NAME]…`
#[derive(Args, Clone, Debug)]
pub struct Check {
    /// The certificate, its chain behind it
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Its key
    #[arg(long, value_name = "FILE")]
    file_key: Option<PathBuf>,
    /// The CA that whoever is shown it trusts
    #[arg(long, value_name = "FILE")]
    file_ca: Option<PathBuf>,
    /// A revocation list of that CA
    #[arg(long, value_name = "FILE", requires = "file_ca")]
    crl: Option<PathBuf>,
    /// What it will be shown as: server, client, or peer, which is both
    #[arg(long = "for", value_name = "ROLE", default_value = "server", value_parser = ["server", "client", "peer"])]
    purpose: String,
    /// A name or address that a server is reached by, and must carry
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
}

/// One thing looked at.
struct Finding {
    what: String,
    /// What is wrong and what to do; nothing: it is good.
    wrong: Option<(String, &'static str)>,
}

impl Check {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let now = span::now();
        let chain = read(&self.file)?;
        let mut findings = vec![in_time(&self.file, &chain[0].1, now)];
        if let Some(key) = &self.file_key {
            findings.push(fits(&chain[0].1, key));
        }
        for name in &self.host {
            findings.push(carries(&chain[0].0, name));
        }
        if self.purpose != "client" {
            findings.push(has_names(&chain[0].1));
        }
        match &self.file_ca {
            None => findings.push(purposes(&chain[0].1, &self.purpose)),
            Some(ca) => findings.extend(self.signed(&chain, ca, now)?),
        }
        let bad = findings.iter().filter(|finding| finding.wrong.is_some()).count();
        let mut text = String::new();
        for (title, fact) in inspect::facts(&chain[0].1, now) {
            text += &format!("  {title:<8} {fact}\n");
        }
        text.push('\n');
        for Finding { what, wrong } in &findings {
            match wrong {
                None => text += &format!("  ok     {what}\n"),
                Some((why, hint)) => text += &format!("  WRONG  {what}: {why}\n         next: {hint}\n"),
            }
        }
        let written: Vec<_> = findings
            .iter()
            .map(|Finding { what, wrong }| {
                let (why, hint) = wrong.clone().unzip();
                json!({"what": what, "good": wrong.is_none(), "why": why, "next": hint})
            })
            .collect();
        say_sheet(
            global,
            &Sheet { text, json: json!({"good": bad == 0, "findings": written}), table: None },
        )?;
        if bad == 0 { Ok(()) } else { Err(Failure::silent(1)) }
    }

    /// Whether the CA vouches for it, for what it will be shown as.
    fn signed(&self, chain: &[(Vec<u8>, About)], ca: &Path, now: u64) -> Result<Vec<Finding>, Failure> {
        let mut roots = RootCertStore::empty();
        let mut findings = Vec::new();
        for (der, about) in read(ca)? {
            let what = format!("{} is a CA's, and in its time", ca.display());
            let wrong = if !about.is_authority {
                Some(("it may sign nothing".to_owned(), "name the CA's certificate, not one that it issued"))
            } else if about.not_after < i64::try_from(now).unwrap_or(i64::MAX) {
                Some(("it has ended".to_owned(), "get the CA's new certificate"))
            } else {
                let added = roots.add(CertificateDer::from(der));
                added.err().map(|error| (error.to_string(), "get the CA's certificate anew"))
            };
            findings.push(Finding { what, wrong });
        }
        if roots.is_empty() {
            return Ok(findings);
        }
        let lists = match &self.crl {
            None => Vec::new(),
            Some(path) => revocations(path)?,
        };
        let roots = Arc::new(roots);
        let ders: Vec<CertificateDer<'_>> =
            chain.iter().map(|(der, _)| CertificateDer::from(der.as_slice())).collect();
        let (leaf, behind) = ders.split_first().expect("a chain has a first certificate");
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        if self.purpose != "client" {
            findings
                .push(verified("as a server's", as_server(roots.clone(), lists.clone(), leaf, behind, time)));
        }
        if self.purpose != "server" {
            findings.push(verified("as a client's", as_client(roots, lists, leaf, behind, time)));
        }
        Ok(findings)
    }
}

fn revocations(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::error(format!("{}: {error}", path.display())).hinting("check the path"))?;
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    match lists {
        Ok(lists) if !lists.is_empty() => Ok(lists),
        _ => Ok(vec![CertificateRevocationListDer::from(bytes)]),
    }
}

fn verified(what: &str, result: Result<(), rustls::Error>) -> Finding {
    let hint = "issue it by this CA, for this purpose (extendedKeyUsage), with the issuers between them behind it in the file";
    Finding {
        what: format!("the CA vouches for it {what}"),
        wrong: result.err().map(|error| (error.to_string(), hint)),
    }
}

fn as_server(
    roots: Arc<RootCertStore>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    leaf: &CertificateDer<'_>,
    behind: &[CertificateDer<'_>],
    time: UnixTime,
) -> Result<(), rustls::Error> {
    let builder = WebPkiServerVerifier::builder_with_provider(roots, provider()).with_crls(lists);
    let verifier = builder
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    // Any name that it carries: names are looked at by themselves.
    let about = About::of(leaf).map_err(rustls::Error::General)?;
    let name = about.names.iter().find_map(|name| ServerName::try_from(name.clone()).ok());
    let name = name.unwrap_or_else(|| ServerName::try_from("localhost").expect("a name"));
    match verifier.verify_server_cert(leaf, behind, &name, &[], time) {
        Err(rustls::Error::InvalidCertificate(
            rustls::CertificateError::NotValidForName
            | rustls::CertificateError::NotValidForNameContext { .. },
        ))
        | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

fn as_client(
    roots: Arc<RootCertStore>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    leaf: &CertificateDer<'_>,
    behind: &[CertificateDer<'_>],
    time: UnixTime,
) -> Result<(), rustls::Error> {
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider()).with_crls(lists);
    let verifier = builder
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    verifier.verify_client_cert(leaf, behind, time).map(drop)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn in_time(path: &Path, about: &About, now: u64) -> Finding {
    let now_signed = i64::try_from(now).unwrap_or(i64::MAX);
    let wrong = if about.not_after < now_signed {
        Some((span::left(u64::try_from(about.not_after).unwrap_or(0), now), "renew it"))
    } else if about.not_before > now_signed {
        Some((
            format!("it begins in {}", span::left(u64::try_from(about.not_before).unwrap_or(0), now)),
            "compare the clocks of both machines, or wait",
        ))
    } else {
        None
    };
    Finding { what: format!("{} is in its time", path.display()), wrong }
}

fn fits(about: &About, path: &Path) -> Finding {
    let key =
        certificate::files::key(path).map_err(|error| (error.to_string(), "chmod 600, and check the path"));
    let wrong = match key {
        Err(wrong) => Some(wrong),
        Ok(None) => Some(("no such file".to_owned(), "check the path")),
        Ok(Some(text)) => match KeyPair::from_pem(&text) {
            Err(why) => Some((why, "give the PEM file of the certificate's key, without a passphrase")),
            Ok(key) if !about.is_of(&key) => Some((
                "it belongs to another certificate".to_owned(),
                "give the key that was made with this certificate; both are renewed together",
            )),
            Ok(_) => None,
        },
    };
    Finding { what: format!("{} is its key", path.display()), wrong }
}

fn carries(leaf: &[u8], name: &str) -> Finding {
    let wrong = match ServerName::try_from(name.to_owned()) {
        Err(_) => Some(("that is no host name and no address".to_owned(), "write it as clients dial it")),
        Ok(server) => {
            let der = CertificateDer::from(leaf);
            let parsed = rustls::server::ParsedCertificate::try_from(&der);
            let verified = parsed.and_then(|parsed| rustls::client::verify_server_name(&parsed, &server));
            verified.err().map(|_| ("it does not".to_owned(), "issue it with this subjectAltName"))
        }
    };
    Finding { what: format!("it carries the name {name}"), wrong }
}

fn has_names(about: &About) -> Finding {
    let is_host = |name: &&String| !name.starts_with("urn:") && !name.contains("://");
    let none = about.names.iter().filter(is_host).count() == 0;
    let wrong = none.then(|| {
        ("it has none, and clients look at nothing else".to_owned(), "issue it with subjectAltName")
    });
    Finding { what: "it has host names or addresses".to_owned(), wrong }
}

fn purposes(about: &About, purpose: &str) -> Finding {
    let usages = about.usages;
    let server = usages.is_none_or(|usages| usages.server);
    let client = usages.is_none_or(|usages| usages.client);
    let is_good = match purpose {
        "client" => client,
        "peer" => server && client,
        _ => server,
    };
    let wrong = (!is_good).then(|| {
        (
            "its usages say otherwise".to_owned(),
            "issue it with extendedKeyUsage serverAuth, clientAuth, or both for a peer",
        )
    });
    Finding { what: format!("it is for a {purpose}"), wrong }
}
