//! Versions as etcd writes them: `major.minor.patch`, with an optional pre-release and metadata.
//!
//! Only major and minor count here, as in etcd's cluster version.

use std::fmt;

/// A version by its major and minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u64,
    minor: u64,
}

impl Version {
    /// Reads `major.minor.patch`, all three there, whatever follows `-` or `+`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.split_once('+').map_or(text, |(version, _)| version);
        let text = text.split_once('-').map_or(text, |(version, _)| version);
        let mut parts = text.splitn(3, '.').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u64>().ok()).flatten()
        });
        let (major, minor, _patch) = (parts.next()??, parts.next()??, parts.next()??);
        Some(Self { major, minor })
    }

    /// The only version that a cluster of this one can go back to.
    pub(super) fn before(self) -> Option<Self> {
        Some(Self { minor: self.minor.checked_sub(1)?, ..self })
    }

    /// As etcd prints a cluster's version: `3.7`.
    pub(super) fn cluster(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.0", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// etcd takes three numbers, and nothing else, for a version; a downgrade's refusal depends on it.
    #[test]
    fn versions_are_three_numbers() {
        for text in ["", "3", "3.6", "3.6.x", "3.6.", "a.b.c", "3.6.0.1", "-3.6.0", "3.6.+1", " 3.6.0"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        for text in ["3.6.0", "3.6.9", "3.6.0-rc.1", "3.6.0+build", "3.6.0-a+b"] {
            assert_eq!(Version::parse(text).unwrap().to_string(), "3.6.0", "{text}");
        }
        let version = Version::parse("3.7.0").unwrap();
        assert_eq!(version.cluster(), "3.7");
        assert_eq!(version.before(), Version::parse("3.6.0"));
        assert_eq!(Version::parse("4.0.0").unwrap().before(), None);
    }
}
