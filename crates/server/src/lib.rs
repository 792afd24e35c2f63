//! TLS, gRPC, HTTP: the edge of a member.
