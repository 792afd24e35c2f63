//! `verify`: is a data directory what was written, checked while no member runs on it.
//!
//! Owns the options, the progress bar and the forms of the report; what is looked at is `storage::verify`'s. Exit codes: 0
//! whole, 1 damaged, 2 cannot be checked. Reads only, and holds the directory's lock meanwhile.

use super::emit;
use crate::exit::{Code, Failure};
use crate::print::{Format, boxed, text};
use crate::settings::{Global, Surroundings, format};
use clap::Args;
use env::Env;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use storage::Error;
use storage::verify::{Finding, MarkSays, Observer, Severity, Verified, verify};

/// Cannot be checked: what this command means by it.
const UNCHECKED: u8 = 2;

/// `verify [--data-dir DIR] [--key-file PATH]`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Exit codes: 0 whole; 1 damaged; 2 cannot be checked.")]
pub struct Verify {
    /// The directory [default: that of strongroom up]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The sealing key: its file, or its directory [default: strongroom-keys/ beside the data, then inside it]
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
}

impl Verify {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let variable = |name: &str| std::env::var_os(name);
        let format = format(global, &Surroundings { variable: &variable })?;
        if matches!(format, Format::Fields | Format::Protobuf) {
            return Err(Failure::feature("verify prints simple, json or table")
                .hinting("choose one of them with --write-out"));
        }
        let data_dir = self.data_dir(&variable)?;
        let env = Env::real();
        let mut report = Report::new(format);
        let verified = verify(&env, &data_dir, &self.key_places(&data_dir, &variable), &mut report);
        report.bar.finish_and_clear();
        if let Some(failure) = report.failure.take() {
            return Err(failure);
        }
        let verified = verified.map_err(|error| cannot(&error))?;
        report.end(&data_dir, &verified)?;
        match (verified.damaged, verified.unchecked) {
            (0, 0) => Ok(()),
            (0, _) => Err(Failure::silent(UNCHECKED)),
            _ => Err(Failure::silent(Code::Error as u8)),
        }
    }

    fn data_dir(&self, variable: Variable<'_>) -> Result<PathBuf, Failure> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let given = self.data_dir.clone().or_else(|| set("STRONGROOM_DATA_DIR"));
        let of_user = || {
            let data = set("XDG_DATA_HOME").filter(|path| path.is_absolute());
            let data = data.or_else(|| set("HOME").map(|home| home.join(".local/share")));
            data.map(|data| data.join("strongroom"))
        };
        let of_root = || rustix::process::geteuid().is_root().then(|| PathBuf::from("/var/lib/strongroom"));
        given.or_else(of_root).or_else(of_user).ok_or_else(|| {
            let failure = Failure::error("there is no home directory to look for the data in");
            Failure { code: UNCHECKED, ..failure }.hinting("name the directory with --data-dir")
        })
    }

    /// Where a member looks for its key too, but for the certificates' directories of `etcd`, which are named here.
    fn key_places(&self, data_dir: &Path, variable: Variable<'_>) -> Vec<PathBuf> {
        let named = self.key_file.clone();
        let named =
            named.or_else(|| variable("STRONGROOM_KEY_FILE").filter(|v| !v.is_empty()).map(PathBuf::from));
        let mut places = Vec::new();
        if let Some(named) = named {
            let directory = (!named.is_dir()).then(|| parent(&named));
            places.push(named);
            places.extend(directory);
        }
        places.extend([parent(data_dir).join("strongroom-keys"), data_dir.join("keys")]);
        places
    }
}

type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    }
}

/// Nothing could be checked: why, and what to do.
fn cannot(error: &Error) -> Failure {
    let text = error.to_string();
    let (message, hint) = text.split_once("; hint: ").unwrap_or((&text, ""));
    let hint = match error {
        Error::InUse { .. } => {
            "stop the member, or check a copy of the directory; a running member checks its files itself"
        }
        Error::NoData { .. } | Error::EtcdData { .. } | Error::Foreign { .. } => {
            "name the data directory of a member with --data-dir"
        }
        _ if hint.is_empty() => "check the path and this user's rights on it",
        _ => hint,
    };
    Failure { code: UNCHECKED, ..Failure::error(format!("cannot check: {message}")) }.hinting(hint)
}

/// Shows progress, and findings as they come or at the end.
struct Report {
    format: Format,
    bar: ProgressBar,
    findings: Vec<Finding>,
    failure: Option<Failure>,
}

impl Report {
    fn new(format: Format) -> Self {
        let style = ProgressStyle::with_template(
            "{msg:24!} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
        );
        // Without a terminal on standard error it draws nothing.
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { format, bar, findings: Vec::new(), failure: None }
    }

