//! The services on a running member, called in process as a listener would call them.

mod access;
mod accounts;
mod bad_input;
mod fields;
mod held;
mod holes;
mod interference;
mod issuer;
mod learn;
mod lists;
mod matrix;
mod pki;
mod rig;
mod services;
mod waiting;
mod watching;
