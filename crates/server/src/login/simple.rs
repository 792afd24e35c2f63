//! Simple tokens: sixteen random letters, the identity of the certificate that they were asked for with, and the index of
//! the entry that gave them.
//!
//! ```text
//! RANDOMLETTERSxxx IDENTITYLETTERSxxxxxxx . INDEX      the second part only where there was a certificate
//! ```
//!
//! The second part is no secret: it is compared with the certificate of whoever shows the token, on any member, so a stolen
//! token is worth nothing without a certificate of the same name. The identity counts, not the key: a renewed certificate
//! keeps its tokens.

use super::binding::{identity, letter};
use crate::gate::Connection;
use env::Random;

/// Random letters, as many as etcd's.
const RANDOM_LETTERS: usize = 16;

/// What a new token begins with.
pub(super) fn prefix(random: &dyn Random, connection: Option<&Connection>) -> String {
    let mut prefix = String::with_capacity(2 * RANDOM_LETTERS);
    while prefix.len() < RANDOM_LETTERS {
        let mut bytes = [0; RANDOM_LETTERS];
        random.fill(&mut bytes);
        // Bytes beyond the last multiple of 52 would make some letters likelier than others.
        let even = bytes.iter().filter(|byte| **byte < 208).map(|byte| letter(*byte));
        prefix.extend(even.take(RANDOM_LETTERS - prefix.len()));
    }
    prefix.extend(identity(connection));
    prefix
}

/// Whether the token was asked for with another certificate than this connection's.
pub(super) fn is_bound_elsewhere(token: &str, connection: Option<&Connection>) -> bool {
    let prefix = token.split('.').next().unwrap_or_default();
    match prefix.get(RANDOM_LETTERS..) {
        None | Some("") => false,
        Some(bound) => identity(connection).is_none_or(|identity| bound != identity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::auth::Evidence;
    use std::sync::Arc;

    fn with(common_name: &str) -> Connection {
        let evidence = Evidence::Certificate {
            common_name: Arc::from(common_name),
            is_administrator: false,
            names: Arc::default(),
        };
        Connection::new(evidence, "127.0.0.1:1".into(), true)
    }

    fn token(connection: Option<&Connection>) -> String {
        let (env, ..) = env::Env::simulated(1);
        format!("{}.7", prefix(&*env.random, connection))
    }

    /// A stolen token must be worth nothing to the holder of another certificate, or of none.
    #[test]
    fn a_token_is_bound_to_the_certificate_it_was_asked_for_with() {
        let (alice, bob) = (with("alice"), with("bob"));
        let bound = token(Some(&alice));
        assert!(!is_bound_elsewhere(&bound, Some(&alice)));
        assert!(!is_bound_elsewhere(&bound, Some(&with("alice"))), "the identity counts, not the connection");
        assert!(is_bound_elsewhere(&bound, Some(&bob)));
        assert!(is_bound_elsewhere(&bound, None));
    }

    /// Without certificates there is nothing to bind to; the token looks as etcd's.
    #[test]
    fn without_a_certificate_a_token_is_etcds() {
        let (letters, index) =
            token(None).split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(letters.len() == 16 && letters.bytes().all(|byte| byte.is_ascii_alphabetic()), "{letters}");
        assert_eq!(index, "7");
        assert!(!is_bound_elsewhere(&token(None), Some(&with("alice"))));
    }

    /// Tokens of every odd shape are bounded work and no panic.
    #[test]
    fn odd_tokens_are_only_odd() {
        for odd in ["", ".", "..", "é", "ééééééééééé.1", "aaaaaaaaaaaaaaa\u{e9}b.1", &"x".repeat(1 << 20)]
        {
            let _ = is_bound_elsewhere(odd, Some(&with("alice")));
        }
    }
}
