//! Reading certificates and keys, other people's above all: before a listener fails on them, with the file, what is
//! wrong with it, and what to do.

use crate::config::Problem;
use crate::tls::{self, Source};
use ::certificate::{About, KeyPair};
use env::WallTime;

/// The first certificate in a PEM text.
pub(super) fn about(pem: &str) -> Result<About, String> {
    let ders = ::certificate::pem::read_certificates(pem)?;
    About::of(ders.first().ok_or_else(|| instead(pem, "certificate"))?)
}

fn private_key(pem: &str) -> Result<KeyPair, String> {
    KeyPair::from_pem(pem)
        .map_err(|why| if pem.contains("PRIVATE KEY-----") { why } else { instead(pem, "private key") })
}

/// Whether the key belongs to the first certificate.
fn fits(certificate: &str, key: &str) -> bool {
    matches!((about(certificate), private_key(key)), (Ok(about), Ok(key)) if about.is_of(&key))
}

/// What a file holds that does not hold what it should.
pub(super) fn instead(pem: &str, wanted: &str) -> String {
    let holds = if pem.trim().is_empty() {
        "it is empty"
    } else if pem.contains("CERTIFICATE REQUEST-----") {
        "it holds a certificate request, which is what a CA is sent, not what it answers"
    } else if pem.contains("PRIVATE KEY-----") {
        "it holds a private key"
    } else if pem.contains("BEGIN CERTIFICATE-----") {
        "it holds a certificate"
    } else if pem.contains("-----BEGIN") {
        "it holds something else"
    } else {
        "it is not PEM"
    };
    format!("{holds}, no {wanted}")
}

/// Everything that is wrong with the files of a listener; nothing if it can be served with.
#[must_use]
pub fn check(settings: &tls::Settings, now: WallTime) -> Vec<Problem> {
    let mut problems = Vec::new();
    let certificate = text(&settings.certificate, "certificate", &mut problems);
    let key = text(&settings.key, "private key", &mut problems);
    if let Some(pem) = &certificate {
        problems.extend(wrong_certificate(&settings.certificate.name(), pem, now));
    }
    if let Some(pem) = &key
        && let Err(why) = private_key(pem)
    {
        let hint = if why.contains("passphrase") {
            "a server starts unattended: decrypt it with openssl pkey -in FILE -out NEW, and chmod 600 NEW"
        } else {
            "name the PEM file of the certificate's key"
        };
        problems.push(Problem::at_start(format!("private key {}: {why}", settings.key.name()), hint));
    }
    if let (Some(certificate), Some(key), true) = (&certificate, &key, problems.is_empty())
        && !fits(certificate, key)
    {
        problems.push(Problem::at_start(
            format!(
                "private key {} does not belong to certificate {}",
                settings.key.name(),
                settings.certificate.name()
            ),
            "give the key that was made with this certificate; both are renewed together",
        ));
    }
    if let Some(source) = &settings.client_ca
        && let Some(pem) = text(source, "client CA", &mut problems)
        && let Err(why) = about(&pem)
    {
        let hint = "name the PEM file of the CA that issues the clients' certificates";
        problems.push(Problem::at_start(format!("client CA {}: {why}", source.name()), hint));
    }
    problems
}

fn wrong_certificate(name: &str, pem: &str, now: WallTime) -> Option<Problem> {
    let about = match about(pem) {
        Ok(about) => about,
        Err(why) => {
            let hint = "name the PEM file of the certificate, its chain behind it";
            return Some(Problem::at_start(format!("certificate {name}: {why}"), hint));
        }
    };
    let now = i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX);
    if about.not_after < now {
        let ended = ::certificate::shown(about.not_after);
        let hint = "renew it, and put certificate and key in place; if it is new, compare the clocks";
        return Some(Problem::at_start(format!("certificate {name} has ended on {ended}"), hint));
    }
    if about.not_before > now {
        let begins = ::certificate::shown(about.not_before);
        return Some(Problem::at_start(
            format!("certificate {name} begins on {begins}"),
            "compare the clocks of both machines",
        ));
    }
    // A URI is nobody's address.
    if about.names.iter().all(|name| name.starts_with("urn:") || name.contains("://")) {
        let hint = "clients look at the subject alternative names only: issue it with subjectAltName";
        return Some(Problem::at_start(format!("certificate {name} carries no names"), hint));
    }
    None
}

fn text(source: &Source, what: &str, problems: &mut Vec<Problem>) -> Option<String> {
    let refuse = |why: String| {
        Problem::at_start(
            format!("{what} {}: {why}", source.name()),
            "check the path and that this user may read it",
        )
    };
    match source {
        Source::File(path) => match std::fs::read(path) {
            Ok(bytes) => String::from_utf8(bytes)
                .map_err(|_| problems.push(refuse("it is not PEM, which is text".to_owned())))
                .ok(),
            Err(error) => {
                let why = match error.kind() {
                    std::io::ErrorKind::NotFound => {
                        format!("open {}: no such file or directory", path.display())
                    }
                    std::io::ErrorKind::PermissionDenied => {
                        format!("open {}: permission denied", path.display())
                    }
                    _ => error.to_string(),
                };
                problems.push(refuse(why));
                None
            }
        },
        Source::Held(_, bytes) => String::from_utf8(bytes.to_vec()).ok(),
    }
}
