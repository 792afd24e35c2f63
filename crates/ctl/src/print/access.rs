//! The policy beyond etcd's words, for people: a role's whole on lines of its own, ranges as one writes them on a command line.

use super::table::boxed;
use super::text::quote;
use crate::command::access::time::written;
use crate::command::access::{Applied, Holder, Overview};
use crate::command::range::prefix_end;
use crate::connect::refused::shown;
use proto::authpb::Permission;
use proto::authpb::permission::Type;
use proto::strongroom::v1 as own;
use proto::strongroom::v1::identity_rule::Matcher;
use std::borrow::Cow;

/// An identity rule's matcher in words.
pub(crate) struct Rule<'a> {
    /// `URI`, `DNS name`, `organization` or `OIDC claim`.
    pub(crate) kind: &'static str,
    /// The option that sets it.
    pub(crate) option: &'static str,
    pub(crate) value: Cow<'a, str>,
    /// Whose tokens it is about, where it is about tokens.
    pub(crate) issuer: Option<&'a str>,
}

impl<'a> Rule<'a> {
    /// Of this rule; without a value where it says nothing that we know.
    pub(crate) fn of(rule: &'a own::IdentityRule) -> Self {
        match &rule.matcher {
            Some(Matcher::Uri(value)) => Self::certificate("URI", "uri", value),
            Some(Matcher::Dns(value)) => Self::certificate("DNS name", "dns", value),
            Some(Matcher::Organization(value)) => Self::certificate("organization", "organization", value),
            Some(Matcher::OidcClaim(claim)) => Self {
                kind: "OIDC claim",
                option: "oidcClaim",
                value: Cow::Owned(format!("{}={}", claim.name, claim.value)),
                issuer: Some(&claim.issuer),
            },
            None => Self::certificate("unknown", "unknown", ""),
        }
    }

    fn certificate(kind: &'static str, option: &'static str, value: &'a str) -> Self {
        Self { kind, option, value: Cow::Borrowed(value), issuer: None }
    }

    /// What is looked at, for people.
    pub(crate) fn told(&self) -> String {
        let value = shown(&self.value);
        match self.issuer {
            Some("") => format!("{} {value} of the member's issuer", self.kind),
            Some(issuer) => format!("{} {value} of {}", self.kind, shown(issuer)),
            None => format!("{} {value}", self.kind),
        }
    }
}

/// A range of keys as one writes it on a command line.
pub(crate) fn keys(permission: &Permission) -> String {
    let word = |bytes: &[u8]| match bytes {
        b"\0" => "\"\"".to_owned(),
        bytes => std::str::from_utf8(bytes).map_or_else(|_| quote(bytes), shown),
    };
    let (key, end) = (permission.key.as_ref(), permission.range_end.as_ref());
    match end {
        b"" => word(key),
        b"\0" if key == b"\0" => "\"\" --prefix".to_owned(),
        b"\0" if key.iter().any(|byte| *byte != 0xff) => format!("{} --from-key", word(key)),
        end if prefix_end(key) == end => format!("{} --prefix", word(key)),
        end => format!("{} {}", word(key), word(end)),
    }
}

/// `read`, `write` or `readwrite`.
pub(crate) fn kind(permission: &Permission) -> &'static str {
    match Type::try_from(permission.perm_type) {
        Ok(Type::Read) => "read",
        Ok(Type::Write) => "write",
        Ok(Type::Readwrite) => "readwrite",
        Err(_) => "unknown",
    }
}

/// `read`, `write` or `read and write`.
pub(crate) fn verb(permission: &Permission) -> &'static str {
    if kind(permission) == "readwrite" { "read and write" } else { kind(permission) }
}

/// A permission as our own JSON answers have it, which are etcd's there.
pub(crate) fn permission_json(permission: &Permission) -> serde_json::Value {
    serde_json::from_str(&super::json::permission(permission)).unwrap_or_default()
}

