//! Why a handshake failed: the cause in a few words, and what to do about it.
//!
//! [`Failure`] sorts what the transport reports; [`explain`] is a pure function from it and a few facts about the
//! listener to the two texts of the log line. `error` keeps the words that etcd's operators know and search for.

use rustls::{AlertDescription, CertificateError};
use std::fmt::Write;
use std::io;
use types::limits::{CERTIFICATE_CHAIN_BYTES_MAX, CERTIFICATE_CHAIN_MAX};

/// What went wrong in a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The client showed no certificate.
    NoCertificate,
    /// The client's certificate comes from a CA that is not in the bundle.
    UnknownIssuer,
    /// The client's certificate names a CA of the bundle, which has not signed it.
    Forged,
    /// The client's certificate has ended.
    Expired,
    /// The client's certificate has not begun, or the clocks differ.
    NotYetValid,
    /// The client's certificate is on the revocation list.
    Revoked,
    /// The client's certificate is not made for clients.
    WrongPurpose,
    /// The client's certificate is good, and its name is not among those let in.
    NotAllowed(String),
    /// The client's certificate is good, and carries several identities.
    SeveralUris(String),
    /// What the client showed is above the bound on certificates.
    TooLarge,
    /// The client ended the handshake: it does not accept our certificate.
    Rejected(AlertDescription),
    /// No protocol version or suite in common.
    Incompatible(String),
    /// Clear text where TLS was expected.
    ClearText(super::sniff::Opening),
    /// TLS where clear text was expected.
    TlsOnClear,
    /// The handshake took too long.
    Deadline(std::time::Duration),
    /// The client went away in the middle.
    Closed,
    /// Anything else, in the words of the transport.
    Other(String),
}

impl Failure {
    /// Sorts what a handshake returned.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::Closed,
                _ => Self::Other(error.to_string()),
            };
        };
        Self::of_tls(error)
    }

    /// Sorts what rustls said.
    pub(super) fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::InvalidCertificate(certificate) => Self::of_certificate(certificate),
            rustls::Error::AlertReceived(alert) => Self::Rejected(*alert),
            rustls::Error::PeerIncompatible(reason) => Self::Incompatible(format!("{reason:?}")),
            rustls::Error::NoApplicationProtocol => {
                Self::Incompatible("no application protocol in common".to_owned())
            }
            rustls::Error::InvalidMessage(rustls::InvalidMessage::HandshakePayloadTooLarge) => Self::TooLarge,
            rustls::Error::InvalidMessage(_) => Self::ClearText(super::sniff::Opening::Unknown),
            other => Self::Other(other.to_string()),
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::BadSignature => Self::Forged,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::WrongPurpose
            }
            CertificateError::Other(other) => match other.0.downcast_ref() {
                Some(refusal) => Self::of_refusal(refusal),
                None => Self::Other(format!("client certificate refused: {}", other.0)),
            },
            other => Self::Other(format!("client certificate refused: {other}")),
        }
    }
}

impl Failure {
    /// The word for it in metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::WrongPurpose => "wrong_purpose",
            Self::NotAllowed(_) => "name_not_allowed",
            Self::SeveralUris(_) => "several_uris",
            Self::TooLarge => "too_large",
            Self::Rejected(_) => "rejected_by_client",
            Self::Incompatible(_) => "incompatible",
            Self::ClearText(_) => "clear_text",
            Self::TlsOnClear => "tls_on_clear",
            Self::Deadline(_) => "deadline",
            Self::Closed => "closed",
            Self::Other(_) => "other",
        }
    }

    /// Every word that [`Failure::reason`] gives.
    pub const REASONS: [&'static str; 17] = [
        "no_certificate",
        "unknown_issuer",
        "forged",
        "expired",
        "not_yet_valid",
        "revoked",
        "wrong_purpose",
        "name_not_allowed",
        "several_uris",
        "too_large",
        "rejected_by_client",
        "incompatible",
        "clear_text",
        "tls_on_clear",
        "deadline",
        "closed",
        "other",
    ];
}

/// What a listener knows that helps to explain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The names in the serving certificate.
    pub names: Vec<String>,
    /// The name the client asked for, if it said one.
    pub dialled: Option<String>,
    /// Who issues clients' certificates.
    pub client_issuers: Vec<String>,
    /// What to run on the member's machine for a client's settings that work.
    pub client_settings: Option<&'static str>,
}

impl Facts {
    /// The last way out, at the end of a sentence or a list.
    pub(super) fn or_run(&self) -> String {
        self.client_settings.map_or_else(String::new, |command| format!("; or, on its machine, {command}"))
    }
}

/// The two texts of a failed handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened.
    pub cause: String,
    /// What to do.
    pub hint: String,
}

