//! The published formats, held to their vectors (docs/formats/vectors).
#![allow(clippy::unwrap_used)]

mod cases;
mod vectors;
