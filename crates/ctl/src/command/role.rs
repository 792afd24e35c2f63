//! `role`: makes, lists and removes roles, and says which keys they may read and write.

use super::range::prefix_end;
use super::user::All;
use super::{raw, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use bytes::Bytes;
use clap::{Args, Subcommand};
use proto::authpb::permission::Type;
use proto::{authpb, etcdserverpb as pb};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// `role <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Role {
    /// Make a role
    #[command(override_usage = "strongroom role add [OPTIONS] <ROLE>")]
    Add(One),
    /// Remove a role, and take it from its users
    #[command(override_usage = "strongroom role delete [OPTIONS] <ROLE>")]
    Delete(One),
    /// Show what a role may do
    #[command(override_usage = "strongroom role get [OPTIONS] <ROLE>")]
    Get(One),
    /// List the roles
    #[command(override_usage = "strongroom role list [OPTIONS]")]
    List(All),
    /// Let a role read or write a key or a range of keys
    #[command(
        override_usage = "strongroom role grant-permission [OPTIONS] <ROLE> <read|write|readwrite> <KEY> [END_KEY]"
    )]
    GrantPermission(Grant),
    /// Take a permission from a role: key and end as it was granted
    #[command(override_usage = "strongroom role revoke-permission [OPTIONS] <ROLE> <KEY> [END_KEY]")]
    RevokePermission(Revocation),
}

/// A command about one role.
#[derive(Args, Clone, Debug)]
pub struct One {
    /// The role's name
    #[arg(value_name = "ROLE")]
    words: Vec<String>,
}

/// `role grant-permission <role> <permission> <key> [end]`
#[derive(Args, Clone, Debug)]
pub struct Grant {
    /// The role, read, write or readwrite, and the key, perhaps with an end, itself not included
    #[arg(value_names = ["ROLE", "PERMISSION", "KEY", "END_KEY"])]
    words: Vec<OsString>,
    #[command(flatten)]
    reach: Reach,
}

/// `role revoke-permission <role> <key> [end]`
#[derive(Args, Clone, Debug)]
pub struct Revocation {
    /// The role, and the key, perhaps with an end, as they were granted
    #[arg(value_names = ["ROLE", "KEY", "END_KEY"])]
    words: Vec<OsString>,
    #[command(flatten)]
    reach: Reach,
}

/// How far a permission reaches beyond its key.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// All keys that begin with the key
    #[arg(long)]
    pub(super) prefix: bool,
    /// The key and all keys behind it
    #[arg(long)]
    pub(super) from_key: bool,
}

impl One {
    fn name(&self, command: &str) -> Result<&str, Failure> {
        let [name] = self.words.as_slice() else {
            return Err(Failure::arguments(format!(
                "role {command} command requires role name as its argument"
            )));
        };
        Ok(name)
    }
}

fn text(word: &OsStr) -> Result<String, Failure> {
    word.to_str().map(str::to_owned).ok_or_else(|| Failure::arguments("the role's name is not UTF-8"))
}

/// Reads what is permitted.
fn permission(word: &OsStr) -> Result<Type, Failure> {
    match word.to_string_lossy().to_uppercase().as_str() {
        "READ" => Ok(Type::Read),
        "WRITE" => Ok(Type::Write),
        "READWRITE" => Ok(Type::Readwrite),
        _ => Err(Failure::arguments(format!("invalid permission type: {}", word.to_string_lossy()))
            .hinting("choose read, write or readwrite")),
    }
}

impl Reach {
    /// The range of keys, as a permission has it: no key is empty there, and a zero byte is no end.
    pub(super) fn range(self, words: &[OsString]) -> Result<(Bytes, Bytes), Failure> {
        const ZERO: Bytes = Bytes::from_static(b"\0");
        let refuse = |message: &str| Err(Failure::arguments(message));
        let (key, end) = match words {
            [key] => (raw(key), None),
            [key, end] => (raw(key), Some(raw(end))),
            _ => return refuse("a permission has one key and perhaps an end, and no more"),
        };
        match (self.prefix, self.from_key, end) {
            (true, true, None) => refuse("--from-key and --prefix flags are mutually exclusive"),
            (true, _, Some(_)) => refuse("unexpected endkey argument with --prefix flag"),
            (_, true, Some(_)) => refuse("unexpected endkey argument with --from-key flag"),
            (false, false, Some(_)) if key.is_empty() => {
                Err(Failure::arguments("an end needs a key before it")
                    .hinting("all keys are granted with an empty key and --prefix"))
            }
            (false, false, Some(end)) => Ok((key, end)),
            (true, _, None) | (_, true, None) if key.is_empty() => Ok((ZERO, ZERO)),
            (true, _, None) => Ok((key.clone(), prefix_end(&key))),
            (_, true, None) => Ok((key, ZERO)),
            (false, false, None) if key.is_empty() => Ok((ZERO, Bytes::new())),
            (false, false, None) => Ok((key, Bytes::new())),
        }
    }
}

