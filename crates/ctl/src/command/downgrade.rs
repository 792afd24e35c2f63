//! `downgrade`: asks the cluster to prepare for an older version, or to stop doing so.

use super::show;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use clap::{Args, Subcommand};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::downgrade_request::DowngradeAction;
use std::sync::Arc;

/// `downgrade <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Downgrade {
    /// Ask whether it would be possible
    #[command(override_usage = "strongroom downgrade validate [OPTIONS] <VERSION>")]
    Validate(Target),
    /// Begin
    #[command(override_usage = "strongroom downgrade enable [OPTIONS] <VERSION>")]
    Enable(Target),
    /// Stop
    Cancel,
}

/// The version to go to.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// For example 3.6.0
    #[arg(value_name = "VERSION")]
    words: Vec<String>,
}

impl Target {
    fn version(self) -> Result<String, Failure> {
        match <[String; 1]>::try_from(self.words) {
            Ok([version]) if version.is_empty() => Err(Failure::arguments("target version not provided")),
            Ok([version]) => Ok(version),
            Err(words) if words.is_empty() => Err(Failure::arguments("TARGET_VERSION not provided")),
            Err(_) => Err(Failure::arguments("too many arguments")),
        }
    }
}

impl Downgrade {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let (name, action, version) = match self {
            Self::Validate(target) => ("validate", DowngradeAction::Validate, target.version()?),
            Self::Enable(target) => ("enable", DowngradeAction::Enable, target.version()?),
            Self::Cancel => ("cancel", DowngradeAction::Cancel, String::new()),
        };
        let client = Client::connect(settings).await?;
        let request = client.request(pb::DowngradeRequest { action: action.into(), version });
        let answer = client.call(client.maintenance().downgrade(request)).await?;
        show(&client, &Answer::Downgrade(name, &answer))
    }
}
