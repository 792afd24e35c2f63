//! `version`: of this program, and of the API it speaks.

use super::say;
use crate::exit::Failure;

/// The API of etcd that is spoken.
const API_VERSION: &str = "3.7";

pub(super) fn run() -> Result<(), Failure> {
    say(&format!("strongroom version: {}\nAPI version: {API_VERSION}", env!("CARGO_PKG_VERSION")))
}
