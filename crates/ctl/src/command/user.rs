//! `user`: makes, lists and removes users, sets passwords, and grants roles.
//!
//! A password is read before anything is connected, and never printed. An empty one is refused: anybody could log in with it.

use super::{say, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::prompt;
use crate::secret::Secret;
use crate::settings::Settings;
use clap::{ArgAction, Args, Subcommand};
use proto::{authpb, etcdserverpb as pb};
use std::ffi::OsString;
use std::sync::Arc;

/// `user <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum User {
    /// Make a user; the password is asked for
    #[command(override_usage = "strongroom user add [OPTIONS] <NAME or NAME:PASSWORD>")]
    Add(Add),
    /// Remove a user
    #[command(override_usage = "strongroom user delete [OPTIONS] <NAME>")]
    Delete(One),
    /// Show a user's roles
    #[command(override_usage = "strongroom user get [OPTIONS] <NAME>")]
    Get(Get),
    /// List the users
    #[command(override_usage = "strongroom user list [OPTIONS]")]
    List(All),
    /// Set a user's password
    #[command(override_usage = "strongroom user passwd [OPTIONS] <NAME>")]
    Passwd(Passwd),
    /// Give a user a role
    #[command(override_usage = "strongroom user grant-role [OPTIONS] <NAME> <ROLE>")]
    GrantRole(Two),
    /// Take a role from a user
    #[command(override_usage = "strongroom user revoke-role [OPTIONS] <NAME> <ROLE>")]
    RevokeRole(Two),
}

/// `user add <name>`
#[derive(Args, Clone, Debug)]
pub struct Add {
    /// The user's name; a password behind a colon can be seen by other users of the machine
    #[arg(value_name = "NAME")]
    words: Vec<Secret>,
    /// The password; other users of the machine can see it here
    #[arg(long, value_name = "PASSWORD", allow_hyphen_values = true)]
    new_user_password: Option<Secret>,
    /// Without a password: for a user that shows a certificate with this name
    #[arg(long)]
    no_password: bool,
    #[command(flatten)]
    input: Input,
}

/// `user passwd <name>`
#[derive(Args, Clone, Debug)]
pub struct Passwd {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    input: Input,
}

/// How a new password is read.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Input {
    /// Ask for the password, twice; with =false it is one line of standard input
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", hide_default_value = true, value_name = "BOOL")]
    interactive: bool,
}

/// `user get <name>`
#[derive(Args, Clone, Debug)]
pub struct Get {
    #[command(flatten)]
    one: One,
    /// With what each of its roles may do
    #[arg(long)]
    detail: bool,
}

/// A command about one user.
#[derive(Args, Clone, Debug)]
pub struct One {
    /// The user's name
    #[arg(value_name = "NAME")]
    words: Vec<String>,
}

/// A command about a user and a role.
#[derive(Args, Clone, Debug)]
pub struct Two {
    /// The user's name and the role's
    #[arg(value_names = ["NAME", "ROLE"])]
    words: Vec<String>,
}

/// A command without arguments.
#[derive(Args, Clone, Debug)]
pub struct All {
    #[arg(hide = true)]
    words: Vec<OsString>,
}

impl All {
    /// Refuses arguments, in etcdctl's words.
    pub(super) fn check(&self, refusal: &str) -> Result<(), Failure> {
        if self.words.is_empty() { Ok(()) } else { Err(Failure::arguments(refusal)) }
    }
}

impl One {
    fn name(&self, command: &str) -> Result<&str, Failure> {
        let [name] = self.words.as_slice() else {
            return Err(Failure::arguments(format!(
                "user {command} command requires user name as its argument"
            )));
        };
        Ok(name)
    }
}

impl Two {
    fn names(self, refusal: &str) -> Result<(String, String), Failure> {
        let [name, role]: [String; 2] = self.words.try_into().map_err(|_| Failure::arguments(refusal))?;
        Ok((name, role))
    }
}

impl Input {
    fn read(self, name: &str) -> Result<Secret, Failure> {
        if self.interactive { prompt::ask_new(name) } else { not_empty(prompt::read()?) }
    }
}

fn not_empty(password: Secret) -> Result<Secret, Failure> {
    if password.is_empty() {
        return Err(Failure::arguments("empty password").hinting(
            "give a password; a user that shows a certificate needs none: strongroom user add <name> --no-password",
        ));
    }
    Ok(password)
}

