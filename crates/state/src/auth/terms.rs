//! What a role is beyond etcd's permissions: denials, administrative rights, conditions, limits.
//!
//! Owns the words and when they count. A denial wins over every permission of every role that counts; a role whose
//! conditions are not met counts for nothing, its denials included. The root role has no terms.

use super::accounts::Permission;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What a role is beyond its permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What its holder may not touch, whatever else is granted.
    pub deny: Vec<Permission>,
    /// Administrative rights.
    pub abilities: BTreeSet<Ability>,
    /// Where its holder must come from; none means anywhere.
    pub sources: Vec<Network>,
    /// From when on it counts no more, Unix seconds; 0 for never.
    pub not_after: u64,
    /// Limits of its holder.
    pub limits: Limits,
}

/// What a holder may do at most; zero is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second.
    pub requests_per_second: u64,
    /// Bytes of keys and values in one write.
    pub write_bytes_max: u64,
}

/// Under what circumstances somebody asks: what conditions are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Where from; none for a unix socket and in process, which no condition on networks lets pass.
    pub source: Option<IpAddr>,
    /// When, Unix seconds.
    pub now: u64,
}

/// A network, as in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// Leading bits that an address must share with it.
    pub bits: u8,
}

macro_rules! abilities {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// An administrative right. Whoever holds etcd's root role has all of them, and the one to change the policy, which
        /// has no name here: it would be all the others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Ability {
            $($(#[$doc])* $name),+
        }

        impl Ability {
            /// All of them, by name.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }
        }
    };
}

abilities! {
    /// To raise and clear alarms.
    Alarm = "alarm",
    /// To forget history.
    Compact = "compact",
    /// To have the store's files compacted.
    Defragment = "defragment",
    /// To begin and end a downgrade.
    Downgrade = "downgrade",
    /// To learn hashes over everything.
    Hash = "hash",
    /// To change who is in the cluster.
    Membership = "membership",
    /// To hand leadership over.
    MoveLeader = "move-leader",
    /// To get a copy of everything.
    Snapshot = "snapshot",
}

impl Ability {
    /// The right of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|ability| ability.name() == name)
    }
}

impl Terms {
    /// Whether it says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it counts only under some circumstances.
    #[must_use]
    pub fn is_conditional(&self) -> bool {
        !self.sources.is_empty() || self.not_after != 0
    }

    /// Whether it counts now.
    #[must_use]
    pub fn counts(&self, circumstances: &Circumstances) -> bool {
        self.is_in_time(circumstances.now) && self.is_from_here(circumstances.source)
    }

    pub(crate) fn is_in_time(&self, now: u64) -> bool {
        self.not_after == 0 || now < self.not_after
    }

    pub(crate) fn is_from_here(&self, source: Option<IpAddr>) -> bool {
        self.sources.is_empty()
            || source.is_some_and(|source| self.sources.iter().any(|network| network.contains(source)))
    }
}

impl Limits {
    /// The stricter of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let stricter =
            |mine: u64, other: u64| if mine == 0 || other == 0 { mine.max(other) } else { mine.min(other) };
        Self {
            requests_per_second: stricter(self.requests_per_second, other.requests_per_second),
            write_bytes_max: stricter(self.write_bytes_max, other.write_bytes_max),
        }
    }
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or a single address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, Some(bits)),
            None => (text.parse().ok()?, None),
        };
        let width = width(address);
        // Digits alone: `/+8` is none.
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => width,
        };
        (bits <= width).then_some(Self { address, bits })
    }

    /// Whether the address is in it. An IPv4 address written as IPv6 counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => {
                let bits = if self.address.is_ipv6() { self.bits.saturating_sub(96) } else { self.bits };
                share(u128::from(mine.to_bits()) << 96, u128::from(other.to_bits()) << 96, bits)
            }
            (IpAddr::V6(mine), IpAddr::V6(other)) => share(mine.to_bits(), other.to_bits(), self.bits),
            _ => false,
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn share(mine: u128, other: u128, bits: u8) -> bool {
    // All 128 bits shifted out leave nothing to differ.
    (mine ^ other).checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
}