/// Puts a failure into words.
#[must_use]
pub fn explain(failure: &Failure, facts: &Facts) -> Explanation {
    Explanation { cause: cause(failure), hint: hint(failure, facts) }
}

/// What a client is told that got through the handshake without a certificate that is good.
#[must_use]
pub fn refusal(failure: &Failure, facts: &Facts) -> String {
    if *failure == Failure::NoCertificate {
        return format!(
            "no client certificate: this member lets in only clients that show one; give the client --cert and --key \
             (etcdctl, curl){}",
            facts.or_run()
        );
    }
    let Explanation { cause, hint } = explain(failure, facts);
    format!("client certificate refused: {}: {hint}", cause.trim_start_matches("tls: "))
}

/// What the requests are told of a connection whose certificate was accepted and is no longer. Whoever can mend it by
/// connecting anew, with a certificate that was renewed or issued by the new CA, is told a code that clients retry; a revoked one
/// is final.
#[must_use]
pub fn cut(failure: &Failure) -> (tonic::Code, String) {
    let because = |cause: &str, step: &str| format!("connection cut: {cause}: {step}");
    match failure {
        Failure::Revoked => (
            tonic::Code::Unauthenticated,
            because("the client certificate was revoked", "issue a new one for this client"),
        ),
        Failure::Expired => (
            tonic::Code::Unavailable,
            because("the client certificate has ended", "connect anew with a renewed one"),
        ),
        Failure::UnknownIssuer | Failure::Forged => (
            tonic::Code::Unavailable,
            because(
                "the client certificate's CA is no longer trusted here",
                "connect anew with a certificate of a CA that is",
            ),
        ),
        other => {
            let step = "connect anew; the answer then says what is wrong";
            (tonic::Code::Unavailable, because(cause(other).trim_start_matches("tls: "), step))
        }
    }
}

fn cause(failure: &Failure) -> String {
    match failure {
        Failure::NoCertificate => "tls: client didn't provide a certificate".into(),
        Failure::UnknownIssuer => {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority".into()
        }
        Failure::Expired => "tls: failed to verify certificate: x509: certificate has expired".into(),
        Failure::NotYetValid => {
            "tls: failed to verify certificate: x509: certificate is not yet valid".into()
        }
        Failure::Revoked => "tls: client certificate is revoked".into(),
        Failure::WrongPurpose => {
            "tls: failed to verify certificate: x509: certificate specifies an incompatible key usage".into()
        }
        Failure::Forged => {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority: the signature is not that of the CA that it names".into()
        }
        Failure::NotAllowed(reason) | Failure::SeveralUris(reason) => format!("tls: {reason}"),
        Failure::TooLarge => format!(
            "tls: the client's certificates are too large: at most {CERTIFICATE_CHAIN_MAX} of together {CERTIFICATE_CHAIN_BYTES_MAX} bytes are looked at"
        ),
        Failure::Rejected(alert) => format!("remote error: tls: {}", spelled(*alert)),
        Failure::Incompatible(reason) => format!("tls: nothing in common with the client: {reason}"),
        Failure::ClearText(_) => "tls: first record does not look like a TLS handshake".into(),
        Failure::TlsOnClear => "tls handshake on a port without tls".into(),
        Failure::Deadline(limit) => format!("tls handshake not finished within {limit:?}"),
        Failure::Closed => "EOF".into(),
        Failure::Other(reason) => reason.clone(),
    }
}

