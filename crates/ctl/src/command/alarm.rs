//! `alarm`: lists and ends alarms.

use super::show;
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use clap::Subcommand;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::alarm_request::AlarmAction;
use std::sync::Arc;

/// `alarm <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Alarm {
    /// End all alarms
    Disarm,
    /// List all alarms
    List,
}

async fn ask(
    client: &Client,
    action: AlarmAction,
    member_id: u64,
    alarm: i32,
) -> Result<pb::AlarmResponse, Failure> {
    let request = pb::AlarmRequest { action: action.into(), member_id, alarm };
    client.call(client.maintenance().alarm(client.request(request))).await
}

/// The alarms of all members.
pub(super) async fn list(client: &Client) -> Result<pb::AlarmResponse, Failure> {
    ask(client, AlarmAction::Get, 0, pb::AlarmType::None.into()).await
}

impl Alarm {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let client = Client::connect(settings).await?;
        let standing = list(&client).await?;
        let answer = match self {
            Self::List => standing,
            Self::Disarm => {
                let mut ended = pb::AlarmResponse::default();
                for alarm in standing.alarms {
                    let answer = ask(&client, AlarmAction::Deactivate, alarm.member_id, alarm.alarm).await?;
                    ended.alarms.extend(answer.alarms);
                }
                ended
            }
        };
        show(&client, &Answer::Alarm(&answer))
    }
}
