//! Reading certificates and keys, other people's above all: before a listener fails on them, with the file, what is
//! wrong with it, and what to do.

use crate::config::Problem;
use crate::tls::{self, Source};
use env::WallTime;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What is worth knowing of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) common_name: String,
    pub(super) names: Vec<String>,
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

/// The first certificate in a PEM text.
pub(super) fn about(pem: &str) -> Result<About, String> {
    let der = first(pem)?;
    let (_, certificate) =
        X509Certificate::from_der(&der).map_err(|error| format!("it cannot be parsed: {error}"))?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names =
        names.map_or_else(Vec::new, |names| names.value.general_names.iter().filter_map(written).collect());
    let validity = certificate.validity();
    let common_name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    Ok(About {
        common_name: common_name.unwrap_or_default().to_owned(),
        names,
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

/// Whether the key belongs to the first certificate.
pub(super) fn fits(certificate: &str, key: &str) -> Result<bool, String> {
    let key = private_key(key)?;
    let der = first(certificate)?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|_| "its kind of key is not supported".to_owned())?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| error.to_string())?;
    Ok(key.public_key().is_some_and(|public| public.as_ref() == certificate.public_key().raw))
}

fn first(pem: &str) -> Result<CertificateDer<'static>, String> {
    match CertificateDer::pem_slice_iter(pem.as_bytes()).next() {
        Some(Ok(der)) => Ok(der),
        Some(Err(error)) => Err(format!("its PEM is damaged: {error}")),
        None => Err(instead(pem, "certificate")),
    }
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, String> {
    if pem.contains("ENCRYPTED") {
        return Err("it is encrypted with a passphrase".to_owned());
    }
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => instead(pem, "private key"),
        other => format!("its PEM is damaged: {other}"),
    })
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

fn written(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(four), _) => Some(std::net::Ipv4Addr::from(four).to_string()),
            (_, Ok(sixteen)) => Some(std::net::Ipv6Addr::from(sixteen).to_string()),
            _ => None,
        },
        _ => None,
    }
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
        && fits(certificate, key) != Ok(true)
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
