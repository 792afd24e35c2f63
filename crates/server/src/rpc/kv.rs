//! The KV service: ranges, puts, deletions, transactions, compaction.
//!
//! Reads are answered from the applied state, after a barrier where they must be linearizable; writes go through the log.
//! A transaction whose operations are all ranges is a read, as in etcd.

use super::Services;
use super::ask::{Done, Freshness};
use super::convert;
use super::list::{Gathers, Held, Listed, held};
use super::range_stream::RangeStream;
use super::requests::{Reading, ReadingTxn};
use super::standing::Standing;
use super::status::Failure;
use audit::Recorded;
use node::Op;
use proto::etcdserverpb as pb;
use state::auth::Principal;
use state::outcome::TxnOutcome;
use state::{Command, Outcome};
use tonic::{Request, Response, Status};
use types::Revision;

/// The KV service.
#[derive(Clone)]
pub(super) struct Kv(pub Services);

impl Kv {
    fn read_txn(&self, reading: &Recorded<ReadingTxn>) -> Result<(Revision, TxnOutcome), Failure> {
        let began = self.0.now();
        let read = self.0.inspect(reading).txn_read(&reading.request().0);
        let (took, counts) = (self.0.now().since(began), self.0.member().counts());
        counts.requests.note(Op::ReadonlyTxn, read.as_ref(), took);
        counts.note_if_slow(took);
        Ok(read?)
    }

    /// Proposes a command whose answer may hold many pairs.
    async fn propose(
        &self,
        principal: &Principal,
        command: Command,
    ) -> Result<(Done, Option<Held>), Failure> {
        let command = self.0.admit(principal, command)?;
        let held = self.0.hold(&command, &held::reads(command.request())).await?;
        Ok((self.0.propose_admitted(principal, command).await?, held))
    }
}

#[tonic::async_trait]
impl pb::kv_server::Kv for Kv {
    async fn range(&self, request: Request<pb::RangeRequest>) -> Result<Response<pb::RangeResponse>, Status> {
        let caller = self.0.caller(&request);
        let gathers = request.extensions().get::<Gathers>().copied();
        let request = request.into_inner();
        let freshness = Freshness::of_serializable(request.serializable);
        match self.0.list(&caller, convert::range(request)?, freshness, gathers).await? {
            Listed::Small(found) => {
                Ok(Response::new(convert::range_answer(self.0.header(found.revision), found)))
            }
            Listed::Large(streamed, held) => {
                let mut answer = Held::carried(held, pb::RangeResponse::default());
                answer.extensions_mut().insert(streamed);
                Ok(answer)
            }
        }
    }

    type RangeStreamStream = RangeStream;

    async fn range_stream(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<RangeStream>, Status> {
        let standing = Standing::of(&self.0, &request);
        let request = request.into_inner();
        let (serializable, limit) = (request.serializable, request.limit);
        let reading = self.0.admit(standing.principal(), Reading(convert::range_stream(request)?))?;
        if !serializable {
            self.0.barrier().await?;
        }
        Ok(Response::new(RangeStream::new(self.0.clone(), standing, reading, limit)))
    }

    async fn put(&self, request: Request<pb::PutRequest>) -> Result<Response<pb::PutResponse>, Status> {
        let principal = self.0.principal(&request);
        let command = Command::Put(convert::put(request.into_inner())?);
        let done = self.0.propose(&principal, command).await?;
        let Outcome::Put(put) = done.outcome else { return Err(self.0.mismatch("put").into()) };
        Ok(Response::new(convert::put_answer(self.0.header(done.revision), put)))
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        let principal = self.0.principal(&request);
        let command = Command::DeleteRange(convert::delete_range(request.into_inner())?);
        let (done, held) = self.propose(&principal, command).await?;
        let Outcome::DeleteRange(delete) = done.outcome else {
            return Err(self.0.mismatch("delete range").into());
        };
        Ok(Held::carried(held, convert::delete_answer(self.0.header(done.revision), delete)))
    }

    async fn txn(&self, request: Request<pb::TxnRequest>) -> Result<Response<pb::TxnResponse>, Status> {
        let caller = self.0.caller(&request);
        let parsed = convert::txn(request.into_inner(), self.0.limits().max_txn_ops)?;
        let (revision, txn, held) = if parsed.txn.is_read_only_as_etcd_says() {
            let reading = self.0.admit(caller.principal(), ReadingTxn(parsed.txn))?;
            if !parsed.serializable {
                self.0.barrier().await?;
            }
            let mut reads = Vec::new();
            held::of_txn(&reading.request().0, &mut reads);
            let held = self.0.hold(&reading, &reads).await?;
            if held.is_some() {
                // It may have waited for long since it was admitted.
                Standing::new(&self.0, caller).check(reading.request())?;
            }
            let (revision, txn) = self.read_txn(&reading)?;
            (revision, txn, held)
        } else {
            let (done, held) = self.propose(caller.principal(), Command::Txn(parsed.txn)).await?;
            let Outcome::Txn(txn) = done.outcome else { return Err(self.0.mismatch("txn").into()) };
            (done.revision, txn, held)
        };
        Ok(Held::carried(held, convert::txn_answer(self.0.header(revision), txn)))
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        let principal = self.0.principal(&request);
        let command = Command::Compact(convert::compact(request.into_inner()));
        self.0.propose(&principal, command).await?;
        Ok(Response::new(pb::CompactionResponse { header: Some(self.0.header_now()) }))
    }
}
