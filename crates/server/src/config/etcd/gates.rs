//! etcd's feature gates: which there are in 3.7.3, and how they are set.

use super::super::number::{boolean, quoted};
use super::table::{ALONE, NO_BBOLT, NO_PEERS};
use std::collections::BTreeMap;

/// How finished a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Off unless named.
    Alpha,
    /// On unless named.
    Beta,
}

impl Stage {
    /// In etcd's spelling.
    #[must_use]
    pub fn shown(self) -> &'static str {
        match self {
            Self::Alpha => "ALPHA",
            Self::Beta => "BETA",
        }
    }
}

/// One gate.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Its name.
    pub name: &'static str,
    /// How finished etcd calls it.
    pub stage: Stage,
    /// Whether it is on in etcd unless named.
    pub default: bool,
    /// Why it changes nothing here; none for the two that stand for others.
    pub idle: Option<&'static str>,
}

const fn gate(name: &'static str, stage: Stage, default: bool, idle: &'static str) -> Gate {
    Gate { name, stage, default, idle: if idle.is_empty() { None } else { Some(idle) } }
}

/// All of them, as etcd lists them.
pub const KNOWN: &[Gate] = &[
    gate("AllAlpha", Stage::Alpha, false, ""),
    gate("AllBeta", Stage::Beta, false, ""),
    gate("CompactHashCheck", Stage::Alpha, false, ALONE),
    gate("FastLeaseKeepAlive", Stage::Beta, true, "a single member renews leases by itself, at once"),
    gate("InitialCorruptCheck", Stage::Alpha, false, ALONE),
    gate("LeaseCheckpoint", Stage::Alpha, false, WHOLE_LIFE),
    gate("LeaseCheckpointPersist", Stage::Alpha, false, WHOLE_LIFE),
    gate("PriorityRequest", Stage::Alpha, false, "requests are applied in the order of the log"),
    gate("SetMemberLocalAddr", Stage::Alpha, false, NO_PEERS),
    gate("StopGRPCServiceOnDefrag", Stage::Alpha, false, "requests are served while space is given back"),
    gate("TxnModeWriteWithSharedBuffer", Stage::Beta, true, NO_BBOLT),
];

const WHOLE_LIFE: &str = "every lease gets its whole life again when a member begins to lead";

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
        let Some(gate) = KNOWN.iter().find(|gate| gate.name == name) else {
            return Err(format!("unrecognized feature gate: {name}"));
        };
        set.insert(gate.name, value);
    }
    for (all, stage) in [("AllAlpha", Stage::Alpha), ("AllBeta", Stage::Beta)] {
        let Some(value) = set.get(all).copied() else { continue };
        for gate in KNOWN.iter().filter(|gate| gate.stage == stage) {
            set.entry(gate.name).or_insert(value);
        }
    }
    Ok(set)
}

/// Whether a feature is on, given those that were set.
#[must_use]
pub fn enabled(set: &BTreeMap<&'static str, bool>, name: &str) -> bool {
    let default = || KNOWN.iter().any(|gate| gate.name == name && gate.default);
    set.get(name).copied().unwrap_or_else(default)
}

/// Every gate with its stage and whether it is on, as etcd's metrics show them.
#[must_use]
pub fn states(set: &BTreeMap<&'static str, bool>) -> Vec<(&'static str, &'static str, bool)> {
    let state = |gate: &Gate| (gate.name, gate.stage.shown(), enabled(set, gate.name));
    KNOWN.iter().map(state).collect()
}

/// Those that were set, in the form that etcd logs.
#[must_use]
pub fn shown(set: &BTreeMap<&'static str, bool>) -> String {
    let pairs: Vec<_> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(",")
}
