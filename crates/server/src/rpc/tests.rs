//! Tests of the services on a running member.
