//! etcd's messages and services, and ours beside them, generated at build from the files in `proto/`, which state the interface's names, numbers
//! and types in our own words.
//!
//! Owns nothing but the shapes: no logic, no checks. `bytes` fields share the buffer that they were decoded from. The
//! printed form (`Debug`) of a message holds keys and values, but no passwords and tokens: never log one.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(feature = "grpc")]
pub mod codec;
mod pair;
mod secret;

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

/// Keys with their values, and changes of them.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod mvccpb {
    pub use crate::pair::KeyValue;
    include!(concat!(env!("OUT_DIR"), "/mvccpb.rs"));
}

/// What of the access policy etcd's interface has no words for.
pub mod strongroom {
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod v1 {
        //! The first version of our own services.
        include!(concat!(env!("OUT_DIR"), "/strongroom.v1.rs"));
    }
}

packages! {
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

    /// Values go from the socket to the log without being copied: a decoded field must lie in the buffer it came in.
    #[test]
    fn decoded_bytes_share_the_buffer() {
        let put =
            etcdserverpb::PutRequest { key: "k".into(), value: vec![7; 1_000].into(), ..Default::default() };
        let buffer = bytes::Bytes::from(put.encode_to_vec());
        let decoded = etcdserverpb::PutRequest::decode(buffer.clone()).unwrap();
        assert_eq!(decoded, put);
        assert!(buffer.as_ptr_range().contains(&decoded.value.as_ptr()));
    }

    /// Known bytes of what differs most from the plain case: nested and large field numbers, a choice, packed and
    /// unpacked lists, and fields that are there though they are zero.
    #[test]
    fn messages_have_known_bytes_and_come_back() {
        fn check<M: Message + Default + PartialEq + std::fmt::Debug>(message: &M, bytes: &[u8]) {
            assert_eq!(message.encode_to_vec(), bytes);
            assert_eq!(M::decode(bytes).unwrap(), *message);
        }
        use etcdserverpb::{compare, request_op, watch_create_request};
        let put = etcdserverpb::PutRequest { key: "k".into(), ..Default::default() };
        let header = etcdserverpb::RequestHeader { id: 5, ..Default::default() };
        let request = etcdserverpb::InternalRaftRequest {
            header: Some(header),
            put: Some(put.clone()),
            auth_status: Some(etcdserverpb::AuthStatusRequest {}),
            ..Default::default()
        };
        check(&request, b"\x22\x03\x0a\x01k\xa2\x06\x02\x08\x05\xaa\x3f\x00");
        let choice = compare::TargetUnion::Version(0);
        let compare = etcdserverpb::Compare {
            key: "k".into(),
            target_union: Some(choice),
            range_end: "\0".into(),
            ..Default::default()
        };
        check(&compare, b"\x1a\x01k\x20\x00\x82\x04\x01\x00");
        let op = etcdserverpb::RequestOp { request: Some(request_op::Request::RequestPut(put)) };
        check(&op, b"\x12\x03\x0a\x01k");
        let filters = vec![watch_create_request::FilterType::Noput as i32; 2];
        let watch = etcdserverpb::WatchCreateRequest { filters, ..Default::default() };
        check(&watch, b"\x2a\x02\x00\x00");
        check(&raftpb::ConfState { voters: vec![1, 2], ..Default::default() }, b"\x08\x01\x08\x02");
        check(&raftpb::ConfChange { node_id: Some(0), ..Default::default() }, b"\x18\x00");
    }

    /// A printed request must not give a password away, wherever it is printed.
    #[test]
    fn passwords_and_tokens_are_not_printed() {
        let secret = "hunter2";
        let name = "alice".to_owned();
        let authenticate = etcdserverpb::InternalAuthenticateRequest {
            name: name.clone(),
            password: secret.into(),
            simple_token: secret.into(),
        };
        let add = etcdserverpb::AuthUserAddRequest {
            name: name.clone(),
            password: secret.into(),
            hashed_password: secret.into(),
            ..Default::default()
        };
        let change = etcdserverpb::AuthUserChangePasswordRequest {
            name: name.clone(),
            password: secret.into(),
            hashed_password: secret.into(),
        };
        let entry = etcdserverpb::InternalRaftRequest {
            authenticate: Some(authenticate),
            auth_user_add: Some(add),
            auth_user_change_password: Some(change),
            ..Default::default()
        };
        let asked = etcdserverpb::AuthenticateRequest { name: name.clone(), password: secret.into() };
        let answered = etcdserverpb::AuthenticateResponse { token: secret.into(), ..Default::default() };
        let user = authpb::User { name: name.clone().into(), password: secret.into(), ..Default::default() };
        let printed = format!("{entry:?} {asked:?} {answered:?} {user:?}");
        assert!(!printed.contains(secret), "{printed}");
        assert_eq!((printed.matches(&name).count(), printed.matches("***").count()), (5, 9), "{printed}");
    }

    /// The gateway and the conformance test read the descriptors: they must decode and name every service.
    #[test]
    fn descriptors_name_every_service() {
        let text = String::from_utf8_lossy(DESCRIPTORS);
        for name in
            ["RangeStream", "Authenticate", "Campaign", "Unlock", "InternalRaftRequest", "HealthCheckRequest"]
        {
            assert!(text.contains(name), "{name} is missing");
        }
    }
}