impl Grant {
    fn request(&self) -> Result<pb::AuthRoleGrantPermissionRequest, Failure> {
        let [role, kind, keys @ ..] = self.words.as_slice() else { return Err(incomplete_grant()) };
        if keys.is_empty() {
            return Err(incomplete_grant());
        }
        let perm_type = permission(kind)?.into();
        let (key, range_end) = self.reach.range(keys)?;
        let permission = authpb::Permission { perm_type, key, range_end };
        Ok(pb::AuthRoleGrantPermissionRequest { name: text(role)?, perm: Some(permission) })
    }
}

impl Revocation {
    fn request(&self) -> Result<pb::AuthRoleRevokePermissionRequest, Failure> {
        let [role, keys @ ..] = self.words.as_slice() else { return Err(incomplete_revocation()) };
        if keys.is_empty() {
            return Err(incomplete_revocation());
        }
        let (key, range_end) = self.reach.range(keys)?;
        Ok(pb::AuthRoleRevokePermissionRequest { role: text(role)?, key, range_end })
    }
}

fn incomplete_grant() -> Failure {
    Failure::arguments(
        "role grant command requires role name, permission type, and key [endkey] as its argument",
    )
}

fn incomplete_revocation() -> Failure {
    Failure::arguments("role revoke-permission command requires role name and key [endkey] as its argument")
}

/// What a revocation did: the key as it was written, with its end.
fn revoked(key: &OsStr, request: &pb::AuthRoleRevokePermissionRequest) -> Vec<u8> {
    let (key, role) = (key.as_bytes(), request.role.as_bytes());
    let what: &[&[u8]] = match request.range_end.as_ref() {
        b"" => &[b"key ", key],
        b"\0" => &[b"range [", key, b", <open ended>"],
        end => &[b"range [", key, b", ", end, b")"],
    };
    [b"Permission of ", what.concat().as_slice(), b" is revoked from role ", role].concat()
}

/// Asks for a role and shows it.
pub(super) async fn show_one(client: &Client, role: &str) -> Result<(), Failure> {
    let request = client.request(pb::AuthRoleGetRequest { role: role.to_owned() });
    let answer = client.call(client.auth().role_get(request)).await?;
    show(client, &Answer::Role(role, &answer))
}

