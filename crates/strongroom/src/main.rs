//! The binary: `strongroom` with its commands, and the etcd server's drop-in when it is called `etcd`.
//!
//! Owns the choice of personality by the name it was called with, and what holds for both from the first moment
//! (`memory`): what each does is in `as_strongroom`
//! and `as_etcd`. Never renames its main thread: tools find the process by the name `etcd`.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod as_etcd;
mod as_strongroom;
mod memory;
mod welcome;

use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Err(error) = memory::close() {
        eprintln!("strongroom: cannot keep others from reading this process's memory: {error}");
    }
    let called = std::env::args_os().next().unwrap_or_default();
    match Path::new(&called).file_name().and_then(|name| name.to_str()) {
        Some("etcd") => as_etcd::run(),
        _ => as_strongroom::run(),
    }
}
