//! The standard health service: the member serves while it is there to answer.
//!
//! Only the whole server (`""`) is known, as in etcd. Anybody may ask. Whether the member can also read and has a leader
//! is told by /health and /readyz.

use super::status::Failure;
use pb::health_check_response::ServingStatus;
use proto::grpc_health_v1 as pb;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// The health service.
#[derive(Clone, Copy)]
pub(super) struct Health;

fn status_of(service: &str) -> Option<ServingStatus> {
    service.is_empty().then_some(ServingStatus::Serving)
}

#[tonic::async_trait]
impl pb::health_server::Health for Health {
    async fn check(
        &self,
        request: Request<pb::HealthCheckRequest>,
    ) -> Result<Response<pb::HealthCheckResponse>, Status> {
        let status = status_of(&request.into_inner().service).ok_or(Failure::UnknownService)?;
        Ok(Response::new(pb::HealthCheckResponse { status: status as i32 }))
    }

    async fn list(
        &self,
        _: Request<pb::HealthListRequest>,
    ) -> Result<Response<pb::HealthListResponse>, Status> {
        let serving = pb::HealthCheckResponse { status: ServingStatus::Serving as i32 };
        Ok(Response::new(pb::HealthListResponse { statuses: [(String::new(), serving)].into() }))
    }

    type WatchStream = Told;

    async fn watch(&self, request: Request<pb::HealthCheckRequest>) -> Result<Response<Told>, Status> {
        let status = status_of(&request.into_inner().service).unwrap_or(ServingStatus::ServiceUnknown);
        Ok(Response::new(Told(Some(status))))
    }
}

/// One status now; then silence, since it does not change while the server answers.
pub(super) struct Told(Option<ServingStatus>);

impl Stream for Told {
    type Item = Result<pb::HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.take() {
            Some(status) => Poll::Ready(Some(Ok(pb::HealthCheckResponse { status: status as i32 }))),
            None => Poll::Pending,
        }
    }
}
