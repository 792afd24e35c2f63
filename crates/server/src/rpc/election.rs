//! The Election service: whoever's key was created first under a name leads, and its value is what it proclaims.
//!
//! A candidate that leaves while it waits resigns. Errors arrive as in etcd, where this service is a client of the key
//! space (`Failure::behind_a_client`).

use super::led::{Led, Patience};
use super::recipe::{Dealer, OnLeaving, Told, before, contender, created_at, oldest, put, queue};
use super::status::Failure;
use super::{Services, convert};
use bytes::Bytes;
use node::watch::WatchEventKind;
use pb::LeaderKey;
use proto::mvccpb::KeyValue;
use proto::v3electionpb as pb;
use state::Command;
use state::command::{DeleteRange, Op, Txn};
use state::outcome::OpOutcome;
use state::query::RangeQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use types::limits::WATCH_RESPONSES_WAITING_MAX;
use types::{Key, KeyRange, LeaseId, Revision};

/// The Election service.
#[derive(Clone)]
pub(super) struct Election(pub Services);

/// Deletes a leader's key if it still is the one it was.
fn resignation(key: &Key, revision: i64) -> Txn {
    let delete = DeleteRange { range: KeyRange::single(key.clone()), prev_kv: false };
    Txn {
        compare: vec![created_at(key, revision)],
        success: vec![Op::DeleteRange(delete)],
        failure: Vec::new(),
    }
}

/// Changes a leader's value; answers the revision.
async fn proclaim(
    dealer: &Dealer,
    key: &Key,
    revision: i64,
    lease: LeaseId,
    value: Bytes,
) -> Result<Revision, Failure> {
    let success = vec![Op::Put(put(key, value, lease))];
    let txn = Txn { compare: vec![created_at(key, revision)], success, failure: Vec::new() };
    let (at, outcome) = dealer.txn(txn).await?;
    if outcome.succeeded { Ok(at) } else { Err(Failure::ElectionNotLeader) }
}

fn named(leader: &LeaderKey) -> Result<Key, Failure> {
    Key::new(leader.key.clone()).ok_or(Failure::EmptyKey)
}

impl Election {
    fn dealer<T>(&self, request: &Request<T>) -> Dealer {
        Dealer::new(&self.0, request)
    }

    async fn run(
        &self,
        dealer: &Dealer,
        request: pb::CampaignRequest,
    ) -> Result<pb::CampaignResponse, Failure> {
        let lease = dealer.session(request.lease).await?;
        let (key, queue) = (contender(&request.name, lease), queue(&request.name));
        let txn = Txn {
            compare: vec![created_at(&key, 0)],
            success: vec![Op::Put(put(&key, request.value.clone(), lease))],
            failure: vec![Op::Range(RangeQuery::latest(KeyRange::single(key.clone())))],
        };
        // A candidate that leaves before it knows its place resigns too; with its own lease, its key is its alone.
        let give_up = DeleteRange { range: KeyRange::single(key.clone()), prev_kv: false };
        let early = (request.lease == 0).then(|| OnLeaving::new(&self.0, Command::DeleteRange(give_up)));
        let (header, outcome) = dealer.txn(txn).await?;
        let mut revision = header.0;
        let mut stands_already = None;
        if !outcome.succeeded {
            let Some(OpOutcome::Range(found)) = outcome.ops.into_iter().next() else {
                return Err(Failure::StoreFailed);
            };
            let pair = found.pairs.into_iter().next().ok_or(Failure::StoreFailed)?;
            let pair = convert::read(pair)?;
            revision = pair.create_revision;
            stands_already = Some(pair.value);
        }
        let leaving = OnLeaving::new(&self.0, Command::Txn(resignation(&key, revision)));
        if let Some(early) = early {
            early.call_off();
        }
        if stands_already.is_some_and(|value| value != request.value) {
            proclaim(dealer, &key, revision, lease, request.value.clone()).await?;
        }
        if let Err(failure) = dealer.wait_for_earlier(&queue, before(revision)).await {
            // The wait failed by itself: the candidate still stands, as in etcd.
            leaving.call_off();
            return Err(failure);
        }
        leaving.call_off();
        let leader = LeaderKey { name: request.name, key: key.into_bytes(), rev: revision, lease: lease.0 };
        Ok(pb::CampaignResponse { header: Some(self.0.header(header)), leader: Some(leader) })
    }
}

#[tonic::async_trait]
impl pb::election_server::Election for Election {
    async fn campaign(
        &self,
        request: Request<pb::CampaignRequest>,
    ) -> Result<Response<pb::CampaignResponse>, Status> {
        let dealer = self.dealer(&request);
        let elected = self.run(&dealer, request.into_inner()).await;
        Ok(Response::new(elected.map_err(Failure::behind_a_client)?))
    }

