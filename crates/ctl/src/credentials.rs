//! What a member asks of us besides a certificate: a user with a password, or a token.
//!
//! Owns where they come from (flags before variables) and that a password which nobody gave is asked for when it is first
//! needed, once for all connections of a command. Invariants: no user without a name, no token beside a user, and nothing
//! here prints what is secret.

use crate::exit::Failure;
use crate::prompt;
use crate::secret::Secret;
use crate::settings::{Global, Surroundings};
use std::sync::{Arc, Mutex, PoisonError};

/// Who logs in, and with what.
#[derive(Clone, Debug, Default)]
pub(crate) enum Credentials {
    /// Nobody: a certificate, if there is one, says who asks.
    #[default]
    None,
    /// A user of the member.
    User(String, Password),
    /// A token that somebody else issued.
    Token(Secret),
}

/// A password that is there, or will be asked for.
#[derive(Clone, Default)]
pub(crate) struct Password(Arc<Mutex<Option<Secret>>>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Password {
    pub(crate) fn given(secret: Secret) -> Self {
        Self(Arc::new(Mutex::new(Some(secret))))
    }

    /// The password; the first call asks for one that was not given.
    ///
    /// # Errors
    /// It cannot be asked for.
    pub(crate) fn reveal(&self) -> Result<Secret, Failure> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = &*known {
            return Ok(secret.clone());
        }
        let secret = prompt::ask("Password: ")?;
        *known = Some(secret.clone());
        Ok(secret)
    }
}

impl Credentials {
    /// Reads the options. As in etcdctl, an empty one is none, and a user with `--password` may have a colon in the name.
    pub(crate) fn resolve(global: &Global, around: &Surroundings<'_>) -> Result<Self, Failure> {
        let flag = |value: &Option<Secret>| value.clone().filter(|value| !value.is_empty());
        let variable = |name: &str| around.text(name).map(|text| text.map(Secret::from));
        let (user, token) = match (flag(&global.user), flag(&global.auth_jwt_token)) {
            // Who says on the command line who asks does not mean the variables that say it otherwise.
            (None, None) => (variable("USER")?, variable("AUTH_JWT_TOKEN")?),
            given => given,
        };
        let password = flag(&global.password);
        match (user, token) {
            (Some(_), Some(_)) => Err(Failure::arguments("a token and a user cannot be given together")),
            (None, Some(_)) if password.is_some() => {
                Err(Failure::arguments("a token and a password cannot be given together"))
            }
            (None, Some(token)) => Ok(Self::Token(token)),
            (None, None) if password.is_some() || variable("PASSWORD")?.is_some() => {
                Err(Failure::arguments("--password needs --user"))
            }
            (None, None) => Ok(Self::None),
            (Some(user), None) => {
                match password.map_or_else(|| variable("PASSWORD"), |given| Ok(Some(given)))? {
                    Some(password) => Ok(Self::User(user.expose().to_owned(), Password::given(password))),
                    None => Self::alone(&user),
                }
            }
        }
    }

    /// `--user` without `--password`.
    fn alone(user: &Secret) -> Result<Self, Failure> {
        match user.split() {
            None => Ok(Self::User(user.expose().to_owned(), Password::default())),
            Some((name, _)) if name.is_empty() => {
                Err(Failure::arguments("empty user name is not allowed")
                    .hinting("write --user name:password"))
            }
            Some((name, password)) => Ok(Self::User(name, Password::given(password))),
        }
    }

    /// Asks for the password now, before a command reads standard input for itself.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        match self {
            Self::User(_, password) => password.reveal().map(|_| ()),
            Self::None | Self::Token(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(user: &str, password: &str, token: &str) -> Global {
        let given = |text: &str| (text != "-").then(|| Secret::from(text));
        Global {
            user: given(user),
            password: given(password),
            auth_jwt_token: given(token),
            ..Global::default()
        }
    }

    /// What came out, in words; a password that is not there yet would be asked for.
    fn resolved(global: &Global, variables: &[(&str, &str)]) -> Result<String, Failure> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| std::ffi::OsString::from(value))
        };
        Ok(match Credentials::resolve(global, &Surroundings { variable: &variable })? {
            Credentials::None => "nobody".to_owned(),
            Credentials::Token(token) => format!("token {}", token.expose()),
            Credentials::User(name, password) => match &*password.0.lock().unwrap() {
                Some(password) => format!("{name} with {}", password.expose()),
                None => format!("{name}, asked"),
            },
        })
    }

    /// Who asks must be whom the nearest place names: a forgotten variable must not turn a command into another user's.
    #[test]
    fn the_nearest_place_says_who_asks() {
        let none = ("-", "-", "-");
        for ((user, password, token), variables, meaning) in [
            (none, &[][..], "nobody"),
            (("", "-", ""), &[], "nobody"),
            (("me", "-", "-"), &[], "me, asked"),
            (("me", "", "-"), &[], "me, asked"),
            (("me:", "-", "-"), &[], "me with "),
            (("me:a:b", "-", "-"), &[], "me with a:b"),
            (("me:a", "b", "-"), &[], "me:a with b"),
            (("-", "-", "t"), &[], "token t"),
            (none, &[("ETCDCTL_USER", "e:1"), ("STRONGROOM_USER", "s:2")], "s with 2"),
            (none, &[("ETCDCTL_USER", "e"), ("STRONGROOM_PASSWORD", "2")], "e with 2"),
            (("me", "-", "-"), &[("ETCDCTL_USER", "e:1"), ("ETCDCTL_PASSWORD", "2")], "me with 2"),
            (("me:1", "-", "-"), &[("ETCDCTL_AUTH_JWT_TOKEN", "t")], "me with 1"),
            (("-", "-", "t"), &[("ETCDCTL_USER", "e:1"), ("ETCDCTL_PASSWORD", "2")], "token t"),
            (none, &[("ETCDCTL_AUTH_JWT_TOKEN", "t")], "token t"),
        ] {
            let said = resolved(&global(user, password, token), variables).unwrap();
            assert_eq!(said, meaning, "{user} {password} {token} {variables:?}");
        }
    }

    /// Two answers to the question who asks are a mistake to name, not to choose from; and none of them may be repeated aloud.
    #[test]
    fn contradictions_are_refused_without_repeating_a_secret() {
        for ((user, password, token), variables, said) in [
            (("me:hush", "-", "hush"), &[][..], "a token and a user"),
            (("-", "hush", "hush"), &[], "a token and a password"),
            (("-", "hush", "-"), &[], "--password needs --user"),
            (("-", "-", "-"), &[("ETCDCTL_PASSWORD", "hush")], "--password needs --user"),
            ((":hush", "-", "-"), &[], "empty user name"),
            (("-", "-", "-"), &[("ETCDCTL_USER", "me:hush"), ("ETCDCTL_AUTH_JWT_TOKEN", "hush")], "together"),
        ] {
            let failure = resolved(&global(user, password, token), variables).unwrap_err();
            assert_eq!(failure.code, 128, "{failure}");
            assert!(failure.message.contains(said) && !failure.to_string().contains("hush"), "{failure}");
        }
    }

    /// A password or token must never reach a debug line, neither from the options nor from what became of them.
    #[test]
    fn credentials_print_as_stars() {
        for global in [global("me:hush", "-", "-"), global("me", "hush", "-"), global("-", "-", "hush")] {
            let settings = crate::settings::Settings::resolve(&global, &Surroundings { variable: &|_| None });
            let said = format!("{global:?} {:?}", settings.unwrap());
            assert!(!said.contains("hush"), "{said}");
        }
    }
}
