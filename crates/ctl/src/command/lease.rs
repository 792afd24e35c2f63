//! `lease`: grants, ends, asks about and renews leases.

use super::{parse_int, say, session, show};
use crate::connect::Client;
use crate::exit::{Code, Failure};
use crate::print::{Answer, Format, Keys};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use proto::etcdserverpb as pb;
use std::sync::Arc;

/// `lease <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Lease {
    /// Make a lease
    #[command(override_usage = "strongroom lease grant [OPTIONS] <TTL>")]
    Grant(Grant),
    /// Renew a lease, again and again
    #[command(override_usage = "strongroom lease keep-alive [OPTIONS] <LEASE_ID>")]
    KeepAlive(KeepAlive),
    /// List the leases
    List,
    /// End a lease and delete its keys
    #[command(override_usage = "strongroom lease revoke [OPTIONS] <LEASE_ID>")]
    Revoke(One),
    /// How long a lease has still to live
    #[command(override_usage = "strongroom lease timetolive [OPTIONS] <LEASE_ID>")]
    Timetolive(TimeToLive),
}

/// `lease grant <ttl>`
#[derive(Args, Clone, Debug)]
pub struct Grant {
    /// Time to live, in seconds
    #[arg(value_name = "TTL")]
    words: Vec<String>,
}

/// A command about one lease.
#[derive(Args, Clone, Debug)]
pub struct One {
    /// The lease, in hexadecimal
    #[arg(value_name = "LEASE_ID")]
    words: Vec<String>,
}

/// `lease timetolive <id>`
#[derive(Args, Clone, Debug)]
pub struct TimeToLive {
    #[command(flatten)]
    one: One,
    /// With its keys
    #[arg(long)]
    keys: bool,
}

/// `lease keep-alive <id>`
#[derive(Args, Clone, Debug)]
pub struct KeepAlive {
    #[command(flatten)]
    one: One,
    /// Once, not again and again
    #[arg(long)]
    once: bool,
}

impl One {
    fn id(&self, usage: &str) -> Result<i64, Failure> {
        let [id] = self.words.as_slice() else { return Err(Failure::arguments(usage)) };
        parse_int(id, 16)
            .map_err(|error| Failure::arguments(format!("bad lease ID arg ({error}), expecting ID in Hex")))
    }
}

impl Lease {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match self {
            Self::Grant(grant) => grant.run(settings).await,
            Self::KeepAlive(keep_alive) => keep_alive.run(settings).await,
            Self::List => {
                let client = Client::connect(settings).await?;
                let request = client.request(pb::LeaseLeasesRequest {});
                let answer = client
                    .call(client.lease().lease_leases(request))
                    .await
                    .map_err(Failure::over_connection)?;
                show(&client, &Answer::Leases(&answer))
            }
            Self::Revoke(one) => {
                let id = one.id("lease revoke command needs 1 argument")?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::LeaseRevokeRequest { id });
                let answer = client.call(client.lease().lease_revoke(request)).await;
                let answer = answer.map_err(|failure| failure.inside("failed to revoke lease"))?;
                show(&client, &Answer::Revoke(id, &answer))
            }
            Self::Timetolive(ttl) => {
                let id = ttl.one.id("lease timetolive command needs lease ID as argument")?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::LeaseTimeToLiveRequest { id, keys: ttl.keys });
                let answer = client
                    .call(client.lease().lease_time_to_live(request))
                    .await
                    .map_err(Failure::over_connection)?;
                show(&client, &Answer::TimeToLive(&answer, if ttl.keys { Keys::Shown } else { Keys::Hidden }))
            }
        }
    }
}

impl Grant {
    async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let [ttl] = self.words.as_slice() else {
            return Err(Failure::arguments("lease grant command needs TTL argument"));
        };
        let ttl = parse_int(ttl, 10).map_err(|error| {
            Failure::arguments(format!("bad TTL ({error})"))
                .hinting("give the time in whole seconds, without a unit")
        })?;
        let client = Client::connect(settings).await?;
        let request = client.request(pb::LeaseGrantRequest { ttl, id: 0 });
        let answer = client.call(client.lease().lease_grant(request)).await;
        let answer = answer.map_err(|failure| failure.inside("failed to grant lease"))?;
        show(&client, &Answer::Grant(&answer))
    }
}

impl KeepAlive {
    async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let id = self.one.id("lease keep-alive command needs lease ID as argument")?;
        let client = Client::connect(settings).await?;
        let mut renewals = session::Renewals::open(&client, id).await.map_err(Failure::over_connection)?;
        if self.once {
            let answer = renewals.renew(&client).await.map_err(Failure::over_connection)?;
            if answer.ttl <= 0 {
                return Err(Failure::new(Code::Connection, "etcdserver: requested lease not found")
                    .hinting("lease identifiers are hexadecimal; see strongroom lease list"));
            }
            return show(&client, &Answer::KeepAlive(&answer));
        }
        loop {
            let answer = renewals.renew(&client).await.map_err(Failure::over_connection)?;
            if answer.ttl <= 0 {
                break;
            }
            show(&client, &Answer::KeepAlive(&answer))?;
            tokio::time::sleep(session::pause(answer.ttl)).await;
        }
        if settings.format == Format::Simple {
            say(&format!("lease {id:016x} expired or revoked."))
        } else {
            Ok(())
        }
    }
}
