//! A password, a token, or an argument that may hold one: wiped where it ends, never printed.
//!
//! What the system keeps of it is out of reach: the arguments of a process, and what a library has encoded for the wire.

use std::fmt;
use zeroize::Zeroizing;

/// Text that nobody else should read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text, for who needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes `name:password` apart, at the first colon; `None` where there is none.
    pub(crate) fn split(&self) -> Option<(String, Self)> {
        let (name, password) = self.0.split_once(':')?;
        Some((name.to_owned(), password.into()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::ZeroizeOnDrop;

    /// A password is wiped where it ends, and shows in no debug line, however deep it sits in what is printed.
    #[test]
    fn a_secret_is_wiped_and_prints_as_stars() {
        fn is_wiped<T: ZeroizeOnDrop>(_: &T) {}
        let secret = Secret::from("pass");
        is_wiped(&secret.0);
        assert_eq!(format!("{:?}", Some(secret)), "Some(***)");
    }

    /// Only the first colon parts name and password: passwords hold colons too.
    #[test]
    fn a_name_ends_at_the_first_colon() {
        assert_eq!(Secret::from("me:a:b").split(), Some(("me".to_owned(), Secret::from("a:b"))));
        assert_eq!(Secret::from("me:").split(), Some(("me".to_owned(), Secret::default())));
        assert_eq!(Secret::from("me").split(), None);
    }
}