/// What there is to say of a role, each with its title.
fn facts(name: &str, holder: &Holder) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if name == "root" {
        facts.push(("may", "everything".to_owned()));
    }
    let permissions = holder.permissions.iter().filter(|_| name != "root");
    facts.extend(permissions.map(|each| ("may", format!("{} {}", kind(each), keys(each)))));
    let terms = &holder.terms;
    facts.extend(terms.deny.iter().map(|each| ("never", format!("{} {}", kind(each), keys(each)))));
    if !terms.abilities.is_empty() {
        facts.push(("rights", terms.abilities.join(", ")));
    }
    if !terms.sources.is_empty() {
        facts.push(("only from", terms.sources.join(", ")));
    }
    let number = |number: u64| (number != 0).then_some(number);
    facts.extend(number(terms.not_after).map(|end| ("until", written(end))));
    facts.extend(number(terms.requests_per_second).map(|most| ("requests/s", most.to_string())));
    facts.extend(number(terms.write_bytes_max).map(|most| ("write bytes", most.to_string())));
    let users: Vec<String> = holder.users.iter().map(|user| shown(user)).collect();
    facts.push(("users", if users.is_empty() { "nobody".to_owned() } else { users.join(", ") }));
    facts
}

pub(super) fn overview(all: &Overview) -> String {
    let mut out = String::new();
    for (name, holder) in &all.roles {
        out += &format!("Role {}\n", shown(name));
        for (title, fact) in facts(name, holder) {
            out += &format!("  {title:<11}  {fact}\n");
        }
    }
    out += &identities(&all.identities);
    if !all.idle.is_empty() {
        let users: Vec<String> = all.idle.iter().map(|user| shown(user)).collect();
        out += &format!("Users without a role: {}\n", users.join(", "));
    }
    let state = if all.enabled { "on" } else { "off: everybody may do everything" };
    out + &format!("Access control is {state}\n")
}

pub(super) fn overview_table(all: &Overview) -> String {
    let mut rows = Vec::new();
    for (name, holder) in &all.roles {
        rows.extend(
            facts(name, holder).into_iter().map(|(title, fact)| vec![shown(name), title.to_owned(), fact]),
        );
    }
    let mut out = boxed(&["role", "what", "value"], rows);
    if !all.identities.is_empty() {
        out += &identities_table(&all.identities);
    }
    out
}

pub(super) fn identities(rules: &[own::IdentityRule]) -> String {
    let line = |rule: &own::IdentityRule| {
        format!("Rule {}: {} is the user {}\n", shown(&rule.name), Rule::of(rule).told(), shown(&rule.user))
    };
    rules.iter().map(line).collect()
}

pub(super) fn identities_table(rules: &[own::IdentityRule]) -> String {
    let row = |rule: &own::IdentityRule| {
        let told = Rule::of(rule);
        let issuer = told.issuer.map(shown).unwrap_or_default();
        vec![shown(&rule.name), told.kind.to_owned(), shown(&told.value), issuer, shown(&rule.user)]
    };
    boxed(&["rule", "what is looked at", "value", "issuer", "user"], rules.iter().map(row).collect())
}

/// What there is to say of an answer, the rule behind the reason that decided; each with its title.
fn of_an_explanation(answer: &own::ExplainResponse) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if !answer.user.is_empty() {
        facts.push(("as the user", shown(&answer.user)));
    }
    let mut reasons = answer.reasons.iter().map(|reason| ("reason", reason.clone()));
    facts.extend(reasons.next());
    if let Some(permission) = &answer.permission {
        let title = if answer.allowed { "the permission" } else { "the rule" };
        let (role, kind, keys) = (shown(&answer.role), kind(permission), keys(permission));
        facts.push((title, format!("role {role}, {kind} {keys}")));
    }
    facts.extend(reasons);
    facts
}

fn verdict(answer: &own::ExplainResponse) -> &'static str {
    if answer.allowed { "allowed" } else { "denied" }
}

