//! What `etcd --help`, `etcd --version` and a wrong command line print.

use super::table::{Fate, GROUPS};
use super::value::Kind;
use std::fmt::Write;

/// The version of etcd whose interface is spoken.
pub const VERSION: &str = "3.7.3";

/// Said beside every mistake on the command line.
pub(super) const USAGE: &str = "Usage:

  etcd [flags]
    Start a member.

  etcd --config-file FILE
    Start a member from a YAML file; flags and variables are ignored then. Durations in it are integer nanoseconds.

  etcd --version
    Print the version.

  etcd -h | --help
    Print every flag.
";

/// etcd's block, whose first line tools parse; what is not Go says so.
#[must_use]
pub fn version() -> String {
    let (os, arch) = (std::env::consts::OS, go_arch(std::env::consts::ARCH));
    let commit = commit();
    let ours = env!("CARGO_PKG_VERSION");
    format!(
        "etcd Version: {VERSION}\nGit SHA: {commit}\nGo Version: none (strongroom {ours}, Rust)\nGo OS/Arch: {os}/{arch}\n"
    )
}

/// The commit this was built from, as the build says it.
#[must_use]
pub fn commit() -> &'static str {
    option_env!("STRONGROOM_COMMIT").filter(|commit| !commit.is_empty()).unwrap_or("unknown")
}

pub(super) fn go_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// Every flag with its default.
#[must_use]
pub fn help() -> String {
    let mut text = String::new();
    for (heading, flags) in GROUPS {
        let _ = write!(text, "\n{heading}:\n");
        for flag in *flags {
            let default = match flag.name {
                "data-dir" => "${name}.etcd",
                _ => flag.default,
            };
            let _ = writeln!(text, "  --{} '{default}'\n    {}", flag.name, flag.about);
            if let Fate::Idle(why) = flag.fate {
                let _ = writeln!(text, "    Taken, and changes nothing here: {why}.");
            }
            if flag.kind == Kind::Gates {
                for gate in super::gates::KNOWN {
                    let (name, stage, default) = (gate.name, gate.stage.shown(), gate.default);
                    let _ = writeln!(text, "    {name}=true|false ({stage} - default={default})");
                }
            }
        }
    }
    text
}
