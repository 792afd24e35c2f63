//! etcd's messages and services, generated at build from the files in `proto/`, which state the interface's names, numbers
//! and types in our own words.
//!
//! Owns nothing but the shapes: no logic, no checks. `bytes` fields share the buffer that they were decoded from. The
//! printed form (`Debug`) of a message holds values and passwords: never log one.
#![forbid(unsafe_code)]

/// All files as an encoded `FileDescriptorSet`: names and types at run time, for JSON and for tests.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! packages {
    ($($(#[$doc:meta])* $module:ident = $package:literal),+ $(,)?) => {
        $(
            $(#[$doc])*
            #[allow(missing_docs, clippy::all, clippy::pedantic)]
            pub mod $module {
                include!(concat!(env!("OUT_DIR"), "/", $package, ".rs"));
            }
        )+
    };
}

packages! {
    /// Keys with their values, and changes of them.
    mvccpb = "mvccpb",
    /// Users, roles, permissions.
    authpb = "authpb",
    /// Members, versions and downgrades in log entries.
    membershippb = "membershippb",
    /// The v3 API, and the content of log entries.
    etcdserverpb = "etcdserverpb",
    /// The lock service.
    v3lockpb = "v3lockpb",
    /// The election service.
    v3electionpb = "v3electionpb",
    /// What members say to each other.
    raftpb = "raftpb",
    /// The standard health service.
    grpc_health_v1 = "grpc.health.v1",
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    /// A pair's bytes are the interface: hashes and other members depend on each of them.
    #[test]
    fn a_pair_is_encoded_in_ascending_fields_without_zeros() {
        let pair = mvccpb::KeyValue {
            key: "k".into(),
            create_revision: 2,
            mod_revision: 300,
            version: 1,
            value: "v".into(),
            lease: 0,
        };
        assert_eq!(pair.encode_to_vec(), b"\x0a\x01k\x10\x02\x18\xac\x02\x20\x01\x2a\x01v");
    }

    /// The gateway and the conformance test read the descriptors: they must decode and name every service.
    #[test]
    fn descriptors_name_every_service() {
        let text = String::from_utf8_lossy(DESCRIPTORS);
        for name in ["RangeStream", "Authenticate", "Campaign", "Unlock", "InternalRaftRequest", "HealthCheckRequest"] {
            assert!(text.contains(name), "{name} is missing");
        }
    }
}
