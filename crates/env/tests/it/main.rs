//! One suite for the real and the simulated version of each trait: what a simulation proves must hold outside it.
#![allow(clippy::unwrap_used)]

mod clock;
mod disk;
mod power;
