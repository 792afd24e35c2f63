//! The keys and values of all workloads: `Keys` says how many and how large, and makes each from its number.
//!
//! A key looks like one of Kubernetes and sorts as its number does. Values cannot be compressed, as sealed ones cannot.

use bytes::Bytes;
use clap::Args;

/// How many keys, and sizes in bytes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Keys {
    /// How many keys there are to write and to read.
    #[arg(long, global = true, default_value_t = 100_000)]
    pub(crate) keys: u64,
    /// The size of a key.
    #[arg(long, global = true, default_value_t = 80)]
    pub(crate) key_bytes: usize,
    /// The size of a value.
    #[arg(long, global = true, default_value_t = 512)]
    pub(crate) value_bytes: usize,
}

impl Keys {
    /// The key of that number.
    pub(crate) fn key(&self, number: u64) -> Bytes {
        let head = format!("/registry/pods/namespace-{:06}/", number / 100);
        let digits = self.key_bytes.saturating_sub(head.len()).max(8);
        format!("{head}{number:0digits$}").into()
    }

    /// One of them, each as likely.
    pub(crate) fn any(&self) -> Bytes {
        self.key(fastrand::u64(..self.keys.max(1)))
    }

    /// A new value.
    pub(crate) fn value(&self) -> Bytes {
        let mut value = vec![0; self.value_bytes];
        fastrand::fill(&mut value);
        value.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys { keys: 1_000_000, key_bytes: 80, value_bytes: 512 }
    }

    /// A list of a thousand keys takes the range between two numbers: so keys must sort as their numbers do.
    #[test]
    fn keys_sort_as_their_numbers_and_have_their_size() {
        let made: Vec<_> = [0, 1, 99, 100, 9_999, 10_000, 999_999].map(|number| keys().key(number)).into();
        assert!(made.is_sorted(), "{made:?}");
        assert!(made.iter().all(|key| key.len() == 80), "{made:?}");
    }

    /// The sizes on disk would mean nothing if one value were like another.
    #[test]
    fn values_differ() {
        assert_eq!(keys().value().len(), 512);
        assert_ne!(keys().value(), keys().value());
    }
}
