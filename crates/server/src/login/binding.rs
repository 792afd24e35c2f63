//! What a token is bound to: the identity in the certificate of the connection that it was asked for with.
//!
//! The identity counts, not the key: a renewed certificate keeps its tokens. The letters are no secret.

use crate::gate::Connection;
use aws_lc_rs::digest;
use state::auth::Evidence;

const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Letters that stand for an identity.
const IDENTITY_LETTERS: usize = 16;

/// The letters of a connection's certificate; none where there is none.
pub(super) fn identity(connection: Option<&Connection>) -> Option<String> {
    let Evidence::Certificate { common_name, is_administrator, names } = &connection?.evidence else {
        return None;
    };
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(b"strongroom token v1\0");
    hash.update(&[u8::from(*is_administrator)]);
    hash.update(common_name.as_bytes());
    hash.update(&[0]);
    hash.update(names.uri.as_deref().unwrap_or_default().as_bytes());
    Some(hash.finish().as_ref().iter().take(IDENTITY_LETTERS).map(|byte| letter(*byte)).collect())
}

/// A letter for a byte.
pub(super) fn letter(byte: u8) -> char {
    let letter = LETTERS.get(usize::from(byte) % LETTERS.len()).copied().unwrap_or(b'a');
    char::from(letter)
}
