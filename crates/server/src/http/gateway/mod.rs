//! The JSON gateway: POST a JSON body to /v3/…, get the gRPC method's answer as JSON.
//!
//! Owns the paths and the translation; every call goes through the gRPC services in process with the caller's own
//! connection as evidence, so JSON clients are exactly who their certificate says (etcd's gateway lent them its own,
//! CVE-2018-16886). Answers are etcd 3.7's (grpc-gateway with proto names, zero fields left out) byte for byte.
//!
//! Never knows a message's meaning: shapes come from the interface's descriptors.

pub(crate) mod call;
mod decode;
mod encode;
mod paths;
mod scan;
mod stream;

use super::{connection, full, with_type};
use bytes::Bytes;
use call::{Failure, Services};
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use std::collections::BTreeMap;
use std::time::Duration;
use tonic::body::Body;

/// Why a gateway could not be made: the descriptors are not the interface's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The descriptors cannot be read.
    #[error("cannot read the interface's descriptors: {0}")]
    Descriptors(String),
    /// A method that a path leads to is not there.
    #[error("no method {0} in the interface's descriptors")]
    NoMethod(&'static str),
}

/// The paths, each with its method.
#[derive(Clone)]
pub struct Gateway {
    methods: BTreeMap<&'static str, MethodDescriptor>,
    body_deadline: Duration,
}

const JSON: &str = "application/json";

impl Gateway {
    /// A gateway over the interface that these descriptors describe.
    ///
    /// # Errors
    /// [`Error`] when they do not hold every method that a path leads to.
    pub fn new(descriptors: &[u8]) -> Result<Self, Error> {
        let pool =
            DescriptorPool::decode(descriptors).map_err(|error| Error::Descriptors(error.to_string()))?;
        let mut methods = BTreeMap::new();
        for (path, name) in paths::PATHS {
            let (service, method) = name.rsplit_once('.').ok_or(Error::NoMethod(name))?;
            let service = pool.get_service_by_name(service).ok_or(Error::NoMethod(name))?;
            let found = service.methods().find(|candidate| candidate.name() == method);
            methods.insert(*path, found.ok_or(Error::NoMethod(name))?);
        }
        Ok(Self { methods, body_deadline: Duration::from_secs(types::limits::JSON_BODY_SECONDS_MAX) })
    }

    /// The same gateway, giving clients this long to send a body.
    #[must_use]
    pub fn with_body_deadline(self, body_deadline: Duration) -> Self {
        Self { body_deadline, ..self }
    }

    pub(super) async fn answer<B>(&self, services: Services<'_>, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(method) = request.uri().path().strip_prefix("/v3/").and_then(|path| self.methods.get(path))
        else {
            return failed_with(StatusCode::NOT_FOUND, &Failure::new(tonic::Code::NotFound, "Not Found"));
        };
        if request.method() != Method::POST {
            return failed(&Failure::new(tonic::Code::Unimplemented, "Method Not Allowed"));
        }
        match self.carry_out(services, method, request).await {
            Ok(response) => response,
            Err(failure) => failed(&failure),
        }
    }

    async fn carry_out<B>(
        &self,
        services: Services<'_>,
        method: &MethodDescriptor,
        request: Request<B>,
    ) -> Result<Response<Body>, Failure>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let caller = connection(&request);
        let (head, body) = request.into_parts();
        let metadata = call::metadata(&head.headers);
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let messages = self.messages(method, body).await?;
        if method.is_server_streaming() {
            let answers = call::streaming(services, &path, messages, caller, &metadata).await?;
            let body = stream::Lines::begin(answers, method.output()).await?;
            return Ok(succeeded(Body::new(body)));
        }
        let message = messages.into_iter().next().unwrap_or_default();
        let (answer, held) = call::unary(services, &path, message, caller, &metadata).await?;
        let answer =
            DynamicMessage::decode(method.output(), answer).map_err(|error| Failure::internal(&error))?;
        let body = full(encode::json(&answer).map_err(|error| Failure::internal(&error))?);
        Ok(succeeded(match held {
            Some(held) => held.keep(body),
            None => body,
        }))
    }

    /// The messages in the body: one for a unary method, as many as there are for a stream.
    async fn messages<B>(&self, method: &MethodDescriptor, body: B) -> Result<Vec<Bytes>, Failure>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let whole = Limited::new(body, types::limits::JSON_BODY_BYTES_MAX).collect();
        let Ok(body) = tokio::time::timeout(self.body_deadline, whole).await else {
            return Err(Failure::new(
                tonic::Code::DeadlineExceeded,
                "the request's body did not come in time",
            ));
        };
        let body = body.map_err(|_| {
            let limit = types::limits::JSON_BODY_BYTES_MAX;
            let text = format!("received message larger than max ({limit} bytes of JSON)");
            Failure::new(tonic::Code::ResourceExhausted, text)
        })?;
        let body = body.to_bytes();
        let mut rest: &[u8] = &body;
        let mut messages = Vec::new();
        loop {
            let (json, behind) = match scan::value(rest) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) => return Err(invalid(error)),
            };
            let message = decode::message(&json, method.input()).map_err(invalid)?;
            messages.push(Bytes::from(message.encode_to_vec()));
            if !method.is_client_streaming() {
                break;
            }
            rest = behind;
        }
        Ok(messages)
    }
}

fn invalid(reason: impl std::fmt::Display) -> Failure {
    Failure::new(tonic::Code::InvalidArgument, reason.to_string())
}

fn succeeded(body: Body) -> Response<Body> {
    let mut response = with_type(Response::new(body), JSON);
    let name = HeaderName::from_static("grpc-metadata-content-type");
    response.headers_mut().insert(name, HeaderValue::from_static("application/grpc"));
    response
}

fn failed(failure: &Failure) -> Response<Body> {
    failed_with(call::http_status(failure.code), failure)
}

fn failed_with(status: StatusCode, failure: &Failure) -> Response<Body> {
    let mut response = with_type(Response::new(full(encode::failure(failure))), JSON);
    *response.status_mut() = status;
    if failure.code == tonic::Code::Unauthenticated
        && let Ok(value) = HeaderValue::from_str(&failure.message)
    {
        response.headers_mut().insert(http::header::WWW_AUTHENTICATE, value);
    }
    response
}
