//! `access`: what of the policy etcd's users and roles have no words for.
//!
//! Owns the way there and back for each subcommand; what a change makes of a role's terms is in `terms`, what a ready policy
//! needs in `policy`. Invariant: terms are read before they are written, so that one change leaves the others as they are.

mod apply;
mod ask;
mod identity;
mod learn;
mod limit;
mod overview;
mod policy;
mod terms;
pub(crate) mod time;

#[cfg(test)]
mod tests;

use crate::exit::Failure;
use crate::settings::Settings;
pub(crate) use apply::Applied;
use clap::Subcommand;
pub(crate) use overview::{Holder, Overview};
use std::sync::Arc;

/// `access <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Access {
    /// Show roles with all that they may and may not do, who holds them, and by what certificates and tokens are recognized
    Show(overview::Show),
    /// Deny keys to a role's holders, whatever else is granted to them
    Deny(terms::Deny),
    /// Take back a denial: key and end as it was denied
    AllowAgain(terms::AllowAgain),
    /// Give a role administrative rights
    GrantRight(terms::Rights),
    /// Take administrative rights from a role
    RevokeRight(terms::Rights),
    /// Say from where and until when a role counts, and how much its holders may ask
    Limit(limit::Limit),
    /// Recognize certificates by other names than the common name, and tokens of an OpenID Connect issuer
    #[command(subcommand)]
    Identity(identity::Identity),
    /// Say whether a user may do something, and why; exit code 0 allowed, 1 denied
    Explain(ask::Explain),
    /// Note what a program uses, and propose the role that permits just that
    #[command(subcommand)]
    Learn(learn::Learn),
    /// Say who you are for the member
    Whoami(ask::Whoami),
    /// Set up users and roles for a known program or duty; a second time changes nothing
    Apply(apply::Apply),
}

impl Access {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match self {
            Self::Show(show) => show.run(settings).await,
            Self::Deny(deny) => deny.run(settings).await,
            Self::AllowAgain(allow) => allow.run(settings).await,
            Self::GrantRight(rights) => rights.grant(settings).await,
            Self::RevokeRight(rights) => rights.revoke(settings).await,
            Self::Limit(limit) => limit.run(settings).await,
            Self::Identity(identity) => identity.run(settings).await,
            Self::Explain(explain) => explain.run(settings).await,
            Self::Learn(learn) => learn.run(settings).await,
            Self::Whoami(whoami) => whoami.run(settings).await,
            Self::Apply(apply) => apply.run(settings).await,
        }
    }
}
