//! Command families, online over gRPC and offline on a data directory.
