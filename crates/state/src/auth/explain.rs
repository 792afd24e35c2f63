//! Why somebody may do something, or may not: the decision told, rule by rule.
//!
//! Owns no decision: what is said here is what `accounts.rs` and `mod.rs` decide, and a test holds them against each other.

use super::Right;
use super::accounts::{Accounts, Permission, ROOT, Role};
use super::terms::{Ability, Circumstances, Terms};
use types::KeyRange;

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Touching all of these keys.
    Keys(KeyRange, Right),
    /// Using an administrative right.
    Ability(Ability),
}

/// The decision, and what decided it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it is allowed.
    pub is_allowed: bool,
    /// What decided, and what else was looked at.
    pub reasons: Vec<String>,
    /// The role whose rule decides, if one does.
    pub role: Option<String>,
    /// The permission or denial that decides, if one does.
    pub permission: Option<Permission>,
}

impl Accounts {
    /// Explains whether the user may do this; without circumstances, as if all conditions were met.
    #[must_use]
    pub fn explain(&self, user: &str, wish: &Wish, circumstances: Option<&Circumstances>) -> Explanation {
        if !self.is_enabled() {
            return allowed(None, None, "access control is off: whoever gets in may do everything");
        }
        let Some(account) = self.user(user) else {
            return denied(None, None, format!("there is no user {user:?}"));
        };
        let counting = |role: &&String| {
            let terms = self.terms(role.as_str());
            circumstances.is_none_or(|now| terms.is_none_or(|terms| terms.counts(now)))
        };
        let (counting, not): (Vec<&String>, Vec<&String>) = account.roles.iter().partition(counting);
        let mut explanation = self.decide(user, &counting, wish);
        for role in not {
            if let (Some(terms), Some(circumstances)) = (self.terms(role), circumstances) {
                explanation.reasons.push(why_not_counting(role, terms, circumstances));
            }
        }
        explanation
    }

    fn decide(&self, user: &str, roles: &[&String], wish: &Wish) -> Explanation {
        if roles.iter().any(|role| *role == ROOT) {
            return allowed(
                Some(ROOT),
                None,
                format!("{user:?} holds the role root, which may do everything"),
            );
        }
        if roles.is_empty() {
            return denied(None, None, format!("{user:?} holds no role that counts"));
        }
        match wish {
            Wish::Ability(ability) => {
                let has =
                    |role: &&&String| self.terms(role).is_some_and(|terms| terms.abilities.contains(ability));
                match roles.iter().find(has) {
                    Some(role) => {
                        allowed(Some(role), None, format!("role {role:?} has the right {:?}", ability.name()))
                    }
                    None => {
                        denied(None, None, format!("no role of {user:?} has the right {:?}", ability.name()))
                    }
                }
            }
            Wish::Keys(range, right) => self.decide_keys(user, roles, range, *right),
        }
    }

    fn decide_keys(&self, user: &str, roles: &[&String], range: &KeyRange, right: Right) -> Explanation {
        let word = if right == Right::Read { "read" } else { "write" };
        for role in roles {
            let denials = self.terms(role).map_or(&[][..], |terms| &terms.deny);
            if let Some(denial) = denials.iter().find(|denial| denial.gives(right) && meets(denial, range)) {
                let why =
                    format!("role {role:?} denies to {word} {}, whatever else is granted", shown(denial));
                return denied(Some(role), Some(denial), why);
            }
        }
        let permissions =
            |role: &&String| self.role(role).map_or(&[][..], |Role { permissions }| permissions);
        for role in roles {
            let mut given = permissions(role).iter();
            if let Some(permission) =
                given.find(|permission| permission.gives(right) && holds(permission, range))
            {
                let why = format!("role {role:?} allows to {word} {}", shown(permission));
                return allowed(Some(role), Some(permission), why);
            }
        }
        if self.grants_of(roles).allow(range, right) {
            return allowed(
                None,
                None,
                format!("several permissions of {user:?} together allow to {word} all of it"),
            );
        }
        let some = roles.iter().flat_map(permissions);
        let mut explanation =
            denied(None, None, format!("no permission of {user:?} allows to {word} {}", shown_range(range)));
        for permission in some.filter(|permission| permission.gives(right) && meets(permission, range)) {
            explanation.reasons.push(format!("a part of it is allowed: {}", shown(permission)));
        }
        explanation
    }
}

fn why_not_counting(role: &str, terms: &Terms, circumstances: &Circumstances) -> String {
    if terms.is_in_time(circumstances.now) {
        let networks: Vec<String> = terms.sources.iter().map(ToString::to_string).collect();
        format!("role {role:?} does not count: it is for {} only", networks.join(", "))
    } else {
        format!("role {role:?} does not count any more: it has ended")
    }
}

fn allowed(role: Option<&str>, permission: Option<&Permission>, why: impl Into<String>) -> Explanation {
    Explanation { is_allowed: true, ..denied(role, permission, why) }
}

fn denied(role: Option<&str>, permission: Option<&Permission>, why: impl Into<String>) -> Explanation {
    Explanation {
        is_allowed: false,
        reasons: vec![why.into()],
        role: role.map(str::to_owned),
        permission: permission.cloned(),
    }
}

/// Whether the permission is about some key of the range (of an inverted one: about its first key).
fn meets(permission: &Permission, range: &KeyRange) -> bool {
    let first = KeyRange::single(range.start.clone());
    let asked = if range.is_empty() { &first } else { range };
    permission.range().is_some_and(|held| super::KeySet::of([&held]).touches(asked))
}

/// Whether the permission alone is about all of the range.
fn holds(permission: &Permission, range: &KeyRange) -> bool {
    permission.range().is_some_and(|held| super::KeySet::of([&held]).covers(range))
}

fn shown(permission: &Permission) -> String {
    permission.range().map_or_else(|| "nothing".to_owned(), |range| shown_range(&range))
}

fn shown_range(range: &KeyRange) -> String {
    let start = range.start.as_slice().escape_ascii();
    match &range.end {
        types::RangeEnd::Single => format!("the key \"{start}\""),
        types::RangeEnd::Before(end) => {
            format!("the keys from \"{start}\" to before \"{}\"", end.escape_ascii())
        }
        types::RangeEnd::Unbounded if range.start.as_slice() == b"\0" => "all keys".to_owned(),
        types::RangeEnd::Unbounded => format!("the keys from \"{start}\" on"),
    }
}
