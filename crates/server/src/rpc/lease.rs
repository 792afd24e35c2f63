//! The Lease service: granting, revoking, renewing, asking.
//!
//! Grants and revocations go through the log; renewals and remaining times are the leader's clock's, outside it.

use super::Services;
use super::led::{Led, Patience};
use super::requests::KeysOf;
use super::standing::Standing;
use super::status::{Failure, reworded_on_stream};
use proto::etcdserverpb as pb;
use state::auth::{Principal, Renewal};
use state::command::LeaseGrant;
use state::{Command, Outcome};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use types::LeaseId;
use types::limits::LEASES_OF_STREAM_CHECKED_MAX;

/// The Lease service.
#[derive(Clone)]
pub(super) struct Lease(pub Services);

impl Services {
    /// Makes a lease; id zero lets the member choose one.
    pub(super) async fn grant(
        &self,
        principal: &Principal,
        id: LeaseId,
        ttl_seconds: i64,
    ) -> Result<pb::LeaseGrantResponse, Failure> {
        let id = if id.is_none() { self.fresh_lease() } else { id };
        let ttl_seconds = ttl_seconds.max(self.limits().lease_ttl_seconds_min);
        let done = self.propose(principal, Command::LeaseGrant(LeaseGrant { id, ttl_seconds })).await?;
        let Outcome::LeaseGrant { id, ttl_seconds } = done.outcome else {
            return Err(self.mismatch("grant"));
        };
        let header = Some(self.header(done.revision));
        Ok(pb::LeaseGrantResponse { header, id: id.0, ttl: ttl_seconds, error: String::new() })
    }

    /// A positive id that nobody can guess.
    fn fresh_lease(&self) -> LeaseId {
        let number = self.context.random.number() & (u64::MAX >> 1);
        LeaseId(i64::try_from(number).unwrap_or(1).max(1))
    }
}

#[tonic::async_trait]
impl pb::lease_server::Lease for Lease {
    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        let principal = self.0.principal(&request);
        let request = request.into_inner();
        Ok(Response::new(self.0.grant(&principal, LeaseId(request.id), request.ttl).await?))
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        let principal = self.0.principal(&request);
        let command = Command::LeaseRevoke(LeaseId(request.into_inner().id));
        let done = self.0.propose(&principal, command).await?;
        Ok(Response::new(pb::LeaseRevokeResponse { header: Some(self.0.header(done.revision)) }))
    }

    type LeaseKeepAliveStream = Led<KeepAlive>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Led<KeepAlive>>, Status> {
        let standing = Standing::of(&self.0, &request);
        // Whoever may renew nothing is told so at once, not at the first renewal.
        self.0.admit(standing.principal(), LeaseId::NONE)?;
        let patience = Patience::of(&self.0, &request);
        let renewals = KeepAlive {
            services: self.0.clone(),
            standing,
            renewed: Vec::new(),
            requests: Some(request.into_inner()),
        };
        Ok(Response::new(Led::new(renewals, patience)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let principal = self.0.principal(&request);
        let request = request.into_inner();
        let lease = self.0.admit(&principal, LeaseId(request.id))?;
        self.0.barrier().await?;
        let mut answer =
            pb::LeaseTimeToLiveResponse { id: request.id, ttl: -1, ..pb::LeaseTimeToLiveResponse::default() };
        if let Some(view) = self.0.inspect(&lease).lease(*lease.request()) {
            // A lease that was granted this moment may not be on the clock yet: it has all of its life left.
            answer.ttl = self.0.member().lease_remaining_seconds(&lease).unwrap_or(view.ttl_seconds);
            answer.granted_ttl = view.ttl_seconds;
            if request.keys {
                self.0.admit(&principal, KeysOf(vec![view.id]))?;
                answer.keys = view.keys.into_iter().map(types::Key::into_bytes).collect();
            }
        }
        answer.header = Some(self.0.header_now());
        Ok(Response::new(answer))
    }

    async fn lease_leases(
        &self,
        request: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        let principal = self.0.principal(&request);
        let somebody = self.0.admit(&principal, LeaseId::NONE)?;
        self.0.barrier().await?;
        let found = self.0.inspect(&somebody).leases();
        self.0.admit(&principal, KeysOf(found.iter().map(|(id, ..)| *id).collect()))?;
        let mut leases = Vec::new();
        for (id, ttl_seconds, _) in found {
            let lease = self.0.admit(&principal, id)?;
            let left = self.0.member().lease_remaining_seconds(&lease).unwrap_or(ttl_seconds);
            leases.push((left, id));
        }
        // The one that ends first comes first.
        leases.sort_unstable();
        let leases = leases.into_iter().map(|(_, id)| pb::LeaseStatus { id: id.0 }).collect();
        Ok(Response::new(pb::LeaseLeasesResponse { header: Some(self.0.header_now()), leases }))
    }
}

/// A stream of renewals: one answer for each request, in order.
pub(super) struct KeepAlive {
    services: Services,
    standing: Standing,
    /// The leases renewed last, each once: who may not renew one of them any more is cut off.
    renewed: Vec<LeaseId>,
    requests: Option<Streaming<pb::LeaseKeepAliveRequest>>,
}

impl KeepAlive {
    fn renew(&mut self, request: &pb::LeaseKeepAliveRequest) -> Result<pb::LeaseKeepAliveResponse, Failure> {
        self.standing.check_caller()?;
        // The header first: a client must not see a renewal at a revision at which the lease may be gone already.
        let header = Some(self.services.header_now());
        let id = LeaseId(request.id);
        let lease = self.services.admit(self.standing.principal(), Renewal(id))?;
        let ttl = match self.services.member().keep_alive(&lease) {
            Ok(ttl) => ttl,
            Err(node::Refused::LeaseNotFound) => 0,
            Err(refused) => return Err(refused.into()),
        };
        if !self.renewed.contains(&id) {
            if self.renewed.len() >= LEASES_OF_STREAM_CHECKED_MAX {
                self.renewed.remove(0);
            }
            self.renewed.push(id);
        }
        Ok(pb::LeaseKeepAliveResponse { header, id: request.id, ttl })
    }

    /// Whether the caller may still do what it does here.
    fn check(&mut self) -> Result<(), Failure> {
        if self.standing.has_changed() {
            self.standing.check(&LeaseId::NONE)?;
            self.renewed.iter().try_for_each(|lease| self.standing.check(&Renewal(*lease)))?;
        }
        Ok(())
    }

    fn end(&mut self, status: Status) -> Poll<Option<Result<pb::LeaseKeepAliveResponse, Status>>> {
        self.requests = None;
        Poll::Ready(Some(Err(status)))
    }
}

impl Stream for KeepAlive {
    type Item = Result<pb::LeaseKeepAliveResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(requests) = &mut this.requests else { return Poll::Ready(None) };
        match Pin::new(requests).poll_next(cx) {
            Poll::Ready(None) => {
                this.requests = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(request))) => match this.renew(&request) {
                Ok(answer) => Poll::Ready(Some(Ok(answer))),
                Err(failure) => this.end(failure.into()),
            },
            Poll::Ready(Some(Err(status))) => this.end(reworded_on_stream(&status).unwrap_or(status)),
            Poll::Pending => loop {
                match std::task::ready!(this.standing.poll_change(cx)).and_then(|()| this.check()) {
                    Ok(()) => {}
                    Err(failure) => return this.end(failure.into()),
                }
            },
        }
    }
}