impl Role {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match self {
            Self::Add(one) => {
                let name = one.name("add")?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::AuthRoleAddRequest { name: name.to_owned() });
                let answer = client.call(client.auth().role_add(request)).await?;
                show(&client, &Answer::Done(format!("Role {name} created").as_bytes(), answer.header))
            }
            Self::Delete(one) => {
                let name = one.name("delete")?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::AuthRoleDeleteRequest { role: name.to_owned() });
                let answer = client.call(client.auth().role_delete(request)).await?;
                show(&client, &Answer::Done(format!("Role {name} deleted").as_bytes(), answer.header))
            }
            Self::Get(one) => {
                let name = one.name("get")?;
                show_one(&Client::connect(settings).await?, name).await
            }
            Self::List(all) => {
                all.check("role list command requires no arguments")?;
                let client = Client::connect(settings).await?;
                let request = client.request(pb::AuthRoleListRequest {});
                let answer = client.call(client.auth().role_list(request)).await?;
                show(&client, &Answer::Roles(&answer))
            }
            Self::GrantPermission(grant) => {
                let request = grant.request()?;
                let client = Client::connect(settings).await?;
                let done = format!("Role {} updated", request.name);
                let answer =
                    client.call(client.auth().role_grant_permission(client.bounded(request)?)).await?;
                show(&client, &Answer::Done(done.as_bytes(), answer.header))
            }
            Self::RevokePermission(revocation) => {
                let request = revocation.request()?;
                let key = revocation.words.get(1).map_or(OsStr::new(""), OsString::as_os_str);
                let done = revoked(key, &request);
                let client = Client::connect(settings).await?;
                let answer =
                    client.call(client.auth().role_revoke_permission(client.bounded(request)?)).await?;
                show(&client, &Answer::Done(&done, answer.header))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn granted(line: &[&str], prefix: bool, from_key: bool) -> Result<authpb::Permission, Failure> {
        let grant = Grant { words: words(line), reach: Reach { prefix, from_key } };
        Ok(grant.request()?.perm.unwrap())
    }

    /// A permission with another range than was meant opens keys that were to stay closed: the edges are the empty key, the
    /// prefix without an end, and the options that contradict each other.
    #[test]
    fn a_permission_has_the_range_that_was_meant() {
        for (line, prefix, from_key, range) in [
            (&["r", "read", "a"][..], false, false, Ok(("a", ""))),
            (&["r", "read", "a", "c"], false, false, Ok(("a", "c"))),
            (&["r", "read", "a"], true, false, Ok(("a", "b"))),
            (&["r", "read", "a"], false, true, Ok(("a", "\0"))),
            (&["r", "read", ""], false, false, Ok(("\0", ""))),
            (&["r", "read", ""], true, false, Ok(("\0", "\0"))),
            (&["r", "read", ""], false, true, Ok(("\0", "\0"))),
            (&["r", "read", "", "c"], false, false, Err("an end needs a key")),
            (&["r", "read", "", "c"], true, false, Err("unexpected endkey argument with --prefix")),
            (&["r", "read", "a"], true, true, Err("mutually exclusive")),
            (&["r", "read", ""], true, true, Err("mutually exclusive")),
            (&["r", "read", "a", "c"], true, true, Err("unexpected endkey argument with --prefix")),
            (&["r", "read", "a", "c"], false, true, Err("unexpected endkey argument with --from-key")),
            (&["r", "read", "a", "c", "d"], false, false, Err("no more")),
            (&["r", "read"], false, false, Err("role grant command requires")),
            (&["r"], false, false, Err("role grant command requires")),
            (&["r", "own", "a"], false, false, Err("invalid permission type: own")),
        ] {
            match (granted(line, prefix, from_key), range) {
                (Ok(got), Ok((key, end))) => {
                    assert_eq!((got.key.as_ref(), got.range_end.as_ref()), (key.as_bytes(), end.as_bytes()));
                }
                (Err(failure), Err(said)) => {
                    assert_eq!(failure.code, 128);
                    assert!(failure.message.contains(said), "{line:?}: {failure}");
                }
                (got, wanted) => panic!("{line:?}: {got:?}, and not {wanted:?}"),
            }
        }
    }

    /// The kinds of permission are written in any case, and are not mixed up.
    #[test]
    fn kinds_of_permission_are_read_in_any_case() {
        for (word, kind) in [("read", Type::Read), ("Write", Type::Write), ("READWRITE", Type::Readwrite)] {
            assert_eq!(granted(&["r", word, "a"], false, false).unwrap().perm_type, kind as i32);
        }
    }

    /// A revocation says what is gone, in etcdctl's words: an open end and a single key are told apart.
    #[test]
    fn a_revocation_says_what_is_gone() {
        let revocation = |line: &[&str], prefix, from_key| Revocation {
            words: words(line),
            reach: Reach { prefix, from_key },
        };
        let said = |line: &[&str], prefix, from_key| {
            let revocation = revocation(line, prefix, from_key);
            String::from_utf8(revoked(&revocation.words[1], &revocation.request().unwrap())).unwrap()
        };
        assert_eq!(said(&["r", "a"], false, false), "Permission of key a is revoked from role r");
        assert_eq!(said(&["r", "a"], true, false), "Permission of range [a, b) is revoked from role r");
        assert_eq!(
            said(&["r", ""], true, false),
            "Permission of range [, <open ended> is revoked from role r"
        );
        assert!(revocation(&["r"], false, false).request().is_err());
    }
}
