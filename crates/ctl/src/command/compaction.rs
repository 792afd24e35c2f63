//! `compaction` (or `compact`): forgets the history before a revision.

use super::{parse_int, say};
use crate::connect::Client;
use crate::exit::Failure;
use crate::settings::Settings;
use clap::Args;
use proto::etcdserverpb as pb;
use std::sync::Arc;

/// `compaction [options] <revision>`
#[derive(Args, Clone, Debug)]
pub struct Compaction {
    /// The oldest revision to keep
    #[arg(value_name = "REVISION")]
    words: Vec<String>,
    /// Wait until the old revisions are gone from the store
    #[arg(long)]
    physical: bool,
}

impl Compaction {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let [revision] = self.words.as_slice() else {
            return Err(Failure::arguments("compaction command needs 1 argument"));
        };
        let revision = parse_int(revision, 10).map_err(Failure::error)?;
        let client = Client::connect(settings).await?;
        let request = pb::CompactionRequest { revision, physical: self.physical };
        client.call(client.kv().compact(client.request(request))).await?;
        say(&format!("compacted revision {revision}"))
    }
}