pub(super) fn explained(answer: &own::ExplainResponse) -> String {
    let line = |(title, fact)| match title {
        "reason" => format!("  {fact}\n"),
        "as the user" => format!("  {title} {fact}\n"),
        _ => format!("  {title}: {fact}\n"),
    };
    let lines: String = of_an_explanation(answer).into_iter().map(line).collect();
    format!("{}\n{lines}", verdict(answer))
}

pub(super) fn explained_table(answer: &own::ExplainResponse) -> String {
    let mut rows = vec![pair("answer", verdict(answer))];
    rows.extend(of_an_explanation(answer).into_iter().map(|(title, fact)| pair(title, fact)));
    boxed(&["what", "value"], rows)
}

fn pair(what: &str, value: impl Into<String>) -> Vec<String> {
    vec![what.to_owned(), value.into()]
}

/// What there is to say of whoever asks, each with its title.
fn of_who_asks(answer: &own::WhoAmIResponse) -> Vec<(&'static str, String)> {
    let roles: Vec<String> = answer.roles.iter().map(|role| shown(role)).collect();
    let user = if answer.user.is_empty() { "nobody".to_owned() } else { shown(&answer.user) };
    let mut facts = vec![("User", user), ("Recognized by", answer.recognized_by.clone())];
    if !answer.rule.is_empty() {
        facts.push(("By the identity rule", shown(&answer.rule)));
    }
    facts.push(("Roles", if roles.is_empty() { "none".to_owned() } else { roles.join(", ") }));
    facts.push((
        "May do",
        if answer.is_administrator { "everything" } else { "what the roles may" }.to_owned(),
    ));
    facts
}

pub(super) fn who_am_i(answer: &own::WhoAmIResponse) -> String {
    of_who_asks(answer).into_iter().map(|(title, fact)| format!("{title}: {fact}\n")).collect()
}

pub(super) fn who_am_i_table(answer: &own::WhoAmIResponse) -> String {
    let rows = of_who_asks(answer).into_iter().map(|(title, fact)| pair(&title.to_lowercase(), fact));
    boxed(&["what", "value"], rows.collect())
}

pub(super) fn changed_table(sentence: &str, revision: u64) -> String {
    boxed(&["done", "policy revision"], vec![vec![sentence.to_owned(), revision.to_string()]])
}

pub(super) fn applied_table(applied: &Applied) -> String {
    let users: Vec<String> = applied.users.iter().map(|user| shown(user)).collect();
    let mut rows = vec![pair("gives", applied.gives.as_str()), pair("users", users.join(", "))];
    let sign = if applied.is_dry_run { "would change" } else { "changed" };
    rows.extend(applied.changes.iter().map(|change| pair(sign, change)));
    boxed(&["what", "value"], rows)
}

