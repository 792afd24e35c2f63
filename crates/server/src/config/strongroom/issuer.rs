//! Whose tokens are taken: the settings of an OpenID Connect issuer, checked together.

use super::super::Note;
use super::convert::Reader;
use crate::oidc::{self, Settings};

/// What is put before names when nothing is to be.
const NO_PREFIX: &str = "-";

pub(super) fn read(reader: &mut Reader<'_>, notes: &mut Vec<Note>) -> Option<Settings> {
    let clear_text = reader.switch("insecure-oidc-clear-text");
    let Some(issuer) = reader.text("oidc-issuer") else {
        for name in ["oidc-audience", "oidc-ca"] {
            if reader.text(name).is_some() {
                reader.refuse(name, "there is no issuer that it is about", "set --oidc-issuer too");
            }
        }
        return None;
    };
    if let Err(why) = oidc::check_issuer(&issuer, clear_text) {
        let hint = "write it as the issuer's tokens do, for example https://issuer.example/realm";
        reader.refuse("oidc-issuer", format!("{issuer:?}: {why}"), hint);
    }
    let audience = reader.text("oidc-audience").unwrap_or_default();
    if audience.is_empty() {
        reader.refuse(
            "oidc-audience",
            "it is needed with --oidc-issuer: without one, whoever gets a token for any service of that issuer would get in here",
            "set it to what the issuer writes as aud into tokens for this cluster",
        );
    }
    let claim = reader.text("oidc-claim").unwrap_or_default();
    let prefix = reader.text("oidc-prefix").filter(|prefix| prefix != NO_PREFIX).unwrap_or_default();
    if prefix.is_empty() {
        notes.push(
            Note::warn("the names in the issuer's tokens are users' names as they are, as --oidc-prefix - asks: the issuer can name every user but root")
                .with("hint", "drop it, and make users with the prefix oidc:"),
        );
    }
    if clear_text {
        notes.push(
            Note::warn("the issuer's keys may come in clear text, as --insecure-oidc-clear-text asks")
                .with("hint", "it is for tests: drop it"),
        );
    }
    Some(Settings { issuer, audience, ca: reader.path("oidc-ca"), claim, prefix, clear_text })
}
