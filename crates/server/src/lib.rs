//! TLS, gRPC, HTTP: the edge of a member.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod config;
mod cut;
pub mod gate;
pub mod http;
mod learn;
mod letterbox;
pub mod listen;
pub mod log;
pub mod login;
pub mod metrics;
pub mod oidc;
pub mod pki;
mod rates;
pub mod rpc;
pub mod run;
pub mod tls;