fn hint(failure: &Failure, facts: &Facts) -> String {
    match failure {
        Failure::NoCertificate => format!(
            "give the client a certificate and its key (etcdctl: --cert and --key{}){}",
            facts.or_run(),
            issuers(facts)
        ),
        Failure::UnknownIssuer => format!(
            "the client's certificate comes from a CA that this listener does not trust; use another certificate, or add \
             its CA to the client CA bundle (--trusted-ca-file; strongroom up: --tls-client-ca){}",
            issuers(facts)
        ),
        Failure::Forged => format!(
            "forged, or issued by an older key of that CA: issue a new one with the CA whose certificate is in the client CA \
             bundle (openssl verify -CAfile BUNDLE CERTIFICATE){}",
            issuers(facts)
        ),
        Failure::SeveralUris(_) => {
            "which of them is meant cannot be told: issue it with one URI (openssl x509 -ext subjectAltName shows them)".into()
        }
        Failure::TooLarge => {
            "show the certificate and its intermediates alone, not a whole bundle; a certificate with very many names has to be split".into()
        }
        Failure::Expired => "the client's certificate has ended: renew it; if it is new, compare the clocks".into(),
        Failure::NotYetValid => "the client's certificate begins in the future: compare the clocks of both machines".into(),
        Failure::Revoked => "the client's certificate is on the revocation list: issue a new one".into(),
        Failure::WrongPurpose => {
            "the client's certificate is not made for clients: issue one with the extended key usage clientAuth".into()
        }
        Failure::NotAllowed(_) => {
            "use a certificate with an allowed name, or add the name (--client-cert-allowed-hostname)".into()
        }
        Failure::Rejected(AlertDescription::CertificateExpired) => {
            "this member's certificate has ended, or the client's clock is wrong: renew it; it is read again within seconds".into()
        }
        Failure::Rejected(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure)
        | Failure::Incompatible(_) => {
            "the client is too old or restricted: it needs TLS 1.3, or allow TLS 1.2 here (--tls-min-version=TLS1.2)".into()
        }
        Failure::Rejected(_) => rejected(facts),
        Failure::ClearText(_) => "the client speaks clear text to a TLS port: use https:// in its endpoint".into(),
        Failure::TlsOnClear => {
            "the client speaks TLS to a clear-text port: use http:// in its endpoint, or the TLS address".into()
        }
        Failure::Deadline(_) => {
            "something that does not speak TLS holds connections open; look for port scanners and TCP health checks".into()
        }
        Failure::Closed => {
            let mut text = "the client went away during the handshake; TCP health checks do this".to_owned();
            if !facts.names.is_empty() {
                let _ = write!(text, ", and clients that do not trust this certificate ({})", rejected(facts));
            }
            text
        }
        Failure::Other(_) => "look at the client's own message".into(),
    }
}

fn rejected(facts: &Facts) -> String {
    let mut text =
        "the client does not accept this member's certificate: give it the right CA (etcdctl: --cacert)"
            .to_owned();
    if !facts.names.is_empty() {
        let _ = write!(text, " and use one of the certificate's names: {}", facts.names.join(", "));
    }
    if let Some(dialled) = &facts.dialled {
        let _ = write!(text, "; it asked for {dialled}");
    }
    text
}

fn issuers(facts: &Facts) -> String {
    if facts.client_issuers.is_empty() {
        return String::new();
    }
    format!("; accepted issuers: {}", facts.client_issuers.join("; "))
}

/// The alert in the words of Go's library, which etcd's logs show.
fn spelled(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::BadCertificate => "bad certificate".into(),
        AlertDescription::UnknownCA => "unknown certificate authority".into(),
        AlertDescription::CertificateExpired => "expired certificate".into(),
        AlertDescription::CertificateUnknown => "unknown certificate".into(),
        AlertDescription::CertificateRevoked => "revoked certificate".into(),
        AlertDescription::ProtocolVersion => "protocol version not supported".into(),
        AlertDescription::HandshakeFailure => "handshake failure".into(),
        AlertDescription::UserCanceled => "user canceled".into(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every failure leads somewhere: a cause and a step, in one line each, so that a log line needs no search engine.
    #[test]
    fn every_failure_has_a_cause_and_a_step() {
        let facts = Facts {
            names: vec!["localhost".into(), "127.0.0.1".into()],
            dialled: Some("db.example".into()),
            client_issuers: vec!["CN=clients".into()],
            client_settings: Some("eval x"),
        };
        for failure in [
            Failure::NoCertificate,
            Failure::UnknownIssuer,
            Failure::Expired,
            Failure::NotYetValid,
            Failure::Revoked,
            Failure::WrongPurpose,
            Failure::NotAllowed("x".into()),
            Failure::Forged,
            Failure::SeveralUris("x".into()),
            Failure::TooLarge,
            Failure::Rejected(AlertDescription::BadCertificate),
            Failure::Rejected(AlertDescription::CertificateExpired),
            Failure::Incompatible("x".into()),
            Failure::ClearText(super::super::sniff::Opening::Http1),
            Failure::TlsOnClear,
            Failure::Deadline(std::time::Duration::from_secs(10)),
            Failure::Closed,
            Failure::Other("x".into()),
        ] {
            let Explanation { cause, hint } = explain(&failure, &facts);
            assert!(!cause.is_empty() && hint.len() > 20, "{failure:?}");
            assert!(Failure::REASONS.contains(&failure.reason()), "{failure:?}");
            assert!(!cause.contains('\n') && !hint.contains('\n') && !hint.contains("  "), "{hint}");
        }
    }

    /// The wrong name is the commonest mistake: the hint must show both names.
    #[test]
    fn a_rejected_certificate_shows_the_names_on_both_sides() {
        let facts =
            Facts { names: vec!["localhost".into()], dialled: Some("db.example".into()), ..Facts::default() };
        let hint = explain(&Failure::Rejected(AlertDescription::BadCertificate), &facts).hint;
        assert!(
            hint.contains("localhost") && hint.contains("db.example") && hint.contains("--cacert"),
            "{hint}"
        );
    }
}
