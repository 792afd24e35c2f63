//! Stands in for `raft-proto`.
