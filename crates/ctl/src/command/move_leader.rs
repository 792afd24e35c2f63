//! `move-leader`: hands the leadership to another member.

use super::{parse_uint, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use clap::Args;
use proto::etcdserverpb as pb;
use std::sync::Arc;

/// `move-leader <member id>`
#[derive(Args, Clone, Debug)]
pub struct MoveLeader {
    /// The next leader, in hexadecimal
    #[arg(value_name = "MEMBER_ID")]
    words: Vec<String>,
}

impl MoveLeader {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let [id] = self.words.as_slice() else {
            return Err(Failure::arguments("move-leader command needs 1 argument"));
        };
        let target_id = parse_uint(id, 16).map_err(Failure::arguments)?;
        for endpoint in &settings.endpoints {
            let client = Client::connect_to(settings, endpoint).await?;
            let status =
                client.call(client.maintenance().status(client.request(pb::StatusRequest {}))).await?;
            if status.header.is_some_and(|header| header.member_id == status.leader) {
                let request = client.request(pb::MoveLeaderRequest { target_id });
                let answer = client.call(client.maintenance().move_leader(request)).await?;
                return show(&client, &Answer::MoveLeader(status.leader, target_id, &answer));
            }
        }
        let asked: Vec<&str> = settings.endpoints.iter().map(|endpoint| endpoint.written.as_str()).collect();
        Err(Failure::arguments(format!("no leader endpoint given at [{}]", asked.join(" ")))
            .hinting("name all members with --endpoints; strongroom endpoint status shows the leader"))
    }
}
