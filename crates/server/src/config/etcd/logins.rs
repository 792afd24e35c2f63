//! How users are recognized, from etcd's flags: `--auth-token`, `--auth-token-ttl`, `--bcrypt-cost`, `--client-cert-auth`.
//!
//! Two options of `--auth-token=jwt` are our own: `audience` and `issuer`, which a token must then name.

use super::convert::Settings;
use crate::config::model::{Logins, Tokens};
use crate::config::number::GoDuration;
use crate::config::{Note, Problem};
use crate::login::{Hashing, jwt};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long a signed token is good unless it is said otherwise.
const JWT_LIFE: Duration = Duration::from_secs(300);
/// A password's cost where none that is possible was named.
const BCRYPT_COST: u64 = 10;
/// The options of signed tokens.
const JWT_OPTIONS: [&str; 6] = ["sign-method", "pub-key", "priv-key", "ttl", "audience", "issuer"];

pub(super) fn logins(settings: &Settings<'_>, notes: &mut Vec<Note>, problems: &mut Vec<Problem>) -> Logins {
    let tokens = tokens(&settings.text("auth-token"), notes).unwrap_or_else(|| {
        let hint = "write simple, or jwt,pub-key=FILE,priv-key=FILE,sign-method=NAME,ttl=10m";
        problems.push(Problem::at_start("auth: invalid auth options", hint));
        Tokens::Off
    });
    // etcd takes zero for its default.
    let life_seconds = match settings.unsigned("auth-token-ttl") {
        0 => 300,
        seconds => seconds,
    };
    Logins {
        tokens,
        token_life: Duration::from_secs(life_seconds),
        hashing: Hashing::Bcrypt { cost: bcrypt_cost(settings, notes) },
        certificates_name_users: settings.bool("client-cert-auth"),
        oidc: None,
    }
}

fn tokens(written: &str, notes: &mut Vec<Note>) -> Option<Tokens> {
    let mut parts = written.split(',');
    let kind = parts.next().unwrap_or_default();
    let mut options = BTreeMap::new();
    for part in parts {
        let (name, value) = part.split_once('=').filter(|(_, value)| !value.contains('='))?;
        if options.insert(name, value).is_some() {
            return None;
        }
    }
    match kind {
        "simple" => Some(Tokens::Simple),
        "" => Some(Tokens::Off),
        "jwt" => {
            for name in options.keys().filter(|name| !JWT_OPTIONS.contains(name)) {
                notes.push(Note::warn("unknown JWT options").with("keys", *name));
            }
            let given = |name: &str| {
                options.get(name).filter(|value| !value.is_empty()).map(|value| (*value).to_owned())
            };
            let life = match given("ttl") {
                Some(ttl) => GoDuration::parse(&ttl).ok()?.length(),
                None => JWT_LIFE,
            };
            Some(Tokens::Jwt(jwt::Settings {
                sign_method: given("sign-method")?,
                public_key: given("pub-key").map(PathBuf::from),
                private_key: given("priv-key").map(PathBuf::from),
                life,
                audience: given("audience"),
                issuer: given("issuer"),
            }))
        }
        _ => None,
    }
}

fn bcrypt_cost(settings: &Settings<'_>, notes: &mut Vec<Note>) -> u32 {
    let cost = settings.unsigned("bcrypt-cost");
    if let Some(cost) = u32::try_from(cost).ok().filter(|cost| (4..=31).contains(cost)) {
        return cost;
    }
    notes.push(
        Note::warn("use default bcrypt cost instead of the invalid given cost")
            .with("min-cost", 4)
            .with("max-cost", 31)
            .with("default-cost", BCRYPT_COST)
            .with("given-cost", cost),
    );
    10
}