    fn end(&self, data_dir: &Path, verified: &Verified) -> Result<(), Failure> {
        let text = match self.format {
            Format::Json => {
                let report = serde_json::to_string(&Document::of(data_dir, verified, &self.findings));
                report.map_err(|error| Failure::error(format!("no JSON: {error}")))? + "\n"
            }
            Format::Table => {
                let rows = self.findings.iter().map(row).collect();
                let table = boxed(&["severity", "file", "byte", "what", "next"], rows);
                (if self.findings.is_empty() { String::new() } else { table }) + &summary(data_dir, verified)
            }
            _ => summary(data_dir, verified),
        };
        emit(text.as_bytes())
    }
}

impl Observer for Report {
    fn begins(&mut self, bytes: u64) {
        self.bar.set_length(bytes);
    }

    fn enters(&mut self, path: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.bar.set_message(name);
    }

    fn passed(&mut self, bytes: u64) -> ControlFlow<()> {
        self.bar.inc(bytes);
        if self.failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn found(&mut self, finding: Finding) {
        if self.format != Format::Simple {
            self.findings.push(finding);
            return;
        }
        let said = self.bar.suspend(|| emit(lines(&finding).as_bytes()));
        self.failure = self.failure.take().or(said.err());
    }
}

/// A finding as people read it.
fn lines(finding: &Finding) -> String {
    let name = finding.severity.name();
    match finding.severity {
        Severity::Note => format!("{name}: {finding}\n  means: {}\n", finding.means),
        _ => format!("{name}: {finding}\n  means: {}\n  next:  {}\n", finding.means, finding.next),
    }
}

fn row(finding: &Finding) -> Vec<String> {
    vec![
        finding.severity.name().to_owned(),
        finding.path.display().to_string(),
        finding.position.map_or_else(String::new, |position| position.to_string()),
        finding.what.clone(),
        finding.next.to_owned(),
    ]
}

fn verdict(verified: &Verified) -> &'static str {
    match (verified.damaged, verified.unchecked) {
        (0, 0) => "whole",
        (0, _) => "unchecked",
        _ => "damaged",
    }
}

fn summary(data_dir: &Path, verified: &Verified) -> String {
    let of = verified.identity.map_or_else(String::new, |identity| format!(", {identity}"));
    let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mark = match verified.mark {
        MarkSays::Nothing => "no freshness mark found: an old copy could not be told",
        MarkSays::Fresh => "not older than its freshness mark",
        MarkSays::Older => "older than its freshness mark",
        MarkSays::Unreadable => "the freshness mark does not open: an old copy could not be told",
    };
    let index =
        |index: Option<types::LogIndex>| index.map_or_else(|| "none".to_owned(), |index| index.to_string());
    format!(
        "{}: {}{of}\n  checked: {}, {}, {}; log to entry {}, store to entry {}\n  found:   {} of damage, {} unchecked, {}\n  \
         age:     {mark}\n",
        verdict(verified),
        data_dir.display(),
        counted(verified.files, "file"),
        text::bytes(verified.bytes),
        counted(verified.records, "record"),
        index(verified.last_entry),
        index(verified.consistent_index),
        counted(verified.damaged, "finding"),
        verified.unchecked,
        counted(verified.notes, "note"),
    )
}

/// The report for programs.
#[derive(Serialize)]
struct Document<'a> {
    verdict: &'static str,
    data_dir: String,
    cluster_id: Option<String>,
    member_id: Option<String>,
    files: u64,
    bytes: u64,
    records: u64,
    last_entry: Option<u64>,
    consistent_index: Option<u64>,
    mark: &'static str,
    damaged: u64,
    unchecked: u64,
    notes: u64,
    findings: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    severity: &'static str,
    file: String,
    position: Option<u64>,
    what: &'a str,
    means: &'a str,
    next: &'a str,
}

impl<'a> Document<'a> {
    fn of(data_dir: &Path, verified: &Verified, findings: &'a [Finding]) -> Self {
        let item = |finding: &'a Finding| Item {
            severity: finding.severity.name(),
            file: finding.path.display().to_string(),
            position: finding.position,
            what: &finding.what,
            means: finding.means,
            next: finding.next,
        };
        Self {
            verdict: verdict(verified),
            data_dir: data_dir.display().to_string(),
            cluster_id: verified.identity.map(|identity| identity.cluster.to_string()),
            member_id: verified.identity.map(|identity| identity.member.to_string()),
            files: verified.files,
            bytes: verified.bytes,
            records: verified.records,
            last_entry: verified.last_entry.map(|index| index.0),
            consistent_index: verified.consistent_index.map(|index| index.0),
            mark: match verified.mark {
                MarkSays::Nothing => "none",
                MarkSays::Fresh => "fresh",
                MarkSays::Older => "older",
                MarkSays::Unreadable => "unreadable",
            },
            damaged: verified.damaged,
            unchecked: verified.unchecked,
            notes: verified.notes,
            findings: findings.iter().map(item).collect(),
        }
    }
}
