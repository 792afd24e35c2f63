//! What the build takes in for consensus: the stand-ins hold only as long as cargo really uses them.

use std::collections::BTreeMap;
use std::path::Path;

/// The versions of every locked package, each with whether it comes from a registry.
fn locked() -> BTreeMap<String, Vec<(String, bool)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let text = std::fs::read_to_string(path).expect("the workspace has a lock file");
    let mut packages: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for package in text.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        let (name, version) = (field("name").expect("a name"), field("version").expect("a version"));
        packages.entry(name).or_default().push((version, field("source").is_some()));
    }
    packages
}

/// The released raft library is used as it is, and what has an advisory beneath it (the old protobuf runtime, the
/// unmaintained hasher) or is a second copy (the old prost) does not come back with an update.
#[test]
fn the_raft_library_stands_on_our_stand_ins() {
    let packages = locked();
    assert_eq!(packages["raft"], [("0.7.0".to_owned(), true)]);
    for (name, version) in [("protobuf", "2.28.100"), ("raft-proto", "0.7.100"), ("fxhash", "0.2.100")] {
        assert_eq!(packages[name], [(version.to_owned(), false)], "{name}");
    }
    for name in ["prost", "prost-derive"] {
        assert!(
            packages[name].iter().all(|(version, _)| version.starts_with("0.14.")),
            "{:?}",
            packages[name]
        );
        assert_eq!(packages[name].len(), 1, "{:?}", packages[name]);
    }
    for gone in ["protobuf-build", "rust-protobuf", "protobuf-codegen"] {
        assert!(!packages.contains_key(gone), "{gone} is back");
    }
}
