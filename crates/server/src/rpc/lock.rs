//! The Lock service: whoever's key was created first under a name holds the lock, until its key or lease goes.
//!
//! A client that leaves while it waits gives up its place. Errors arrive as in etcd, where this service is a client of the
//! key space (`Failure::behind_a_client`).

use super::recipe::{Dealer, OnLeaving, before, contender, created_at, oldest, put, queue};
use super::status::Failure;
use super::{Services, convert};
use bytes::Bytes;
use proto::v3lockpb as pb;
use state::command::{DeleteRange, Op, Txn};
use state::outcome::OpOutcome;
use state::query::RangeQuery;
use state::{Command, Outcome};
use tonic::{Request, Response, Status};
use types::{KeyRange, Revision};

/// The Lock service.
#[derive(Clone)]
pub(super) struct Lock(pub Services);

impl Lock {
    async fn acquire(&self, dealer: &Dealer, request: pb::LockRequest) -> Result<pb::LockResponse, Failure> {
        let lease = dealer.session(request.lease).await?;
        let (key, queue) = (contender(&request.name, lease), queue(&request.name));
        let mine = KeyRange::single(key.clone());
        let release = Command::DeleteRange(DeleteRange { range: mine.clone(), prev_kv: false });
        let txn = Txn {
            compare: vec![created_at(&key, 0)],
            success: vec![Op::Put(put(&key, Bytes::new(), lease)), Op::Range(oldest(&queue))],
            failure: vec![Op::Range(RangeQuery::latest(mine.clone())), Op::Range(oldest(&queue))],
        };
        // The place in the queue is given up when the client leaves or something fails. With a lease of its own making
        // the place is this call's alone; with the client's, an earlier call may hold it until the answer says not.
        let early = (request.lease == 0).then(|| OnLeaving::new(&self.0, release.clone()));
        let (revision, outcome) = dealer.txn(txn).await?;
        let leaving = early.unwrap_or_else(|| OnLeaving::new(&self.0, release));
        let my_revision = match outcome.succeeded {
            true => revision.0,
            false => created(outcome.ops.first())?.ok_or(Failure::StoreFailed)?,
        };
        let owner = created(outcome.ops.get(1))?;
        let header = if owner.is_none_or(|owner| owner == my_revision) {
            revision
        } else {
            dealer.wait_for_earlier(&queue, before(my_revision)).await?;
            let (revision, held) = dealer.first(RangeQuery::latest(mine)).await?;
            if held.is_none() {
                leaving.call_off();
                return Err(Failure::SessionExpired);
            }
            revision
        };
        leaving.call_off();
        Ok(pb::LockResponse { header: Some(self.0.header(header)), key: key.into_bytes() })
    }
}

/// When the pair that a read found was created.
fn created(op: Option<&OpOutcome>) -> Result<Option<i64>, Failure> {
    let Some(OpOutcome::Range(found)) = op else { return Err(Failure::StoreFailed) };
    let Some(pair) = found.pairs.first() else { return Ok(None) };
    Ok(Some(convert::read(pair.clone())?.create_revision))
}

#[tonic::async_trait]
impl pb::lock_server::Lock for Lock {
    async fn lock(&self, request: Request<pb::LockRequest>) -> Result<Response<pb::LockResponse>, Status> {
        let dealer = Dealer::new(&self.0, &request);
        let locked = self.acquire(&dealer, request.into_inner()).await;
        Ok(Response::new(locked.map_err(Failure::behind_a_client)?))
    }

    async fn unlock(
        &self,
        request: Request<pb::UnlockRequest>,
    ) -> Result<Response<pb::UnlockResponse>, Status> {
        let principal = self.0.principal(&request);
        let released = async {
            let range = convert::key_range(request.into_inner().key, Bytes::new())?;
            let command = Command::DeleteRange(DeleteRange { range, prev_kv: false });
            let done = self.0.propose(&principal, command).await?;
            let Outcome::DeleteRange(_) = done.outcome else { return Err(self.0.mismatch("unlock")) };
            Ok::<Revision, Failure>(done.revision)
        };
        let revision = released.await.map_err(Failure::behind_a_client)?;
        Ok(Response::new(pb::UnlockResponse { header: Some(self.0.header(revision)) }))
    }
}