    async fn proclaim(
        &self,
        request: Request<pb::ProclaimRequest>,
    ) -> Result<Response<pb::ProclaimResponse>, Status> {
        let dealer = self.dealer(&request);
        let request = request.into_inner();
        let proclaimed = async {
            let leader = request.leader.ok_or(Failure::MissingLeaderKey)?;
            let lease = dealer.session(leader.lease).await?;
            proclaim(&dealer, &named(&leader)?, leader.rev, lease, request.value).await
        };
        let revision = proclaimed.await.map_err(Failure::behind_a_client)?;
        Ok(Response::new(pb::ProclaimResponse { header: Some(self.0.header(revision)) }))
    }

    async fn leader(
        &self,
        request: Request<pb::LeaderRequest>,
    ) -> Result<Response<pb::LeaderResponse>, Status> {
        let dealer = self.dealer(&request);
        let found = dealer.first(oldest(&queue(&request.into_inner().name))).await;
        let (revision, leader) = found.map_err(Failure::behind_a_client)?;
        let kv = Some(leader.ok_or(Failure::ElectionNoLeader)?);
        Ok(Response::new(pb::LeaderResponse { header: Some(self.0.header(revision)), kv }))
    }

    type ObserveStream = Led<ReceiverStream<Result<pb::LeaderResponse, Status>>>;

    async fn observe(
        &self,
        request: Request<pb::LeaderRequest>,
    ) -> Result<Response<Self::ObserveStream>, Status> {
        let dealer = self.dealer(&request);
        let patience = Patience::of(&self.0, &request);
        let queue = queue(&request.into_inner().name);
        // Whoever may not read is told so at once.
        self.0.admit(dealer.principal(), super::requests::Reading(oldest(&queue)))?;
        let (told, answers) = mpsc::channel(WATCH_RESPONSES_WAITING_MAX);
        tokio::spawn(async move {
            // The task lives as long as the client listens.
            let gone = told.clone();
            tokio::select! {
                () = gone.closed() => {}
                failure = observe(&dealer, &queue, &told) => {
                    if let Err(failure) = failure {
                        let _ = told.send(Err(failure.behind_a_client().into())).await;
                    }
                }
            }
        });
        Ok(Response::new(Led::new(ReceiverStream::new(answers), patience)))
    }

    async fn resign(
        &self,
        request: Request<pb::ResignRequest>,
    ) -> Result<Response<pb::ResignResponse>, Status> {
        let dealer = self.dealer(&request);
        let resigned = async {
            let leader = request.into_inner().leader.ok_or(Failure::MissingLeaderKey)?;
            dealer.session(leader.lease).await?;
            let (revision, _) = dealer.txn(resignation(&named(&leader)?, leader.rev)).await?;
            Ok(revision)
        };
        let revision = resigned.await.map_err(Failure::behind_a_client)?;
        Ok(Response::new(pb::ResignResponse { header: Some(self.0.header(revision)) }))
    }
}

/// Tells each leader and each value it proclaims, for as long as somebody listens.
async fn observe(
    dealer: &Dealer,
    queue: &KeyRange,
    told: &mpsc::Sender<Result<pb::LeaderResponse, Status>>,
) -> Result<(), Failure> {
    let tell = async |revision: Revision, kv: KeyValue| {
        let header = Some(dealer.services.header(revision));
        told.send(Ok(pb::LeaderResponse { header, kv: Some(kv) })).await.map_err(|_| Failure::Canceled)
    };
    loop {
        let (revision, leader) = dealer.first(oldest(queue)).await?;
        let (revision, leader) = match leader {
            Some(leader) => (revision, leader),
            None => match first_put(dealer, queue, revision).await? {
                Some(put) => (Revision(put.mod_revision), put),
                None => continue,
            },
        };
        let Some(key) = Key::new(leader.key.clone()) else { return Err(Failure::StoreFailed) };
        tell(revision, leader).await?;
        let mut watched = dealer.watch(KeyRange::single(key), revision.next())?;
        'leads: loop {
            let Told::Events(events, revision) = watched.next().await? else { break };
            for (kind, kv) in events {
                if kind == WatchEventKind::Delete {
                    break 'leads;
                }
                tell(revision, kv).await?;
            }
        }
    }
}

/// The first key written in the queue from `revision` on; nothing when history went away meanwhile.
async fn first_put(
    dealer: &Dealer,
    queue: &KeyRange,
    revision: Revision,
) -> Result<Option<KeyValue>, Failure> {
    let mut watched = dealer.watch(queue.clone(), revision)?;
    loop {
        let Told::Events(events, _) = watched.next().await? else { return Ok(None) };
        if let Some((_, kv)) = events.into_iter().find(|(kind, _)| *kind == WatchEventKind::Put) {
            return Ok(Some(kv));
        }
    }
}
