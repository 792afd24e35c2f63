//! `endpoint`: health, state and hash of each member, asked one by one.
//!
//! A member that cannot be asked is reported and the others are asked all the same; the exit code tells.

use super::{alarm, emit};
use crate::connect::Client;
use crate::connect::endpoint::Endpoint;
use crate::exit::Failure;
use crate::print::{Answer, Format, Printer, alarm_name, text};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use proto::etcdserverpb as pb;
use std::sync::Arc;
use tokio::time::Instant;

/// `endpoint <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Endpoints {
    /// Whether each member can commit
    Health(Which),
    /// Version, size, leader and indexes of each member
    Status(Which),
    /// Hash of each member's history of keys
    Hashkv(HashKv),
}

/// Which members are asked.
#[derive(Args, Clone, Debug, Default)]
pub struct Which {
    /// All members of the cluster, as it lists them
    #[arg(long)]
    cluster: bool,
}

/// `endpoint hashkv [options]`
#[derive(Args, Clone, Debug)]
pub struct HashKv {
    #[command(flatten)]
    which: Which,
    /// Up to this revision [default: the newest]
    #[arg(long, default_value_t = 0, hide_default_value = true, allow_hyphen_values = true)]
    rev: i64,
}

/// What the health of one member is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) endpoint: String,
    pub(crate) healthy: bool,
    pub(crate) took: String,
    pub(crate) error: String,
}

/// What one member says of itself.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) endpoint: String,
    pub(crate) answer: pb::StatusResponse,
}

/// One member's hash.
#[derive(Clone, Debug)]
pub(crate) struct Hash {
    pub(crate) endpoint: String,
    pub(crate) answer: pb::HashKvResponse,
}

impl Which {
    /// The endpoints to ask.
    pub(super) async fn endpoints(&self, settings: &Arc<Settings>) -> Result<Vec<Endpoint>, Failure> {
        if !self.cluster {
            return Ok(settings.endpoints.clone());
        }
        let client = Client::connect(settings).await?;
        let request = pb::MemberListRequest { linearizable: true };
        let members =
            client.call(client.cluster().member_list(client.request(request))).await.map_err(|failure| {
                let message =
                    format!("failed to fetch endpoints from etcd cluster member list: {}", failure.message);
                Failure { message, ..failure }
            })?;
        let urls = members.members.into_iter().flat_map(|member| member.client_ur_ls);
        urls.map(|url| {
            Endpoint::parse(&url)
                .map_err(|_| Failure::error(format!("the cluster lists an unusable client URL: {url}")))
        })
        .collect()
    }
}

fn printer(settings: &Settings) -> Printer {
    Printer { format: settings.format, notation: settings.notation, ..Printer::default() }
}

/// Says on standard error what went wrong with one member, with its cause and way out.
fn report(sentence: &str, endpoint: &Endpoint, failure: &Failure) {
    let place = &endpoint.written;
    eprintln!("Failed to {sentence} {place} ({})", failure.message);
    if let Some(hint) = &failure.hint {
        eprintln!("  next:   {hint}");
    }
}

impl Endpoints {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match self {
            Self::Health(which) => health(settings, which.endpoints(settings).await?).await,
            Self::Status(which) => status(settings, which.endpoints(settings).await?).await,
            Self::Hashkv(hash) => hashkv(settings, hash.which.endpoints(settings).await?, hash.rev).await,
        }
    }
}

async fn health(settings: &Arc<Settings>, endpoints: Vec<Endpoint>) -> Result<(), Failure> {
    let tasks: Vec<_> = endpoints
        .into_iter()
        .map(|endpoint| {
            let settings = Arc::clone(settings);
            tokio::spawn(async move { examine(&settings, &endpoint).await })
        })
        .collect();
    let (mut list, mut hints) = (Vec::new(), Vec::new());
    for task in tasks {
        let (health, hint) = task.await.map_err(|error| Failure::error(error.to_string()))?;
        list.push(health);
        hints.push(hint);
    }
    let out = printer(settings).render(&Answer::Health(&list))?;
    let sick = list.iter().zip(&hints).filter(|(health, _)| !health.error.is_empty());
    for (health, hint) in sick.clone() {
        if settings.format == Format::Simple {
            eprintln!("{} is unhealthy: failed to commit proposal: {}", health.endpoint, health.error);
        }
        if let Some(hint) = hint {
            eprintln!("  next:   {hint}");
        }
    }
    emit(&out)?;
    if sick.count() > 0 { Err(Failure::error("unhealthy cluster")) } else { Ok(()) }
}

/// Reads a key through consensus, then asks for alarms. Being refused the key is health: it went the whole way.
async fn examine(settings: &Arc<Settings>, endpoint: &Endpoint) -> (Health, Option<String>) {
    let mut health = Health { endpoint: endpoint.written.clone(), ..Health::default() };
    let client = match Client::connect_to(settings, endpoint).await {
        Ok(client) => client,
        Err(failure) => {
            health.error = failure.message;
            return (health, failure.hint);
        }
    };
    let start = Instant::now();
    let request = pb::RangeRequest { key: "health".into(), ..pb::RangeRequest::default() };
    let answer = client.call(client.kv().range(client.request(request))).await;
    health.took = text::duration(start.elapsed());
    if let Err(failure) = answer
        && failure.message != "etcdserver: permission denied"
    {
        health.error = failure.message;
        return (health, failure.hint);
    }
    match alarm::list(&client).await {
        Ok(answer) if answer.alarms.is_empty() => health.healthy = true,
        Ok(answer) => {
            health.error = "Active Alarm(s): ".into();
            for alarm in answer.alarms {
                let name = alarm_name(alarm.alarm);
                let known = ["NOSPACE", "CORRUPT"].contains(&name.as_str());
                health.error += if known { &name } else { "UNKNOWN" };
                health.error += " ";
            }
        }
        Err(_) => health.error = "Unable to fetch the alarm list".into(),
    }
    (health, None)
}

async fn status(settings: &Arc<Settings>, endpoints: Vec<Endpoint>) -> Result<(), Failure> {
    let (mut list, mut failed) = (Vec::new(), false);
    for endpoint in endpoints {
        let answer = async {
            let client = Client::connect_to(settings, &endpoint).await?;
            client.call(client.maintenance().status(client.request(pb::StatusRequest {}))).await
        };
        match answer.await {
            Ok(answer) => list.push(State { endpoint: endpoint.written, answer }),
            Err(failure) => {
                report("get the status of endpoint", &endpoint, &failure);
                failed = true;
            }
        }
    }
    emit(&printer(settings).render(&Answer::Status(&list))?)?;
    if failed { Err(Failure::silent(1)) } else { Ok(()) }
}

async fn hashkv(settings: &Arc<Settings>, endpoints: Vec<Endpoint>, revision: i64) -> Result<(), Failure> {
    let (mut list, mut failed) = (Vec::new(), None);
    for endpoint in endpoints {
        let answer = async {
            let client = Client::connect_to(settings, &endpoint).await?;
            client.call(client.maintenance().hash_kv(client.request(pb::HashKvRequest { revision }))).await
        };
        match answer.await {
            Ok(answer) => list.push(Hash { endpoint: endpoint.written, answer }),
            Err(failure) => {
                report("get the hash of endpoint", &endpoint, &failure);
                failed = Some(failure);
            }
        }
    }
    emit(&printer(settings).render(&Answer::Hash(&list))?)?;
    failed.map_or(Ok(()), |failure| Err(Failure { code: 1, ..failure }))
}
