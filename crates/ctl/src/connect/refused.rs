//! A member's refusal: its own words, and below them what to do.
//!
//! Pure. Scripts compare the words, so they come through unchanged; the hint names the next command.

use super::login::{INVALID_TOKEN, NOBODY, OLD_REVISION};
use crate::exit::Failure;
use crate::print::text::quote;

/// etcd's words for a right that is missing.
pub(super) const PERMISSION_DENIED: &str = "etcdserver: permission denied";

/// etcd's words for an unknown user and for a wrong password alike.
const LOGIN_FAILED: &str = "etcdserver: authentication failed, invalid user ID or password";

/// Who the member takes us for, as far as we can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// Nobody: neither logged in nor with a certificate.
    Nobody,
    /// The user that we logged in as.
    User(String),
    /// Whom the token names.
    Token,
    /// The common name of our certificate.
    Certificate(String),
}

/// A name for a command line: as it is where no shell minds.
pub(crate) fn shown(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_.@/:+".contains(c);
    if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { quote(name.as_bytes()) }
}

/// The refusal with its hint, where etcd's words need one.
pub(super) fn refused(words: &str, asking: &Asking) -> Failure {
    // Our own refusals bring what to do along.
    if let Some((what, hint)) = words.split_once("; hint: ") {
        return Failure::error(what).hinting(hint);
    }
    let failure = Failure::error(words);
    match login(words, asking).or_else(|| access(words).or_else(|| other(words)).map(str::to_owned)) {
        Some(hint) => failure.hinting(hint),
        None => failure,
    }
}

/// What depends on who asks.
fn login(words: &str, asking: &Asking) -> Option<String> {
    let rights = |name: &str| {
        let name = shown(name);
        format!(
            "see its rights: strongroom user get {name} --detail; an administrator adds to them: \
             strongroom role grant-permission <role> <read|write|readwrite> <key>"
        )
    };
    Some(match (words, asking) {
        (PERMISSION_DENIED, Asking::Nobody) => {
            "nobody is asking: log in with --user, or show a certificate (--cert, --key) to a member that serves TLS".into()
        }
        (PERMISSION_DENIED, Asking::User(name)) => format!("this is user {}; {}", shown(name), rights(name)),
        // An identity rule may have said who it is, which this side cannot know.
        (PERMISSION_DENIED, Asking::Certificate(name)) => format!(
            "the certificate reads {}: that user is asking, unless an identity rule makes its holder another one \
             (strongroom access whoami); {}",
            shown(name),
            rights(name)
        ),
        (PERMISSION_DENIED, Asking::Token) => "the user that the token names lacks that right; an administrator \
             grants it: strongroom role grant-permission <role> <read|write|readwrite> <key>"
            .into(),
        (INVALID_TOKEN, Asking::Token) => {
            "the token has ended, or is of another cluster or key: get a new one for --auth-jwt-token".into()
        }
        (NOBODY, Asking::Certificate(name)) => format!(
            "access control is on, and the member does not take {} from the certificate: log in with --user",
            shown(name)
        ),
        (INVALID_TOKEN | NOBODY, _) => {
            "access control is on: log in with --user <name>, or show a certificate with the name of a user".into()
        }
        // What stands behind the colon may be a password that was not meant as part of a name.
        (LOGIN_FAILED, Asking::User(name)) if name.contains(':') => {
            "all of --user is the name where --password or STRONGROOM_PASSWORD is given too: write the password \
             in one place"
                .into()
        }
        (LOGIN_FAILED, Asking::User(name)) => format!(
            "check name and password; an administrator sets a new one: strongroom user passwd {}",
            shown(name)
        ),
        ("auth: authentication failed, password was given for no password user", Asking::User(name)) => format!(
            "{name} has no password: leave out --user, and show the certificate with that name (--cert, --key)",
            name = shown(name)
        ),
        _ => return None,
    })
}

