//! `defrag`: gives free space back to the disk, member by member.

use super::endpoint::Which;
use super::say;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::text;
use crate::settings::Settings;
use clap::Args;
use proto::etcdserverpb as pb;
use std::sync::Arc;
use tokio::time::Instant;

/// `defrag [--cluster]`
#[derive(Args, Clone, Debug)]
pub struct Defrag {
    #[command(flatten)]
    which: Which,
}

impl Defrag {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let mut failed = false;
        for endpoint in self.which.endpoints(settings).await? {
            let start = Instant::now();
            let answer = async {
                let client = Client::connect_to(settings, &endpoint).await?;
                client.call(client.maintenance().defragment(client.request(pb::DefragmentRequest {}))).await
            };
            let result = answer.await;
            let (place, took) = (&endpoint.written, text::duration(start.elapsed()));
            match result {
                Ok(_) => say(&format!("Finished defragmenting etcd member[{place}]. took {took}"))?,
                Err(failure) => {
                    let reason = &failure.message;
                    eprintln!("Failed to defragment etcd member[{place}]. took {took}. ({reason})");
                    if let Some(hint) = &failure.hint {
                        eprintln!("  next:   {hint}");
                    }
                    failed = true;
                }
            }
        }
        if failed { Err(Failure::silent(1)) } else { Ok(()) }
    }
}
