//! The .proto files were written anew; here they are held to the facts of etcd's own.
//!
//! `testdata/descriptors.txt` lists the names, numbers and types of every message, enum and method in the Go modules of
//! etcd 3.7.3, as the program beside it prints them from the modules' own descriptors
//! (`cd testdata/descriptors && go run . > ../descriptors.txt`).

use prost_reflect::{Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use std::collections::BTreeSet;

/// What etcd's modules have and our files leave out on purpose, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("etcdserverpb.Request", "the v2 API's entry, which 3.7 only reads from old logs"),
    ("etcdserverpb.Metadata", "the header of etcd's own log files"),
    ("grpc.health.v1.HealthListRequest", "for a method that etcd's server does not answer"),
    ("grpc.health.v1.HealthListResponse", "for the same"),
    ("grpc.health.v1.Health.List", "the same"),
];

/// The facts of etcd's modules.
fn theirs() -> BTreeSet<String> {
    include_str!("../../testdata/descriptors.txt").lines().map(str::to_owned).collect()
}

/// The same of our files.
fn ours() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).expect("the descriptors decode");
    let mut facts = BTreeSet::new();
    for message in pool.all_messages() {
        describe(&message, &mut facts);
    }
    for each in pool.all_enums() {
        values(&each, &mut facts);
    }
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let stream = |is_stream| if is_stream { "stream " } else { "" };
        facts.insert(format!(
            "method {} {}{} {}{}",
            method.full_name(),
            stream(method.is_client_streaming()),
            method.input().full_name(),
            stream(method.is_server_streaming()),
            method.output().full_name(),
        ));
    }
    facts
}

fn describe(message: &MessageDescriptor, facts: &mut BTreeSet<String>) {
    facts.insert(format!("message {}", message.full_name()));
    for field in message.fields() {
        facts.insert(fact(&field));
    }
}

fn fact(field: &FieldDescriptor) -> String {
    let cardinality = match field.cardinality() {
        Cardinality::Optional => "optional",
        Cardinality::Required => "required",
        Cardinality::Repeated => "repeated",
    };
    let kind = match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(each) => each.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
    let oneof = oneof.map(|oneof| format!(" oneof {}", oneof.name())).unwrap_or_default();
    let packed = if field.is_packed() { " packed" } else { "" };
    let (name, number, json) = (field.full_name(), field.number(), field.json_name());
    format!("field {name} {number} {cardinality} {kind} json {json}{oneof}{packed}")
}

fn values(each: &EnumDescriptor, facts: &mut BTreeSet<String>) {
    for value in each.values() {
        facts.insert(format!("value {} {} {}", each.full_name(), value.name(), value.number()));
    }
}

fn is_left_out(fact: &str) -> bool {
    let name = fact.split(' ').nth(1).unwrap_or_default();
    LEFT_OUT.iter().any(|(left_out, _)| {
        name == *left_out || name.strip_prefix(left_out).is_some_and(|rest| rest.starts_with('.'))
    })
}

/// A wrong number or type is a message that etcd's clients and members read as something else, or not at all, without
/// any error: so each single one is compared.
#[test]
fn every_name_number_and_type_is_etcds() {
    let (theirs, mut ours) = (theirs(), ours());
    // Beside etcd's packages there is one of our own.
    ours.retain(|fact| !fact.split(' ').nth(1).is_some_and(|name| name.starts_with("strongroom.")));
    assert!(theirs.len() > 500, "the table is not there");
    let stale: Vec<_> =
        LEFT_OUT.iter().filter(|(name, _)| !theirs.iter().any(|fact| fact.contains(name))).collect();
    assert!(stale.is_empty(), "left out, but not there: {stale:?}");
    let missing: Vec<_> = theirs.difference(&ours).filter(|fact| !is_left_out(fact)).collect();
    let invented: Vec<_> = ours.difference(&theirs).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing {missing:#?}\ninvented {invented:#?}");
}

/// Whatever is called a password or a token is hidden when printed; a field that a later version adds must not be
/// forgotten.
#[test]
fn every_credential_is_known_to_be_one() {
    let credentials: Vec<_> = ours()
        .into_iter()
        .filter(|fact| fact.contains(" string ") || fact.contains(" bytes "))
        .filter_map(|fact| Some(fact.split(' ').nth(1)?.to_owned()))
        .filter(|name| {
            let field = name.rsplit('.').next().unwrap_or_default().to_lowercase();
            ["password", "token", "secret"].iter().any(|word| field.contains(word))
        })
        .collect();
    let expected = [
        "authpb.User.password",
        "etcdserverpb.AuthUserAddRequest.hashedPassword",
        "etcdserverpb.AuthUserAddRequest.password",
        "etcdserverpb.AuthUserChangePasswordRequest.hashedPassword",
        "etcdserverpb.AuthUserChangePasswordRequest.password",
        "etcdserverpb.AuthenticateRequest.password",
        "etcdserverpb.AuthenticateResponse.token",
        "etcdserverpb.InternalAuthenticateRequest.password",
        "etcdserverpb.InternalAuthenticateRequest.simple_token",
        "strongroom.v1.AddTokenResponse.token",
        "strongroom.v1.EnrollRequest.secret",
        "strongroom.v1.EnrolmentToken.secret_hash",
    ];
    assert_eq!(credentials, expected, "a new one belongs into build.rs and src/secret.rs");
}
