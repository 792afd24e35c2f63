//! Generates the messages, and with the feature `grpc` the stubs, from `proto/` into the build's output; no compiler but
//! cargo is needed, and nothing generated is committed.

use prost::Message;
use std::path::PathBuf;

const FILES: &[&str] = &[
    "mvccpb/kv.proto",
    "authpb/auth.proto",
    "membershippb/membership.proto",
    "etcdserverpb/rpc.proto",
    "etcdserverpb/raft_internal.proto",
    "v3lockpb/v3lock.proto",
    "v3electionpb/v3election.proto",
    "raftpb/raft.proto",
    "grpc/health/v1/health.proto",
    "strongroom/v1/access.proto",
    "strongroom/v1/pki.proto",
    "strongroom/v1/entry.proto",
];

/// Messages with passwords or tokens: `src/secret.rs` prints them.
const SECRET: &[&str] = &[
    ".authpb.User",
    ".etcdserverpb.AuthenticateRequest",
    ".etcdserverpb.AuthenticateResponse",
    ".etcdserverpb.AuthUserAddRequest",
    ".etcdserverpb.AuthUserChangePasswordRequest",
    ".etcdserverpb.InternalAuthenticateRequest",
    ".strongroom.v1.AddTokenResponse",
    ".strongroom.v1.EnrollRequest",
    ".strongroom.v1.EnrolmentToken",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let files = protox::compile(FILES, ["proto"])?;
    std::fs::write(out.join("descriptors.bin"), files.encode_to_vec())?;
    let stubs = std::env::var_os("CARGO_FEATURE_GRPC").is_some();
    tonic_prost_build::configure()
        .bytes(".")
        .skip_debug(SECRET)
        .extern_path(".mvccpb.KeyValue", "crate::pair::KeyValue")
        .codec_path("crate::codec::ExactCodec")
        .build_client(stubs)
        .build_server(stubs)
        .build_transport(false)
        .compile_fds(files)?;
    Ok(())
}
