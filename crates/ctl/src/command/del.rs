//! `del`: removes a key or a range of keys.

use super::range::{Extent, Keys};
use super::{raw, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::print::text::quote;
use crate::settings::Settings;
use clap::Args;
use proto::etcdserverpb as pb;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

/// How long a person has to think again before a range is deleted.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

/// `del [options] <key> [range_end]`
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // the options of the command line
pub struct Del {
    /// The key, and perhaps the end of the range, itself not included
    #[arg(value_names = ["KEY", "RANGE_END"])]
    keys: Vec<OsString>,
    /// All keys that begin with the key
    #[arg(long)]
    prefix: bool,
    /// Print what was deleted
    #[arg(long)]
    prev_kv: bool,
    /// The key and all keys behind it
    #[arg(long)]
    from_key: bool,
    /// Delete a range without two seconds for second thoughts
    #[arg(long)]
    range: bool,
}

impl Del {
    /// The request that the arguments mean.
    pub(crate) fn request(&self) -> Result<pb::DeleteRangeRequest, Failure> {
        let (key, end) = match self.keys.as_slice() {
            [key] => (key, None),
            [key, end] => (key, Some(end)),
            _ => {
                return Err(Failure::arguments(
                    "del command needs one argument as key and an optional argument as range_end",
                ));
            }
        };
        let extent = Extent::of(self.prefix, self.from_key)?;
        let Keys { key, end } = Keys::new(raw(key), end.map(|end| raw(end)), extent)?;
        Ok(pb::DeleteRangeRequest { key, range_end: end, prev_kv: self.prev_kv })
    }

    /// What a person should read before a range is gone.
    pub(crate) fn warning(&self) -> Option<String> {
        let [from, to] = self.keys.as_slice() else { return None };
        (!self.range).then(|| {
            format!(
                "Warning: Keys between {} and {} will be deleted. Please interrupt the command within next 2 seconds to \
                 cancel. You can provide `--range` flag to avoid the delay.",
                quote(from.as_bytes()),
                quote(to.as_bytes())
            )
        })
    }

    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let request = self.request()?;
        if let Some(warning) = self.warning() {
            eprintln!("{warning}");
            tokio::time::sleep(SECOND_THOUGHTS).await;
        }
        let client = Client::connect(settings).await?;
        let answer = client.call(client.kv().delete_range(client.bounded(request)?)).await?;
        show(&client, &Answer::Delete(&answer))
    }
}
