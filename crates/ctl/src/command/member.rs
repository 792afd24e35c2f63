//! `member`: lists and changes the members of the cluster.

use super::get::is_serializable;
use super::{parse_uint, say, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::text::quote;
use crate::print::{Answer, Format};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use proto::etcdserverpb as pb;
use std::sync::Arc;

/// `member <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Member {
    /// Add a member
    #[command(override_usage = "strongroom member add [OPTIONS] <NAME> --peer-urls <URLS>")]
    Add(Add),
    /// List the members
    List(List),
    /// Make a learner a voter
    #[command(override_usage = "strongroom member promote [OPTIONS] <MEMBER_ID>")]
    Promote(One),
    /// Remove a member
    #[command(override_usage = "strongroom member remove [OPTIONS] <MEMBER_ID>")]
    Remove(One),
    /// Change a member's peer URLs
    #[command(override_usage = "strongroom member update [OPTIONS] <MEMBER_ID> --peer-urls <URLS>")]
    Update(Update),
}

/// `member add <name> --peer-urls <url,…>`
#[derive(Args, Clone, Debug)]
pub struct Add {
    /// Name of the new member
    #[arg(value_name = "NAME")]
    words: Vec<String>,
    /// Its peer URLs, with commas between
    #[arg(long, default_value = "", hide_default_value = true)]
    peer_urls: String,
    /// As a learner: without a vote until it is promoted
    #[arg(long)]
    learner: bool,
}

/// `member list`
#[derive(Args, Clone, Debug)]
pub struct List {
    /// Linearizable (l) or serializable (s)
    #[arg(long, default_value = "l")]
    consistency: String,
}

/// A command about one member.
#[derive(Args, Clone, Debug)]
pub struct One {
    /// Its identifier, in hexadecimal
    #[arg(value_name = "MEMBER_ID")]
    words: Vec<String>,
}

/// `member update <id> --peer-urls <url,…>`
#[derive(Args, Clone, Debug)]
pub struct Update {
    #[command(flatten)]
    one: One,
    /// Its new peer URLs, with commas between
    #[arg(long, default_value = "", hide_default_value = true)]
    peer_urls: String,
}

impl One {
    fn id(&self) -> Result<u64, Failure> {
        let [id] = self.words.as_slice() else { return Err(Failure::arguments("member ID is not provided")) };
        parse_uint(id, 16)
            .map_err(|error| Failure::arguments(format!("bad member ID arg ({error}), expecting ID in Hex")))
    }
}

fn urls(list: &str) -> Result<Vec<String>, Failure> {
    if list.is_empty() {
        return Err(
            Failure::arguments("member peer urls not provided").hinting("add --peer-urls=https://host:2380")
        );
    }
    Ok(list.split(',').map(str::to_owned).collect())
}

impl Member {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(settings).await,
            Self::List(list) => list.run(settings).await,
            Self::Promote(one) => {
                let id = one.id()?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::MemberPromoteRequest { id });
                let answer = client.call(client.cluster().member_promote(request)).await?;
                show(&client, &Answer::MemberPromote(id, &answer))
            }
            Self::Remove(one) => {
                let id = one.id()?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::MemberRemoveRequest { id });
                let answer = client.call(client.cluster().member_remove(request)).await?;
                show(&client, &Answer::MemberRemove(id, &answer))
            }
            Self::Update(update) => {
                let (id, peer_ur_ls) = (update.one.id()?, urls(&update.peer_urls)?);
                let client = Client::connect(settings).await?;
                let request = client.request(pb::MemberUpdateRequest { id, peer_ur_ls });
                let answer = client.call(client.cluster().member_update(request)).await?;
                show(&client, &Answer::MemberUpdate(id, &answer))
            }
        }
    }
}

impl List {
    async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let linearizable = !is_serializable(&self.consistency)?;
        let client = Client::connect(settings).await?;
        let request = client.request(pb::MemberListRequest { linearizable });
        let answer = client.call(client.cluster().member_list(request)).await?;
        show(&client, &Answer::Members(&answer))
    }
}

impl Add {
    async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let name = match self.words.as_slice() {
            [] => return Err(Failure::arguments("member name not provided")),
            [name] => name,
            many => {
                let meant = many.iter().find(|word| word.to_lowercase().starts_with("http"));
                let question =
                    meant.map_or_else(String::new, |url| format!(", did you mean --peer-urls={url}"));
                return Err(Failure::arguments(format!("too many arguments{question}")));
            }
        };
        let peer_ur_ls = urls(&self.peer_urls)?;
        let client = Client::connect(settings).await?;
        let request = client.request(pb::MemberAddRequest { peer_ur_ls, is_learner: self.learner });
        let answer = client.call(client.cluster().member_add(request)).await?;
        show(&client, &Answer::MemberAdd(&answer))?;
        if settings.format == Format::Simple { say(&self.start_settings(name, &answer)) } else { Ok(()) }
    }

    /// What the new member has to be started with.
    fn start_settings(&self, name: &str, answer: &pb::MemberAddResponse) -> String {
        let new = answer.member.as_ref().map_or(0, |member| member.id);
        let cluster: Vec<String> = answer
            .members
            .iter()
            .flat_map(|member| {
                let name = if member.id == new { name } else { member.name.as_str() };
                member.peer_ur_ls.iter().map(move |url| format!("{name}={url}"))
            })
            .collect();
        format!(
            "\nETCD_NAME={}\nETCD_INITIAL_CLUSTER={}\nETCD_INITIAL_ADVERTISE_PEER_URLS={}\nETCD_INITIAL_CLUSTER_STATE=\"existing\"",
            quote(name.as_bytes()),
            quote(cluster.join(",").as_bytes()),
            quote(self.peer_urls.as_bytes())
        )
    }
}
