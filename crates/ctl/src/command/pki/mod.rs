//! `pki`: certificates of the cluster's own authority, and a look at anybody's.
//!
//! Owns the way there and back for each subcommand. A key is made on the machine where it is used and never travels: what is
//! sent is a request, what comes back a certificate.

mod check;
mod files;
mod init;
mod inspect;
mod issue;
mod list;
mod recover;
pub(crate) mod renew;
mod revoke;
mod rollover;
mod token;

pub(crate) use files::{Claimed, Pair};
pub use recover::Recover;

use crate::exit::Failure;
use crate::settings::{Global, Settings};
use clap::Subcommand;
use std::sync::Arc;

/// `pki <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Pki {
    /// Make the recovery key, before the first start of a cluster
    Init(init::Init),
    /// Show the authorities, who holds their keys, and the pin of the root
    Show(list::Show),
    /// List certificates with the time they have left, and who had them issued
    List(list::List),
    /// Make a key here and have a certificate issued for it
    Issue(issue::Issue),
    /// Have a certificate renewed by showing it; its files are replaced
    Renew(renew::Renew),
    /// Revoke a certificate: its connections are cut at once
    Revoke(revoke::Revoke),
    /// Make a token with which a machine comes for its certificates, once (see enroll)
    Token(token::Token),
    /// Replace the issuers, or root and issuers, while the old ones stay trusted
    Rollover(rollover::Rollover),
    /// Show what certificates say: whom they are for, from whom, and how long
    Inspect(inspect::Inspect),
    /// Check certificate, key, CA and revocation list together, before they are put in place
    Check(check::Check),
    /// Make an administrator's certificate on a stopped member, or open its authority with the recovery key
    Recover(Recover),
}

impl Pki {
    /// Runs what asks no member; gives back the rest.
    pub(super) fn run_offline(self, global: &Global) -> Result<Option<Self>, Failure> {
        match self {
            Self::Init(init) => init.run(global).map(|()| None),
            Self::Inspect(inspect) => inspect.run(global).map(|()| None),
            Self::Check(check) => check.run(global).map(|()| None),
            other => Ok(Some(other)),
        }
    }

    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match self {
            Self::Show(show) => show.run(settings).await,
            Self::List(list) => list.run(settings).await,
            Self::Issue(issue) => issue.run(settings).await,
            Self::Renew(renew) => renew.run(settings).await,
            Self::Revoke(revoke) => revoke.run(settings).await,
            Self::Token(token) => token.run(settings).await,
            Self::Rollover(rollover) => rollover.run(settings).await,
            // The program itself runs it: it starts a member.
            Self::Recover(_) => Err(Failure::error("this program cannot start a member")),
            Self::Init(_) | Self::Inspect(_) | Self::Check(_) => Ok(()),
        }
    }
}

/// A failure of making or keeping certificates, with what to do.
pub(crate) fn failed(error: &certificate::Error) -> Failure {
    Failure::error(error.to_string()).hinting(error.hint())
}
