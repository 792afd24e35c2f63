//! Storage's promises, tried on a simulated disk: nothing synced is lost, nothing changed is served.
#![allow(clippy::unwrap_used)]

#[path = "../../../seal/tests/it/cases.rs"]
mod cases;
mod copies;
mod crash;
mod dir;
mod flip;
mod freshness;
mod log;
mod nonces;
mod real;
mod seals;
mod store;
mod unchanged;
mod vectors;
mod verify;
mod world;
