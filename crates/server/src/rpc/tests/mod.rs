//! The services on a running member, called in process as a listener would call them.

mod access;
mod accounts;
mod issuer;
mod lists;
mod matrix;
mod rig;
mod services;
mod waiting;
mod watching;
