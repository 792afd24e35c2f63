//! etcd's feature gates: which there are in 3.7.3, and how they are set.

use super::super::number::{boolean, quoted};
use std::collections::BTreeMap;

/// How finished a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Off unless named.
    Alpha,
    /// On unless named.
    Beta,
}

/// Name, stage, default.
pub const KNOWN: &[(&str, Stage, bool)] = &[
    ("AllAlpha", Stage::Alpha, false),
    ("AllBeta", Stage::Beta, false),
    ("CompactHashCheck", Stage::Alpha, false),
    ("FastLeaseKeepAlive", Stage::Beta, true),
    ("InitialCorruptCheck", Stage::Alpha, false),
    ("LeaseCheckpoint", Stage::Alpha, false),
    ("LeaseCheckpointPersist", Stage::Alpha, false),
    ("PriorityRequest", Stage::Alpha, false),
    ("SetMemberLocalAddr", Stage::Alpha, false),
    ("StopGRPCServiceOnDefrag", Stage::Alpha, false),
    ("TxnModeWriteWithSharedBuffer", Stage::Beta, true),
];

/// Reads `Name=true,Other=false`. `AllAlpha` and `AllBeta` set what was not named.
pub(super) fn parse(text: &str) -> Result<BTreeMap<&'static str, bool>, String> {
    let mut named = BTreeMap::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(format!("missing bool value for {}", pair.trim()));
        };
        let (name, value) = (name.trim(), value.trim());
        let value = boolean(value).ok_or_else(|| {
            let why = format!("strconv.ParseBool: parsing {}: invalid syntax", quoted(value));
            format!("invalid value of {name}={value}, err: {why}")
        })?;
        named.insert(name, value);
    }
    let mut set = BTreeMap::new();
    for (name, value) in named {
        let Some((name, _, _)) = KNOWN.iter().find(|(known, _, _)| *known == name) else {
            return Err(format!("unrecognized feature gate: {name}"));
        };
        set.insert(*name, value);
    }
    for (all, stage) in [("AllAlpha", Stage::Alpha), ("AllBeta", Stage::Beta)] {
        let Some(value) = set.get(all).copied() else { continue };
        for (name, _, _) in KNOWN.iter().filter(|(_, of, _)| *of == stage) {
            set.entry(name).or_insert(value);
        }
    }
    Ok(set)
}

/// Whether a feature is on, given those that were set.
#[must_use]
pub fn enabled(set: &BTreeMap<&'static str, bool>, name: &str) -> bool {
    let default = || KNOWN.iter().any(|(known, _, default)| *known == name && *default);
    set.get(name).copied().unwrap_or_else(default)
}

/// Those that were set, in the form that etcd logs.
#[must_use]
pub fn shown(set: &BTreeMap<&'static str, bool>) -> String {
    let pairs: Vec<_> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(",")
}
