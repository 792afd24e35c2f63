//! `pki inspect`: what certificates in files say, whoever made them.

use super::files::read;
use crate::command::say_sheet;
use crate::command::span;
use crate::exit::Failure;
use crate::print::Sheet;
use crate::settings::Global;
use certificate::{About, shown};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// `pki inspect FILE…`
#[derive(Args, Clone, Debug)]
pub struct Inspect {
    /// PEM files with certificates
    #[arg(required = true)]
    file: Vec<PathBuf>,
}

impl Inspect {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let now = span::now();
        let mut text = String::new();
        let mut written: Vec<Value> = Vec::new();
        for path in &self.file {
            for (at, (_, about)) in read(path)?.iter().enumerate() {
                let place = if at == 0 { String::new() } else { format!(", certificate {}", at + 1) };
                text += &format!("{}{place}\n", path.display());
                for (title, fact) in facts(about, now) {
                    text += &format!("  {title:<8} {fact}\n");
                }
                written.push(json!({
                    "file": path.display().to_string(), "place": at, "name": about.common_name,
                    "organizations": about.organizations, "names": about.names, "issuer": about.issuer,
                    "serial": about.serial, "not_before": about.not_before, "not_after": about.not_after,
                    "authority": about.is_authority, "key": about.key_kind,
                    "server": about.usages.is_none_or(|usages| usages.server),
                    "client": about.usages.is_none_or(|usages| usages.client),
                }));
            }
        }
        say_sheet(global, &Sheet { text, json: json!({"certificates": written}), table: None })
    }
}

/// What there is to say of a certificate, each with its title.
pub(super) fn facts(about: &About, now: u64) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let or_none = |text: &str| if text.is_empty() { "(none)".to_owned() } else { text.to_owned() };
    facts.push(("name", or_none(&about.common_name)));
    if !about.organizations.is_empty() {
        facts.push(("of", about.organizations.join(", ")));
    }
    facts.push(("names", or_none(&about.names.join(", "))));
    facts.push(("issuer", or_none(&about.issuer)));
    facts.push(("serial", about.serial.clone()));
    let whom = match (about.is_authority, about.usages) {
        (true, _) => "an authority: signs certificates".to_owned(),
        (false, None) => "anything: it names no usage".to_owned(),
        (false, Some(usages)) => match (usages.server, usages.client) {
            (true, true) => "servers and clients".to_owned(),
            (true, false) => "servers".to_owned(),
            (false, true) => "clients".to_owned(),
            (false, false) => "neither servers nor clients".to_owned(),
        },
    };
    facts.push(("for", whom));
    facts.push(("key", about.key_kind.clone()));
    let end = u64::try_from(about.not_after).unwrap_or(0);
    let begin = u64::try_from(about.not_before).unwrap_or(0);
    let time =
        if begin > now { format!("begins in {}", span::left(begin, now)) } else { span::left(end, now) };
    facts.push(("left", format!("{time} ({} to {})", shown(about.not_before), shown(about.not_after))));
    facts
}
