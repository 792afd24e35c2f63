//! Leases kept alive: each client has a lease and a stream, and renews as soon as the last renewal was answered.

use super::{Error, finish};
use crate::call::{self, Method, framed};
use crate::run::Run;
use bytes::Bytes;
use h2::client::SendRequest;
use prost::Message;
use proto::etcdserverpb as pb;
use std::rc::Rc;

/// Longer than any run.
const TTL_SECONDS: i64 = 3_600;

/// Runs so many clients; `methods` are those of granting and of renewing.
pub(super) async fn go(
    methods: &(Method, Method),
    clients: u32,
    connections: &[SendRequest<Bytes>],
    run: &Rc<Run>,
) -> Result<(), Error> {
    let mut tasks = Vec::new();
    for (_, connection) in (0..clients).zip(connections.iter().cycle()) {
        let granted = methods.0.call(connection, &pb::LeaseGrantRequest { ttl: TTL_SECONDS, id: 0 }).await?;
        let id =
            pb::LeaseGrantResponse::decode(granted).map_err(|_| call::Error::Malformed("not a lease"))?.id;
        let (method, connection, run) = (methods.1.clone(), connection.clone(), Rc::clone(run));
        tasks.push(tokio::task::spawn_local(async move {
            if let Err(error) = renew(id, &method, &connection, &run).await {
                run.fail(&error.to_string());
            }
        }));
    }
    finish(tasks).await;
    Ok(())
}

async fn renew(
    id: i64,
    method: &Method,
    connection: &SendRequest<Bytes>,
    run: &Run,
) -> Result<(), call::Error> {
    let request = pb::LeaseKeepAliveRequest { id };
    // A server may not answer the call before it has a request: the first goes with it, unmeasured.
    let (mut sink, mut answers) = method.open(connection, &request).await?;
    let renewed = |answer: Option<Bytes>| {
        let answer = answer.and_then(|answer| pb::LeaseKeepAliveResponse::decode(answer).ok());
        answer.filter(|answer| answer.ttl > 0).ok_or(call::Error::Malformed("the lease was not renewed"))
    };
    renewed(answers.next().await?)?;
    while run.take() {
        let began = run.now();
        sink.send_data(framed(&request), false)?;
        renewed(answers.next().await?)?;
        run.done(began);
    }
    Ok(())
}