/// By what somebody is recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// The only URI among its names (SPIFFE).
    Uri(String),
    /// One of its DNS names.
    Dns(String),
    /// The only organization of its subject.
    Organization(String),
    /// A claim of a token of this issuer, and of no other: a text that reads so, or a list of texts with it.
    Claim {
        /// Who must have made the token.
        issuer: String,
        /// The claim.
        name: String,
        /// What it must say.
        value: String,
    },
}

/// By what a certificate or a token is recognized, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRule {
    /// What must be the certificate's, or the token's.
    pub matcher: Matcher,
    /// The user that its holder is.
    pub user: String,
}

/// What a verified token of an OpenID Connect issuer says of its holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Who made it.
    pub issuer: String,
    /// What it says, where that is a text or a list of texts.
    pub texts: BTreeMap<String, Vec<String>>,
}

/// What a certificate says of its holder beside the common name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// Its serial number, lower-case hexadecimal, where the cluster's own authority issued it.
    pub serial: Option<String>,
    /// The only URI; none where there are several.
    pub uri: Option<String>,
    /// The DNS names.
    pub dns: Vec<String>,
    /// The only organization; none where there are several.
    pub organization: Option<String>,
    /// SHA-256 of the certificate as it was shown: a token may be good with that one only (RFC 8705).
    pub thumbprint: Option<[u8; 32]>,
}

impl Matcher {
    /// Whether a token that says this is meant.
    #[must_use]
    pub fn matches_token(&self, claims: &Claims) -> bool {
        match self {
            Self::Claim { issuer, name, value } => {
                *issuer == claims.issuer && claims.texts.get(name).is_some_and(|texts| texts.contains(value))
            }
            Self::Uri(_) | Self::Dns(_) | Self::Organization(_) => false,
        }
    }

    /// Whether a certificate with these names is meant.
    #[must_use]
    pub fn matches(&self, names: &CertificateNames) -> bool {
        match self {
            Self::Uri(uri) => names.uri.as_ref() == Some(uri),
            Self::Dns(dns) => names.dns.iter().any(|name| name.eq_ignore_ascii_case(dns)),
            Self::Organization(organization) => names.organization.as_ref() == Some(organization),
            Self::Claim { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network that is read wrongly, or matches one bit too few, lets somebody in.
    #[test]
    fn networks_hold_what_they_say() {
        let holds = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.1.2.3", "10.1.2.3") && !holds("10.1.2.3", "10.1.2.2"));
        assert!(holds("10.1.2.2/31", "10.1.2.3") && !holds("10.1.2.2/31", "10.1.2.4"));
        assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("::/0", "::1") && holds("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(holds("::ffff:10.0.0.0/104", "10.0.0.9") && !holds("::ffff:10.0.0.0/104", "11.0.0.9"));
        for odd in [
            "",
            "x",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(Network::parse(odd), None, "{odd}");
        }
        assert_eq!(Network::parse("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
    }

    /// A role counts until its end and from its networks, and from a socket only where networks do not matter.
    #[test]
    fn terms_count_under_their_circumstances() {
        let terms = Terms {
            not_after: 100,
            sources: vec![Network::parse("10.0.0.0/8").unwrap()],
            ..Terms::default()
        };
        let at = |now, source: &str| Circumstances { source: source.parse().ok(), now };
        assert!(terms.counts(&at(99, "10.1.1.1")) && !terms.counts(&at(100, "10.1.1.1")));
        assert!(!terms.counts(&at(99, "11.1.1.1")) && !terms.counts(&at(99, "unix")));
        assert!(Terms::default().counts(&at(u64::MAX, "unix")));
        let limits = |requests_per_second, write_bytes_max| Limits { requests_per_second, write_bytes_max };
        assert_eq!(limits(0, 5).and(limits(3, 0)), limits(3, 5));
        assert_eq!(limits(2, 5).and(limits(3, 4)), limits(2, 4));
    }
}
