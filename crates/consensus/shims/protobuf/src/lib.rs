//! Stands in for `protobuf`.