impl User {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(settings).await,
            Self::Delete(one) => {
                let name = one.name("delete")?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::AuthUserDeleteRequest { name: name.to_owned() });
                let answer = client.call(client.auth().user_delete(request)).await?;
                show(&client, &Answer::Done(format!("User {name} deleted").as_bytes(), answer.header))
            }
            Self::Get(get) => get.run(settings).await,
            Self::List(all) => {
                all.check("user list command requires no arguments")?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::AuthUserListRequest {});
                let answer = client.call(client.auth().user_list(request)).await?;
                show(&client, &Answer::Users(&answer))
            }
            Self::Passwd(passwd) => passwd.run(settings).await,
            Self::GrantRole(two) => {
                let (user, role) =
                    two.names("user grant command requires user name and role name as its argument")?;
                let client = Client::connect(settings).await?;
                let done = format!("Role {role} is granted to user {user}");
                let request = client.request(pb::AuthUserGrantRoleRequest { user, role });
                let answer = client.call(client.auth().user_grant_role(request)).await?;
                show(&client, &Answer::Done(done.as_bytes(), answer.header))
            }
            Self::RevokeRole(two) => {
                let (name, role) =
                    two.names("user revoke-role requires user name and role name as its argument")?;
                let client = Client::connect(settings).await?;
                let done = format!("Role {role} is revoked from user {name}");
                let request = client.request(pb::AuthUserRevokeRoleRequest { name, role });
                let answer = client.call(client.auth().user_revoke_role(request)).await?;
                show(&client, &Answer::Done(done.as_bytes(), answer.header))
            }
        }
    }
}

impl Add {
    /// The name, and the password unless there shall be none. `read` gets one for that name.
    fn who(
        &self,
        read: impl FnOnce(&str) -> Result<Secret, Failure>,
    ) -> Result<(String, Option<Secret>), Failure> {
        let [word] = self.words.as_slice() else {
            return Err(Failure::arguments("user add command requires user name as its argument"));
        };
        let whole = || word.expose().to_owned();
        if self.no_password {
            return Ok((whole(), None));
        }
        if let Some(password) = self.new_user_password.clone().filter(|password| !password.is_empty()) {
            return Ok((whole(), Some(password)));
        }
        match word.split() {
            None => Ok((whole(), Some(read(word.expose())?))),
            Some((name, _)) if name.is_empty() => Err(Failure::arguments("empty user name is not allowed")),
            Some((name, password)) => Ok((name, Some(not_empty(password)?))),
        }
    }

    async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let (name, password) = self.who(|name| self.input.read(name))?;
        let client = Client::connect(settings).await?;
        let request = client.request(pb::AuthUserAddRequest {
            name: name.clone(),
            password: password.as_ref().map(|password| password.expose().to_owned()).unwrap_or_default(),
            options: Some(authpb::UserAddOptions { no_password: password.is_none() }),
            ..pb::AuthUserAddRequest::default()
        });
        let answer = client.call(client.auth().user_add(request)).await?;
        show(&client, &Answer::Done(format!("User {name} created").as_bytes(), answer.header))
    }
}

impl Passwd {
    async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let name = self.one.name("passwd")?;
        let password = self.input.read(name)?;
        let client = Client::connect(settings).await?;
        let request = client.request(pb::AuthUserChangePasswordRequest {
            name: name.to_owned(),
            password: password.expose().to_owned(),
            ..pb::AuthUserChangePasswordRequest::default()
        });
        let answer = client.call(client.auth().user_change_password(request)).await?;
        show(&client, &Answer::Done(b"Password updated", answer.header))
    }
}

impl Get {
    async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let name = self.one.name("get")?;
        let client = Client::connect(settings).await?;
        let request = client.request(pb::AuthUserGetRequest { name: name.to_owned() });
        let answer = client.call(client.auth().user_get(request)).await?;
        if !self.detail {
            return show(&client, &Answer::User(name, &answer));
        }
        say(&format!("User: {name}"))?;
        for role in &answer.roles {
            say("")?;
            super::role::show_one(&client, role).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(words: &[&str], new: &str, no_password: bool) -> Add {
        Add {
            words: words.iter().map(|word| Secret::from(*word)).collect(),
            new_user_password: Some(new.into()),
            no_password,
            input: Input { interactive: true },
        }
    }

    /// Name and password come from four places; taking the wrong one makes a user that nobody can log in as, or anybody.
    #[test]
    fn a_new_user_has_the_password_that_was_meant() {
        let who = |add: Add| {
            let (name, password) = add.who(|name| Ok(format!("asked of {name}").into()))?;
            Ok((name, password.map(|password| password.expose().to_owned())))
        };
        let with = |name: &str, password: &str| Ok((name.to_owned(), Some(password.to_owned())));
        assert_eq!(who(add(&["me"], "", false)), with("me", "asked of me"));
        assert_eq!(who(add(&["me:a:b"], "", false)), with("me", "a:b"));
        assert_eq!(who(add(&["me:a"], "new", false)), with("me:a", "new"));
        assert_eq!(who(add(&["me:a"], "new", true)), Ok(("me:a".to_owned(), None)));
        for (words, said) in [
            (&[][..], "requires user name"),
            (&["me", "hush"], "requires user name"),
            (&[":hush"], "empty user name"),
            (&["me:"], "empty password"),
        ] {
            let failure: Failure = who(add(words, "", false)).unwrap_err();
            assert_eq!(failure.code, 128);
            assert!(failure.message.contains(said) && !failure.to_string().contains("hush"), "{failure}");
        }
    }

    /// What is on the command line of `user add` may be a password: no debug line shows it.
    #[test]
    fn a_new_users_password_prints_as_stars() {
        assert!(!format!("{:?}", add(&["me:hush"], "hush", false)).contains("hush"));
    }
}
