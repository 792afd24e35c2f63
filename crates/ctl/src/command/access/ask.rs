//! `access explain` and `access whoami`: questions about who may do what, and who one is.

use super::super::role::Reach;
use super::super::show;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use clap::{Args, ValueEnum};
use proto::strongroom::v1::{ExplainRequest, WhoAmIRequest};
use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::Arc;

/// `access explain <user> <operation> [key] [end]`
#[derive(Args, Clone, Debug)]
pub struct Explain {
    /// The user
    #[arg(value_name = "USER")]
    who: String,
    /// What the user would do; the last eight are administrative rights and take no key
    #[arg(value_enum)]
    operation: Operation,
    /// The key, perhaps with an end, itself not included
    #[arg(num_args = 0..=2, value_names = ["KEY", "END_KEY"])]
    keys: Vec<OsString>,
    #[command(flatten)]
    reach: Reach,
    /// The address that the user would come from; without it conditions are taken as met
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    from: Option<IpAddr>,
}

/// `access whoami`
#[derive(Args, Clone, Copy, Debug)]
pub struct Whoami;

/// What a user may do.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Get,
    Watch,
    Put,
    Delete,
    Alarm,
    Compact,
    Defragment,
    Downgrade,
    Hash,
    Membership,
    MoveLeader,
    Snapshot,
}

/// Reads an address; what is asked about is one sender, and no network.
fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "write an address, as 10.1.2.3 or 2001:db8::1".to_owned())
}

impl Operation {
    const fn about_keys(self) -> bool {
        matches!(self, Self::Get | Self::Watch | Self::Put | Self::Delete)
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Explain {
    fn request(&self) -> Result<ExplainRequest, Failure> {
        let name = self.operation.name();
        let names_keys = !self.keys.is_empty() || self.reach.prefix || self.reach.from_key;
        let (key, range_end) = match (self.operation.about_keys(), names_keys) {
            (true, _) if self.keys.is_empty() => {
                return Err(Failure::arguments(format!("{name} needs a key"))
                    .hinting("name the key behind it; all keys are \"\" --prefix"));
            }
            (true, _) => self.reach.range(&self.keys)?,
            (false, true) => {
                return Err(Failure::arguments(format!("{name} is about no key"))
                    .hinting("leave out the key, --prefix and --from-key: it is a right on its own"));
            }
            (false, false) => Default::default(),
        };
        let source = self.from.map(|address| address.to_string()).unwrap_or_default();
        Ok(ExplainRequest { user: self.who.clone(), operation: name, key, range_end, source })
    }

    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let request = self.request()?;
        let client = Client::connect(settings).await?;
        let answer = client.call(client.access().explain(client.bounded(request)?)).await?;
        show(&client, &Answer::Explained(&answer))?;
        if answer.allowed { Ok(()) } else { Err(Failure::silent(1)) }
    }
}

impl Whoami {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let client = Client::connect(settings).await?;
        let answer = client.call(client.access().who_am_i(client.request(WhoAmIRequest {}))).await?;
        show(&client, &Answer::WhoAmI(&answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(operation: Operation, keys: &[&str], prefix: bool) -> Result<ExplainRequest, Failure> {
        let keys = keys.iter().map(OsString::from).collect();
        let reach = Reach { prefix, from_key: false };
        Explain { who: "u".into(), operation, keys, reach, from: None }.request()
    }

    /// An answer about another question than was meant is worse than none: rights have no keys, keys have a range.
    #[test]
    fn the_question_is_the_one_that_was_meant() {
        let request = asked(Operation::Get, &["a"], true).unwrap();
        let said = (request.operation.as_str(), request.key.as_ref(), request.range_end.as_ref());
        assert_eq!(said, ("get", &b"a"[..], &b"b"[..]));
        assert_eq!(asked(Operation::MoveLeader, &[], false).unwrap().operation, "move-leader");
        for (operation, keys, prefix) in [
            (Operation::Put, &[][..], false),
            (Operation::Hash, &["a"], false),
            (Operation::Hash, &[], true),
            (Operation::Get, &["a", "b"], true),
        ] {
            assert_eq!(asked(operation, keys, prefix).unwrap_err().code, 128, "{operation:?} {keys:?}");
        }
    }
}