/// Users and roles.
fn access(words: &str) -> Option<&'static str> {
    Some(match words {
        OLD_REVISION => "users or roles were changed at this moment; try again",
        "etcdserver: root user does not exist" => {
            "make the administrator first: strongroom user add root; then strongroom auth enable"
        }
        "etcdserver: root user does not have root role" => "strongroom user grant-role root root",
        "etcdserver: user name already exists" => {
            "see strongroom user list; a new password: strongroom user passwd <name>"
        }
        "etcdserver: user name not found" => "see strongroom user list; make it: strongroom user add <name>",
        "etcdserver: role name already exists" => {
            "see strongroom role list; add to it: strongroom role grant-permission"
        }
        "etcdserver: role name not found" => "see strongroom role list; make it: strongroom role add <role>",
        "etcdserver: role is not granted to the user" => "see its roles: strongroom user get <name>",
        "etcdserver: permission is not granted to the role" => {
            "name key and end as they were granted: strongroom role get <role>"
        }
        "etcdserver: invalid auth management" => {
            "while access control is on, user and role root stay and belong together; and a range ends behind its key"
        }
        "unknown service strongroom.v1.Access" => {
            "this is an etcd, which knows users and roles alone: strongroom user, role and auth"
        }
        "strongroom: no identity rule of this name" => "see strongroom access identity list",
        "etcdserver: authentication is not enabled" => "access control is off: strongroom auth enable",
        _ => return None,
    })
}

fn other(words: &str) -> Option<&'static str> {
    Some(match words {
        "etcdserver: mvcc: database space exceeded" => {
            "free space: compact and delete, then strongroom alarm disarm; or raise the quota"
        }
        "etcdserver: requested lease not found" => {
            "lease identifiers are hexadecimal; see strongroom lease list"
        }
        "etcdserver: mvcc: required revision has been compacted" => {
            "that part of the history is gone; ask without --rev, or for a newer revision"
        }
        "etcdserver: mvcc: required revision is a future revision" => {
            "see the present revision: strongroom get x -w fields"
        }
        "etcdserver: no leader" => {
            "the cluster has lost its majority: look at strongroom endpoint status --cluster"
        }
        "etcdserver: request is too large" => {
            "the server limits requests; split it, or raise --max-request-bytes there"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A refusal must keep the member's words and lead on: who is refused, and the command that helps.
    #[test]
    fn each_refusal_about_access_names_the_next_command() {
        let alice = || Asking::User("alice".into());
        let certificate = || Asking::Certificate("my app".into());
        for (words, asking, hint) in [
            (PERMISSION_DENIED, Asking::Nobody, "log in with --user"),
            (
                PERMISSION_DENIED,
                alice(),
                "this is user alice; see its rights: strongroom user get alice --detail",
            ),
            (
                PERMISSION_DENIED,
                certificate(),
                "the certificate reads \"my app\": that user is asking, unless an identity rule",
            ),
            (PERMISSION_DENIED, certificate(), "strongroom access whoami"),
            (PERMISSION_DENIED, certificate(), "strongroom user get \"my app\" --detail"),
            (PERMISSION_DENIED, Asking::Token, "strongroom role grant-permission"),
            (INVALID_TOKEN, Asking::Token, "a new one for --auth-jwt-token"),
            (INVALID_TOKEN, alice(), "log in with --user"),
            (NOBODY, Asking::Nobody, "log in with --user"),
            (NOBODY, certificate(), "does not take \"my app\" from the certificate"),
            (OLD_REVISION, Asking::Nobody, "try again"),
            (LOGIN_FAILED, alice(), "strongroom user passwd alice"),
            (LOGIN_FAILED, Asking::User("alice:hush".into()), "write the password in one place"),
            (
                "auth: authentication failed, password was given for no password user",
                alice(),
                "leave out --user",
            ),
            ("etcdserver: root user does not exist", Asking::Nobody, "strongroom user add root"),
            ("etcdserver: user name not found", Asking::Nobody, "strongroom user list"),
            ("etcdserver: role name not found", Asking::Nobody, "strongroom role add"),
            ("etcdserver: permission is not granted to the role", Asking::Nobody, "strongroom role get"),
            ("etcdserver: invalid auth management", Asking::Nobody, "root stay"),
            ("etcdserver: authentication is not enabled", Asking::Nobody, "strongroom auth enable"),
        ] {
            let failure = refused(words, &asking);
            assert_eq!((failure.message.as_str(), failure.code), (words, 1));
            assert!(failure.hint.as_deref().is_some_and(|text| text.contains(hint)), "{failure}");
            assert!(!failure.to_string().contains("hush"), "{failure}");
        }
        assert_eq!(refused("etcdserver: corrupt cluster", &Asking::Nobody).hint, None);
    }

    /// A name from a certificate may hold anything: what is shown must not act on a terminal or in a shell.
    #[test]
    fn odd_names_are_quoted() {
        assert_eq!(shown("app-1.example:x"), "app-1.example:x");
        assert_eq!(shown("a\x1b[2J$(x)"), r#""a\x1b[2J$(x)""#);
        assert_eq!(shown(""), "\"\"");
    }
}
