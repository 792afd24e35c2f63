//! `elect`: stands for election with a proposal, or watches who is elected.

use super::lock::place;
use super::session::{Events, Session, first_made, just, made_at, op, queue, signal, wait_turn};
use super::{raw, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use bytes::Bytes;
use clap::Args;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::request_op::Request;
use proto::mvccpb;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

/// A candidate's lease, in seconds.
const SESSION_TTL: i64 = 60;

/// `elect <election> [proposal]`, `elect -l <election>`
#[derive(Args, Clone, Debug)]
pub struct Elect {
    /// The election, and what we propose
    #[arg(value_names = ["ELECTION", "PROPOSAL"])]
    words: Vec<OsString>,
    /// Watch who is elected
    #[arg(short, long)]
    listen: bool,
}

impl Elect {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match (self.words.as_slice(), self.listen) {
            ([election], true) => observe(settings, election).await,
            ([_], false) => Err(Failure::arguments("no proposal argument but -l not set")
                .hinting("give a proposal to stand for election, or -l to watch")),
            ([election, proposal], false) => campaign(settings, election, proposal).await,
            ([_, _], true) => Err(Failure::arguments("proposal given but -l is set")),
            _ => Err(Failure::arguments(
                "elect takes one election name argument and an optional proposal argument",
            )),
        }
    }
}

async fn campaign(settings: &Arc<Settings>, election: &OsStr, proposal: &OsStr) -> Result<(), Failure> {
    let client = Client::connect(settings).await?;
    let session = Session::begin(&client, SESSION_TTL).await?;
    let (prefix, key) = place(election, session.lease);
    let made = queue(&client, &key, raw(proposal), session.lease).await?;
    let turn = tokio::select! {
        turn = wait_turn(&client, &prefix, made) => turn,
        stop = signal() => stop.and(Err(Failure::error("context canceled"))),
        () = session.lost() => Err(Failure::error("elect: session expired")),
    };
    if let Err(failure) = turn {
        let _ = resign(&client, &key, made).await;
        return Err(failure);
    }
    let answer = client.call(client.kv().range(client.request(just(&key)))).await?;
    show(&client, &Answer::Range(&answer))?;
    tokio::select! {
        stop = signal() => stop?,
        () = session.lost() => return Err(Failure::error("elect: session expired")),
    }
    resign(&client, &key, made).await
}

async fn resign(client: &Client, key: &Bytes, made: i64) -> Result<(), Failure> {
    let delete = pb::DeleteRangeRequest { key: key.clone(), ..pb::DeleteRangeRequest::default() };
    let request = pb::TxnRequest {
        compare: vec![made_at(key, made)],
        success: vec![op(Request::RequestDeleteRange(delete))],
        failure: Vec::new(),
    };
    client.call(client.kv().txn(client.request(request))).await.map(|_| ())
}

async fn observe(settings: &Arc<Settings>, election: &OsStr) -> Result<(), Failure> {
    let client = Client::connect(settings).await?;
    let (prefix, _) = place(election, 0);
    tokio::select! {
        stop = signal() => stop,
        end = follow(&client, &prefix) => end,
    }
}

/// Shows each leader and each of its proposals, one after the other.
async fn follow(client: &Client, prefix: &Bytes) -> Result<(), Failure> {
    loop {
        let answer = client.call(client.kv().range(client.request(first_made(prefix)))).await?;
        let now = answer.header.unwrap_or_default();
        let (header, leader) = match answer.kvs.into_iter().next() {
            Some(leader) => (now, leader),
            None => first_proposal(client, prefix, now.revision).await?,
        };
        let since = header.revision.saturating_add(1);
        let key = leader.key.clone();
        shown(client, header, leader)?;
        proposals(client, key, since).await?;
    }
}

fn shown(client: &Client, header: pb::ResponseHeader, leader: mvccpb::KeyValue) -> Result<(), Failure> {
    let answer =
        pb::RangeResponse { header: Some(header), kvs: vec![leader], ..pb::RangeResponse::default() };
    show(client, &Answer::Range(&answer))
}

async fn first_proposal(
    client: &Client,
    prefix: &Bytes,
    since: i64,
) -> Result<(pb::ResponseHeader, mvccpb::KeyValue), Failure> {
    let request = pb::WatchCreateRequest {
        key: prefix.clone(),
        range_end: super::range::prefix_end(prefix),
        start_revision: since,
        ..pb::WatchCreateRequest::default()
    };
    let mut events = Events::open(client, request).await?;
    loop {
        let answer = events.next(client).await?;
        let put =
            answer.events.into_iter().find(|event| event.r#type == mvccpb::event::EventType::Put as i32);
        if let Some(kv) = put.and_then(|event| event.kv) {
            let header =
                pb::ResponseHeader { revision: kv.mod_revision, ..answer.header.unwrap_or_default() };
            return Ok((header, kv));
        }
    }
}

/// Shows what the leader proposes from then on, until its key is gone.
async fn proposals(client: &Client, key: Bytes, since: i64) -> Result<(), Failure> {
    let request = pb::WatchCreateRequest { key, start_revision: since, ..pb::WatchCreateRequest::default() };
    let mut events = Events::open(client, request).await?;
    loop {
        let answer = events.next(client).await?;
        for event in answer.events {
            if event.r#type == mvccpb::event::EventType::Delete as i32 {
                return Ok(());
            }
            if let Some(kv) = event.kv {
                shown(client, answer.header.unwrap_or_default(), kv)?;
            }
        }
    }
}
