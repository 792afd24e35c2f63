//! What a member says in words of a mistake at the transport, where other servers only end the handshake.
//!
//! A Strongroom member lets such a client through to one answer: what is wrong. That answer is sorted like the failed
//! handshake, so that the same mistake has the same explanation and exit code whoever serves. Invariant: only a status
//! that no request handler gives is taken for one.

use super::explain::Trouble;
use tonic::{Code, Status};

/// The transport's trouble behind this status, if it is one.
pub(super) fn told(status: &Status) -> Option<Trouble> {
    if !matches!(status.code(), Code::Unauthenticated | Code::FailedPrecondition) {
        return None;
    }
    let text = status.message();
    if text.starts_with("clear text sent to a port that speaks TLS only") {
        return Some(Trouble::ServerSpeaksTls);
    }
    if text.starts_with("no client certificate: ") {
        return Some(Trouble::OursMissing);
    }
    let reason = text.strip_prefix("client certificate refused: ")?;
    Some(if reason.contains("certificate has expired") {
        Trouble::OursExpired
    } else if reason.contains("signed by unknown authority") {
        Trouble::OursUnknown
    } else {
        Trouble::OursRefused(reason.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The member's sentences become the troubles that an alert would be, and etcd's own refusals stay what they are.
    #[test]
    fn mistakes_in_words_are_sorted_as_in_the_handshake() {
        let sorted = |text: &str| told(&Status::unauthenticated(text));
        let refused = "client certificate refused: failed to verify certificate: x509: certificate ";
        assert_eq!(sorted("no client certificate: this member lets in"), Some(Trouble::OursMissing));
        assert_eq!(sorted(&format!("{refused}has expired: x")), Some(Trouble::OursExpired));
        assert_eq!(sorted(&format!("{refused}signed by unknown authority: x")), Some(Trouble::OursUnknown));
        assert!(
            matches!(sorted(&format!("{refused}is revoked: x")), Some(Trouble::OursRefused(why)) if why.ends_with("revoked: x"))
        );
        let clear = Status::failed_precondition("clear text sent to a port that speaks TLS only: use");
        assert_eq!(told(&clear), Some(Trouble::ServerSpeaksTls));
        assert_eq!(sorted("etcdserver: invalid auth token"), None);
        assert_eq!(told(&Status::permission_denied("no client certificate: x")), None);
    }
}
