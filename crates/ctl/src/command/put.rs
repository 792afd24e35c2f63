//! `put`: writes a key.

use super::{parse_int, raw, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use bytes::Bytes;
use clap::Args;
use proto::etcdserverpb as pb;
use std::ffi::OsString;
use std::io::Read;
use std::sync::Arc;

/// `put [options] <key> <value>`; without a value it is read from standard input. A value that begins with a dash stands
/// behind `--`.
#[derive(Args, Clone, Debug)]
pub struct Put {
    /// The key and its value
    #[arg(value_names = ["KEY", "VALUE"])]
    words: Vec<OsString>,
    /// Lease to tie the key to, in hexadecimal
    #[arg(long, default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    lease: String,
    /// Print what the key held before
    #[arg(long)]
    prev_kv: bool,
    /// Keep the value, and change only the lease
    #[arg(long)]
    ignore_value: bool,
    /// Keep the lease, and change only the value
    #[arg(long)]
    ignore_lease: bool,
}

const USAGE: &str = "put command needs 1 argument and input from stdin or 2 arguments";

impl Put {
    /// The request that the arguments mean; `input` is asked for the value where they hold none.
    pub(crate) fn request(&self, input: impl FnOnce() -> Option<Bytes>) -> Result<pb::PutRequest, Failure> {
        let key = self.words.first().ok_or_else(|| Failure::arguments(USAGE))?;
        let value = match (self.ignore_value, self.words.get(1)) {
            (true, None) => Bytes::new(),
            (true, Some(_)) => {
                return Err(Failure::arguments(
                    "put command needs only 1 argument when 'ignore-value' is set",
                ));
            }
            (false, Some(value)) => raw(value),
            (false, None) => {
                input().filter(|value| !value.is_empty()).ok_or_else(|| Failure::arguments(USAGE))?
            }
        };
        let lease = parse_int(&self.lease, 16)
            .map_err(|error| Failure::arguments(format!("bad lease ID ({error}), expecting ID in Hex")))?;
        Ok(pb::PutRequest {
            key: raw(key),
            value,
            lease,
            prev_kv: self.prev_kv,
            ignore_value: self.ignore_value,
            ignore_lease: self.ignore_lease,
        })
    }

    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let request = self.request(standard_input)?;
        let client = Client::connect(settings).await?;
        let answer = client.call(client.kv().put(client.bounded(request)?)).await?;
        show(&client, &Answer::Put(&answer))
    }
}

fn standard_input() -> Option<Bytes> {
    let mut value = Vec::new();
    std::io::stdin().lock().read_to_end(&mut value).ok()?;
    Some(value.into())
}
