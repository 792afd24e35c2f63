//! The rules that a machine can check. Each failure names the file or arrow and the rule.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The floors of the house, from the ground up: a crate may depend on crates of lower floors only.
const FLOORS: &[&[&str]] = &[
    &["types", "proto", "bbolt", "protobuf", "fxhash", "raft-proto"],
    &["env", "seal", "consensus"],
    &["storage"],
    &["state"],
    &["audit", "certificate"],
    &["node"],
    &["server", "ctl"],
    &["strongroom"],
    &["conformance", "bench", "tidy"],
];

/// Arrows inside one floor that the design names.
const SAME_FLOOR: &[(&str, &str)] = &[("raft-proto", "protobuf"), ("seal", "env")];

/// What only the named crates may depend on directly, and why.
const FENCES: &[(&str, &[&str], &str)] = &[
    ("raft", &["consensus"], "the raft library stays behind our own words"),
    (
        "tokio",
        &["server", "ctl", "strongroom", "proto", "conformance", "bench"],
        "the core knows no async runtime",
    ),
    ("tonic", &["server", "ctl", "strongroom", "proto", "conformance", "bench"], "the core knows no gRPC"),
    (
        "aws-lc-rs",
        &["seal", "env", "certificate", "server", "ctl"],
        "one crate encrypts at rest; the edge does TLS",
    ),
    ("ring", &[], "one crypto provider"),
    ("openssl", &[], "one TLS stack"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace exists")
}

/// Each package with its direct dependencies (without those of its tests).
fn packages() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    let dependencies = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().expect("dependencies");
        all.iter().filter(|each| each["kind"] != "dev").map(|each| text(&each["name"])).collect()
    };
    packages.iter().map(|package| (text(&package["name"]), dependencies(package))).collect()
}

/// Arrows point down: the order in which the rooms may know each other is the architecture.
#[test]
fn arrows_point_down() {
    let packages = packages();
    let floor = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    for (package, dependencies) in &packages {
        let from = floor(package).unwrap_or_else(|| panic!("{package} stands on no floor: add it to FLOORS"));
        for dependency in dependencies.iter().filter(|name| packages.contains_key(*name)) {
            let to = floor(dependency).expect("every package has a floor");
            let named = SAME_FLOOR.contains(&(package, dependency));
            assert!(to < from || named, "{package} -> {dependency} does not point down");
        }
    }
}

/// Fences: what keeps the core deterministic and the review small must not creep in through a manifest.
#[test]
fn fences_hold() {
    let packages = packages();
    for (fenced, allowed, why) in FENCES {
        for (package, dependencies) in &packages {
            let crossed =
                dependencies.iter().any(|name| name == fenced) && !allowed.contains(&package.as_str());
            assert!(!crossed, "{package} depends on {fenced}: {why}");
        }
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a readable directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file says first what it is, owns and never does.
#[test]
fn every_source_file_begins_with_a_header() {
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    assert!(files.len() > 20, "found only {} files", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        assert!(text.starts_with("//!"), "{} has no //! header", file.display());
    }
}

/// One idea a file: a source file (tests apart) stays below 700 lines.
#[test]
fn no_source_file_is_too_long() {
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    for file in files.iter().filter(|file| !file.to_string_lossy().contains("/test")) {
        let text = std::fs::read_to_string(file).expect("a readable file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
        assert!(code <= 700, "{} has {code} lines", file.display());
    }
}

/// The module of a source file, as its tests are called: `crate::module`, an integration test's with `tests` for its binary.
fn module_of(file: &Path) -> Option<String> {
    let path = file.strip_prefix(root().join("crates")).ok()?.with_extension("");
    let mut parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    match parts.get(1).copied()? {
        "src" => drop(parts.remove(1)),
        "tests" => parts.retain(|part| *part != "it"),
        _ => return None,
    }
    if parts.last().is_some_and(|last| ["mod", "lib"].contains(last)) {
        parts.pop();
    }
    Some(parts.join("::"))
}

/// The names of a file's tests, each in the file's module and in `tests` at its end.
fn tests_in(file: &Path) -> Vec<String> {
    let Some(module) = module_of(file) else { return Vec::new() };
    let text = std::fs::read_to_string(file).expect("a readable file");
    let mut names = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        let name =
            line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
        if let (true, Some(name)) = (marked, name) {
            names.extend([format!("{module}::{name}"), format!("{module}::tests::{name}")]);
        }
        marked = line == "#[test]" || line.starts_with("#[tokio::test");
    }
    names
}

/// An advisory is kept out by a test that somebody could remove or rename: docs/testing.md names each, and each is there.
#[test]
fn every_test_that_keeps_a_hole_closed_exists() {
    let text = std::fs::read_to_string(root().join("docs/testing.md")).expect("a readable page");
    let section = text.split("## Holes that others had").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> =
        section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| property")).collect();
    assert!(rows.len() > 25, "found only {} rows", rows.len());
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    let tests: BTreeSet<String> = files.iter().flat_map(|file| tests_in(file)).collect();
    for row in rows {
        let held_by = row.split(" | ").nth(2).unwrap_or_default();
        let names: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            let exists = if name.starts_with("conformance/") {
                root().join(name).is_file()
            } else {
                tests.contains(name)
            };
            assert!(exists, "{name} does not exist");
        }
    }
}
