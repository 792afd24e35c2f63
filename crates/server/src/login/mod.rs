//! Logging in: from a name and a password to a token, and from a token back to who sent it.
//!
//! Owns how tokens look (`simple`, `jwt`), how passwords become hashes and are compared with them (`passwords`), and how
//! fast somebody may guess (`throttle`). Who may do what with a token is `state::auth`'s.

mod binding;
pub mod jwt;
mod passwords;
mod simple;
mod throttle;

pub use jwt::Jwt;
pub use passwords::{Hashing, Passwords, Unhashable};
pub(crate) use throttle::Throttle;

use crate::gate::Connection;
use env::{Clock, Random};
use node::Member;
use state::auth::Evidence;
use std::sync::Arc;

/// How tokens are made and recognized.
#[derive(Clone)]
pub enum Tokens {
    /// Random ones that members remember (etcd's `simple`).
    Simple,
    /// Signed ones that say themselves whose they are (etcd's `jwt`).
    Jwt(Arc<Jwt>),
    /// None are given; every one is bad.
    Off,
}

impl Tokens {
    /// What a token proves that came over this connection.
    pub(crate) fn recognize(
        &self,
        token: &str,
        connection: Option<&Connection>,
        member: &Member,
        clock: &dyn Clock,
    ) -> Evidence {
        match self {
            Self::Simple if simple::is_bound_elsewhere(token, connection) => Evidence::BadToken,
            Self::Simple => match member.token_user(token) {
                Some(user) => Evidence::Token { user, known: None },
                None => Evidence::BadToken,
            },
            Self::Jwt(jwt) => match jwt.verify(token, connection, clock.wall().unix_seconds()) {
                Some(claims) => Evidence::Token { user: claims.user, known: Some(claims.revision) },
                None => Evidence::BadToken,
            },
            Self::Off => Evidence::BadToken,
        }
    }

    /// What a new simple token over this connection begins with.
    pub(crate) fn prefix(random: &dyn Random, connection: Option<&Connection>) -> String {
        simple::prefix(random, connection)
    }
}
