//! `access limit`: from where and until when a role counts, and how much its holders may ask.

use super::terms::change;
use super::time::Moment;
use crate::connect::dial;
use crate::connect::refused::shown;
use crate::exit::Failure;
use crate::settings::Settings;
use clap::{Args, ValueEnum};
use proto::strongroom::v1::RoleTerms;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// `access limit <role> [options]`
#[derive(Args, Clone, Debug)]
pub struct Limit {
    /// The role
    role: String,
    /// A network, or an address, from which alone the role counts; several times for several
    #[arg(long, value_name = "CIDR", value_parser = network)]
    from: Vec<String>,
    /// When the role ends: 2027-01-31T00:00:00Z, or from now as +90d
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    until: Option<Moment>,
    /// How many requests a second its holder may make
    #[arg(long, value_name = "N", value_parser = number)]
    requests_per_second: Option<NonZeroU64>,
    /// The largest write, in bytes of keys and values
    #[arg(long, value_name = "N", value_parser = number)]
    write_bytes: Option<NonZeroU64>,
    /// A limit to take away; several times for several, or with commas between
    #[arg(long, value_enum, value_name = "LIMIT", value_delimiter = ',')]
    clear: Vec<Which>,
}

/// A limit.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    From,
    Until,
    RequestsPerSecond,
    WriteBytes,
}

/// Reads a network: an address alone is that one.
fn network(text: &str) -> Result<String, String> {
    let wrong = || "write a network as 10.1.0.0/16 or 2001:db8::/32, or one address".to_owned();
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most: u8 = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => most,
        Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().map_err(|_| wrong())?,
        Some(_) => return Err(wrong()),
    };
    if bits > most { Err(wrong()) } else { Ok(format!("{address}/{bits}")) }
}

/// Reads a limit, which is at least 1: zero would read as none.
fn number(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| "write a number from 1 on; --clear takes a limit away".to_owned())
}

impl Limit {
    /// Takes away first, then sets: `--clear from --from …` replaces. Without it, networks are added to those that are there.
    fn edit(&self, terms: &mut RoleTerms, now: u64) {
        for which in &self.clear {
            match which {
                Which::From => terms.sources.clear(),
                Which::Until => terms.not_after = 0,
                Which::RequestsPerSecond => terms.requests_per_second = 0,
                Which::WriteBytes => terms.write_bytes_max = 0,
            }
        }
        for network in &self.from {
            if !terms.sources.contains(network) {
                terms.sources.push(network.clone());
            }
        }
        if let Some(until) = self.until {
            terms.not_after = until.seconds(now);
        }
        if let Some(most) = self.requests_per_second {
            terms.requests_per_second = most.get();
        }
        if let Some(most) = self.write_bytes {
            terms.write_bytes_max = most.get();
        }
    }

    fn says_nothing(&self) -> bool {
        self.from.is_empty()
            && self.until.is_none()
            && self.requests_per_second.is_none()
            && self.write_bytes.is_none()
            && self.clear.is_empty()
    }

    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        if self.says_nothing() {
            return Err(Failure::arguments("no limit is given").hinting(
                "add --from, --until, --requests-per-second or --write-bytes, or take one away with --clear",
            ));
        }
        let now = dial::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.until.is_some_and(|until| until.seconds(now) <= now) {
            eprintln!("warning: that moment is past, the role counts no more from now on");
        }
        let role = shown(&self.role);
        let said = [
            &format!("Role {role} has new limits: see strongroom access show {role}")[..],
            &format!("Role {role}: nothing to change, its limits are those already"),
        ];
        change(settings, &self.role, |terms| self.edit(terms, now), said).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit() -> Limit {
        Limit {
            role: "r".into(),
            from: Vec::new(),
            until: None,
            requests_per_second: None,
            write_bytes: None,
            clear: Vec::new(),
        }
    }

    /// One limit must leave the others alone, and a limit that is cleared must be gone.
    #[test]
    fn a_limit_changes_only_what_it_names() {
        let mut terms = RoleTerms { abilities: vec!["hash".into()], ..RoleTerms::default() };
        let before = terms.clone();
        let all = Limit {
            from: vec!["10.0.0.0/8".into()],
            until: Some(Moment::In(5)),
            requests_per_second: NonZeroU64::new(7),
            write_bytes: NonZeroU64::new(9),
            ..limit()
        };
        all.edit(&mut terms, 100);
        let numbers = (terms.not_after, terms.requests_per_second, terms.write_bytes_max);
        assert_eq!((terms.sources.as_slice(), numbers), (&["10.0.0.0/8".to_owned()][..], (105, 7, 9)));

        let more = Limit { from: vec!["::1/128".into(), "10.0.0.0/8".into()], ..limit() };
        more.edit(&mut terms, 200);
        assert_eq!(terms.sources, ["10.0.0.0/8", "::1/128"]);
        assert_eq!(terms.not_after, 105);

        let other = Limit { from: vec!["::1/128".into()], clear: vec![Which::From], ..limit() };
        other.edit(&mut terms, 200);
        assert_eq!(terms.sources, ["::1/128"]);

        let every = vec![Which::From, Which::Until, Which::RequestsPerSecond, Which::WriteBytes];
        Limit { clear: every, ..limit() }.edit(&mut terms, 200);
        assert_eq!(terms, before);
    }

    /// A network that is read as another one lets others in.
    #[test]
    fn networks_are_read_strictly() {
        for (text, meaning) in [
            ("10.1.0.0/16", Some("10.1.0.0/16")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("2001:DB8::/32", Some("2001:db8::/32")),
            ("::1", Some("::1/128")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("10.0.0.0/33", None),
            ("::/129", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/+8", None),
            ("10.0.0/8", None),
            ("everywhere", None),
            ("", None),
        ] {
            assert_eq!(network(text).ok().as_deref(), meaning, "{text}");
        }
    }
}