pub(super) fn applied(applied: &Applied) -> String {
    let mut out = format!("{}: {}\n", applied.policy, applied.gives);
    let users: Vec<String> = applied.users.iter().map(|user| shown(user)).collect();
    out += &format!("  for certificates with the name (CN): {}\n", users.join(", "));
    if applied.changes.is_empty() {
        out += "  nothing to change, all of it is there\n";
    }
    let sign = if applied.is_dry_run { "would change" } else { "changed" };
    for change in &applied.changes {
        out += &format!("  {sign}: {change}\n");
    }
    if applied.has_more {
        out +=
            &format!("  kept: what else the role has, see strongroom access show {}\n", shown(&applied.role));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::Answer;

    /// A range is shown as it is written, so that what is read here can be given back to the commands; its edges are ranges
    /// without an end.
    #[test]
    fn ranges_are_shown_as_they_are_written() {
        for (key, end, text) in [
            (&b"a"[..], &b""[..], "a"),
            (b"app/", b"app0", "app/ --prefix"),
            (b"a", b"c", "a c"),
            (b"a", b"\0", "a --from-key"),
            (b"\0", b"\0", "\"\" --prefix"),
            (b"\xff\xff", b"\0", "\"\\xff\\xff\" --prefix"),
            (b"my key", b"", "\"my key\""),
            (b"\0", b"", "\"\""),
        ] {
            let permission = Permission {
                key: bytes::Bytes::from_static(key),
                range_end: bytes::Bytes::from_static(end),
                ..Permission::default()
            };
            assert_eq!(keys(&permission), text);
        }
    }

    /// Who reads a role's rights here must see its denials and conditions too, and that nothing counts while access control is
    /// off; JSON says whether something is allowed also when it is not.
    #[test]
    fn a_role_is_shown_whole() {
        let range = |key: &'static str, end: &'static str| Permission {
            perm_type: Type::Readwrite.into(),
            key: key.into(),
            range_end: end.into(),
        };
        let terms = own::RoleTerms {
            deny: vec![range("a/s", "")],
            abilities: vec!["hash".into()],
            sources: vec!["::1/128".into()],
            not_after: 951_782_400,
            requests_per_second: 5,
            write_bytes_max: 6,
        };
        let holder = Holder { permissions: vec![range("a/", "a0")], terms, users: vec!["me".into()] };
        let rule = own::IdentityRule {
            name: "web".into(),
            matcher: Some(Matcher::Dns("w.example".into())),
            user: "me".into(),
        };
        let all = Overview {
            roles: [("r".to_owned(), holder)].into(),
            identities: vec![rule],
            idle: vec!["you".into()],
            ..Overview::default()
        };
        let text = "\
Role r
  may          readwrite a/ --prefix
  never        readwrite a/s
  rights       hash
  only from    ::1/128
  until        2000-02-29T00:00:00Z
  requests/s   5
  write bytes  6
  users        me
Rule web: DNS name w.example is the user me
Users without a role: you
Access control is off: everybody may do everything
";
        assert_eq!(overview(&all), text);
        let table = overview_table(&all);
        assert!(table.contains("never") && table.contains("w.example"), "{table}");
        assert_eq!(super::super::json::explained(&own::ExplainResponse::default()), r#"{"allowed":false}"#);
    }

    /// A command that changed something and then ends in an error about its output is repeated, or thought undone: every answer
    /// about the policy has a table, and says there what its text says.
    #[test]
    fn every_answer_about_the_policy_has_a_table() {
        let explained = own::ExplainResponse {
            reasons: vec!["a reason".into(), "another".into()],
            role: "r".into(),
            permission: Some(Permission { key: "a".into(), ..Permission::default() }),
            user: "you".into(),
            ..Default::default()
        };
        let me = own::WhoAmIResponse { user: "me".into(), rule: "web".into(), ..Default::default() };
        let applied = Applied {
            policy: "backup".into(),
            role: "backup".into(),
            gives: "snapshots".into(),
            users: vec!["me".into()],
            changes: vec!["role backup is made".into()],
            is_dry_run: true,
            has_more: false,
        };
        let text = "denied\n  as the user you\n  a reason\n  the rule: role r, read a\n  another\n";
        assert_eq!(super::explained(&explained), text);
        assert!(super::super::json::explained(&explained).ends_with(r#","user":"you"}"#));
        let table = super::super::Printer { format: super::super::Format::Table, ..Default::default() };
        for (answer, cells) in [
            (
                Answer::Explained(&explained),
                &["denied", "as the user", "you", "a reason", "role r, read a"][..],
            ),
            (Answer::WhoAmI(&me), &["me", "by the identity rule", "web", "what the roles may"]),
            (Answer::Changed("Rule web is gone", 9), &["Rule web is gone", "9"]),
            (Answer::Applied(&applied), &["snapshots", "would change", "role backup is made"]),
        ] {
            let text = String::from_utf8(table.render(&answer).unwrap()).unwrap();
            assert!(cells.iter().all(|cell| text.contains(cell)), "{text}");
        }
    }
}
