//! /health, /livez and /readyz: the checks, their options, and etcd's answers.
//!
//! Reads go through the gRPC services in process as the member itself, so a check fails when a client's read would.
//! Source: etcd 3.7.3's answers, observed; its checks run in no order, ours in that of the list below.

use super::gateway::call::{self, Failure};
use super::{Alarm, Context, error, full, method_not_allowed, plain, with_type};
use crate::gate::Connection;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use state::auth::Evidence;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use tonic::body::Body;

/// How fresh the read of a check must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Local,
    Agreed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    const LIVEZ: &'static [Self] = &[Self::SerializableRead];
    const READYZ: &'static [Self] =
        &[Self::DataCorruption, Self::SerializableRead, Self::LinearizableRead, Self::NonLearner];

    fn name(self) -> &'static str {
        match self {
            Self::DataCorruption => "data_corruption",
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::NonLearner => "non_learner",
        }
    }

    async fn run(self, context: &Context) -> Result<(), String> {
        match self {
            Self::DataCorruption if context.vitals.alarms().contains(&Alarm::Corrupt) => {
                Err("alarm activated: CORRUPT".to_owned())
            }
            Self::NonLearner if context.vitals.is_learner() => Err("not supported for learner".to_owned()),
            Self::DataCorruption | Self::NonLearner => Ok(()),
            Self::SerializableRead => read(context, Read::Local).await,
            Self::LinearizableRead => read(context, Read::Agreed).await,
        }
    }
}

/// Answers /livez, /readyz and the checks below them; `None` for any other path.
pub(super) async fn check(
    context: &Context,
    method: &Method,
    path: &str,
    query: Option<&str>,
) -> Option<Response<Body>> {
    let (root, below) = match path.strip_prefix('/')?.split_once('/') {
        Some((root, below)) => (root, Some(below)),
        None => (path.strip_prefix('/')?, None),
    };
    let (kind, all) = match root {
        "livez" => ("livez", Check::LIVEZ),
        "readyz" => ("readyz", Check::READYZ),
        _ => return None,
    };
    let checks: Vec<Check> = match below {
        None => {
            let excluded = values(query, "exclude");
            all.iter().copied().filter(|check| !excluded.contains(check.name())).collect()
        }
        Some(name) => vec![all.iter().copied().find(|check| check.name() == name)?],
    };
    if method != Method::GET {
        return Some(method_not_allowed());
    }
    Some(report(context, kind, path, query, &checks).await)
}

async fn report(
    context: &Context,
    kind: &'static str,
    path: &str,
    query: Option<&str>,
    checks: &[Check],
) -> Response<Body> {
    let mut details = String::new();
    let mut failed = false;
    for check in checks {
        let name = check.name();
        let result = check.run(context).await;
        note(context, kind, name, result.is_ok());
        // Writing to a String cannot fail.
        let _ = match &result {
            Ok(()) => writeln!(details, "[+]{name} ok"),
            Err(reason) => writeln!(details, "[-]{name} failed: {reason}"),
        };
        failed |= result.is_err();
    }
    if failed {
        tracing::error!(path, reason = %details, "status-code" = 503, "Health check error");
        return error(StatusCode::SERVICE_UNAVAILABLE, &details);
    }
    let verbose = names(query).any(|name| name == "verbose");
    plain(StatusCode::OK, if verbose { format!("{details}ok\n") } else { "ok\n".to_owned() })
}

fn note(context: &Context, kind: &'static str, name: &'static str, passed: bool) {
    context.metrics.healthcheck.with([name, kind]).set(i64::from(passed));
    let status = if passed { "success" } else { "error" };
    context.metrics.healthchecks_total.with([name, status, kind]).inc();
}

/// Answers /health.
pub(super) async fn health(context: &Context, method: &Method, query: Option<&str>) -> Response<Body> {
    if method != Method::GET {
        return method_not_allowed();
    }
    let read = if values(query, "serializable").contains("true") { Read::Local } else { Read::Agreed };
    match ill(context, &values(query, "exclude"), read).await {
        None => {
            context.metrics.health_success.inc();
            let body = full("{\"health\":\"true\",\"reason\":\"\"}");
            with_type(Response::new(body), "text/plain; charset=utf-8")
        }
        Some(reason) => {
            context.metrics.health_failures.inc();
            let reason = serde_json::Value::String(reason).to_string();
            let output = format!("{{\"health\":\"false\",\"reason\":{reason}}}");
            tracing::warn!(output, "status-code" = 503, "/health error");
            error(StatusCode::SERVICE_UNAVAILABLE, &output)
        }
    }
}

/// Why the member is not healthy, if it is not.
async fn ill(context: &Context, excluded: &BTreeSet<String>, how: Read) -> Option<String> {
    let raised = context.vitals.alarms().into_iter().find(|alarm| !excluded.contains(alarm.name()));
    if let Some(alarm) = raised {
        return Some(format!("ALARM {}", alarm.name()));
    }
    if how == Read::Agreed && !context.vitals.has_leader() {
        return Some("RAFT NO LEADER".to_owned());
    }
    read(context, how).await.err().map(|reason| format!("RANGE ERROR:{reason}"))
}

/// A range of the key "\0", at most one pair, keys only: fields 1, 3, 7 and 8 of etcd's RangeRequest.
fn request(read: Read) -> Bytes {
    match read {
        Read::Agreed => Bytes::from_static(b"\x0a\x01\x00\x18\x01\x40\x01"),
        Read::Local => Bytes::from_static(b"\x0a\x01\x00\x18\x01\x38\x01\x40\x01"),
    }
}

async fn read(context: &Context, how: Read) -> Result<(), String> {
    let member = Connection::new(Evidence::Member, "member".to_owned(), false);
    let (path, metadata) = ("/etcdserverpb.KV/Range", http::HeaderMap::new());
    let calling = call::unary(
        call::Services::Uncounted(&context.routes),
        path,
        request(how),
        Some(Arc::new(member)),
        &metadata,
    );
    match tokio::time::timeout(context.request_timeout, calling).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(Failure { message, .. })) => Err(message),
        Err(_) => Err("etcdserver: request timed out".to_owned()),
    }
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn names(query: Option<&str>) -> impl Iterator<Item = &str> {
    pairs(query).map(|(name, _)| name)
}

/// The values given for a name. Every known value is plain letters, so none needs decoding.
fn values(query: Option<&str>, wanted: &str) -> BTreeSet<String> {
    let values = pairs(query).filter(|(name, value)| *name == wanted && !value.is_empty());
    values.map(|(_, value)| value.to_owned()).collect()
}
