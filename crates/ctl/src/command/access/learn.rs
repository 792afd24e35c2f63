//! `access learn`: has members note what users ask for, and makes a role of it that permits just that.
//!
//! Owns the role that is proposed, a pure function of what was noted. Each member notes for itself; all that are named are
//! asked, and what they say is added up. Invariant: what was refused is no part of a proposal unless somebody says so, since
//! a probe is refused as well.

use super::super::auth::ROOT;
use super::super::endpoint::Which;
use super::super::{show, span};
use super::apply::{Plan, distinct};
use super::policy::Wanted;
use super::terms::both;
use super::time::written;
use crate::connect::Client;
use crate::connect::refused::shown;
use crate::exit::Failure;
use crate::print::{Answer, Sheet, boxed, columns, keys, kind, permission_json};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use proto::authpb::Permission;
use proto::strongroom::v1::{LearnRequest, LearnedRequest, LearnedResponse, LearnedUse, LearnedUser};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `access learn <subcommand>`
#[derive(Subcommand, Clone, Debug)]
pub enum Learn {
    /// Begin to note what users ask for, or go on; at the end of the time it ends by itself
    Start(Start),
    /// End it; what was noted stays in the member's memory
    Stop(Stop),
    /// Show what was asked for, and the role that would permit it
    Show(Show),
    /// Make that role and give it to a user
    Apply(Apply),
}

/// `access learn start`
#[derive(Args, Clone, Debug)]
pub struct Start {
    /// How long: 30m, 12h, 7d
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = span::parse)]
    seconds: u64,
    /// Let go of what was noted before
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    which: Which,
}

/// `access learn stop`
#[derive(Args, Clone, Debug)]
pub struct Stop {
    /// Let go of what was noted
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    which: Which,
}

/// How a role is made of what was noted.
#[derive(Args, Clone, Debug)]
struct Making {
    /// From this number of ranges below one / or : on, everything below it is permitted; 0 for never
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    widen_from: u64,
    /// Permit as well what was refused
    #[arg(long)]
    with_refused: bool,
    #[command(flatten)]
    which: Which,
}

/// `access learn show [user]`
#[derive(Args, Clone, Debug)]
pub struct Show {
    /// One user instead of all
    #[arg(value_name = "USER")]
    of: Option<String>,
    #[command(flatten)]
    making: Making,
}

/// `access learn apply <user>`
#[derive(Args, Clone, Debug)]
pub struct Apply {
    /// The user whose requests were noted
    #[arg(value_name = "USER")]
    of: String,
    /// Who gets the role, instead of that user; several times for several
    #[arg(long = "for", value_name = "USER")]
    holders: Vec<String>,
    /// The role's name [default: learned-<USER>]
    #[arg(long)]
    role: Option<String>,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    making: Making,
}

/// What the service calls that for which one must be root.
const ADMINISTRATOR: &str = "administrator";

impl Learn {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        match self {
            Self::Start(start) => set(settings, &start.which, start.seconds, start.forget).await,
            Self::Stop(stop) => set(settings, &stop.which, 0, stop.forget).await,
            Self::Show(show) => show.run(settings).await,
            Self::Apply(apply) => apply.run(settings).await,
        }
    }
}

async fn set(settings: &Arc<Settings>, which: &Which, seconds: u64, forget: bool) -> Result<(), Failure> {
    let (mut text, mut members) = (String::new(), Vec::new());
    let mut last = None;
    for endpoint in which.endpoints(settings).await? {
        let client = Client::connect_to(settings, &endpoint).await?;
        let request = client.request(LearnRequest { seconds, forget });
        let until = client.call(client.access().learn(request)).await?.until;
        let place = &endpoint.written;
        text += &if seconds == 0 {
            let kept = if forget { "and what was noted is gone" } else { "what was noted stays" };
            format!("{place}: nothing more is noted, {kept}\n")
        } else {
            format!("{place}: what users ask for is noted until {}\n", written(until))
        };
        members.push(json!({"endpoint": place, "until": until}));
        last = Some(client);
    }
    let Some(client) = last else { return Ok(()) };
    show(&client, &Answer::Sheet(&Sheet { text, json: json!({"members": members}), table: None }))?;
    if seconds > 0 {
        eprintln!("  next:   let the program do all that it ever does, then: strongroom access learn show");
    }
    Ok(())
}

impl Making {
    /// What the members have noted, added up, and a client to one of them.
    async fn learned(
        &self,
        settings: &Arc<Settings>,
        user: &str,
    ) -> Result<(Client, LearnedResponse), Failure> {
        let (mut all, mut last) = (LearnedResponse::default(), None);
        for endpoint in self.which.endpoints(settings).await? {
            let client = Client::connect_to(settings, &endpoint).await?;
            let request = LearnedRequest { user: user.to_owned(), widen_from: self.widen_from };
            add(&mut all, client.call(client.access().learned(client.request(request))).await?);
            last = Some(client);
        }
        last.map(|client| (client, all)).ok_or_else(|| Failure::error("no endpoint to ask"))
    }

    fn role(&self, name: String, used: &LearnedUser) -> Wanted {
        let refused = used.refused.iter().filter(|_| self.with_refused);
        proposed(name, used.allowed.iter().chain(refused))
    }
}

/// Adds what one member has noted to what others have.
fn add(all: &mut LearnedResponse, more: LearnedResponse) {
    all.since = if all.since == 0 { more.since } else { all.since.min(more.since) };
    all.until = all.until.max(more.until);
    all.is_learning |= more.is_learning;
    all.missed = all.missed.saturating_add(more.missed);
    for used in more.users {
        match all.users.iter_mut().find(|known| known.user == used.user) {
            Some(known) => {
                add_uses(&mut known.allowed, used.allowed);
                add_uses(&mut known.refused, used.refused);
                known.missed = known.missed.saturating_add(used.missed);
            }
            None => all.users.push(used),
        }
    }
}

fn add_uses(all: &mut Vec<LearnedUse>, more: Vec<LearnedUse>) {
    for each in more {
        let is_same =
            |known: &&mut LearnedUse| (&known.permission, &known.right) == (&each.permission, &each.right);
        match all.iter_mut().find(is_same) {
            Some(known) => known.times = known.times.saturating_add(each.times),
            None => all.push(each),
        }
    }
}

/// The role that permits these uses and nothing else.
fn proposed<'a>(role: String, uses: impl Iterator<Item = &'a LearnedUse>) -> Wanted {
    let mut kinds = BTreeMap::new();
    let mut rights = BTreeSet::new();
    for each in uses {
        if let Some(Permission { perm_type, key, range_end }) = &each.permission {
            let known = kinds.entry((key.clone(), range_end.clone())).or_insert(*perm_type);
            *known = both(*known, *perm_type);
        } else if each.right != ADMINISTRATOR {
            rights.insert(each.right.clone());
        }
    }
    let permission = |((key, range_end), perm_type)| Permission { perm_type, key, range_end };
    Wanted {
        role,
        permissions: kinds.into_iter().map(permission).collect(),
        rights: rights.into_iter().collect(),
    }
}

fn role_of(user: &str) -> String {
    if user.is_empty() { "learned".to_owned() } else { format!("learned-{user}") }
}

fn named(user: &str) -> String {
    if user.is_empty() { "nobody (no certificate, no token)".to_owned() } else { shown(user) }
}

impl Show {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let (client, all) = self.making.learned(settings, self.of.as_deref().unwrap_or_default()).await?;
        let period = period(&all);
        let mut text = match &self.of {
            Some(user) if all.users.is_empty() => format!("Of {} nothing is noted\n", named(user)),
            _ => String::new(),
        };
        let mut rows = Vec::new();
        let mut users = Vec::new();
        for used in &all.users {
            let wanted = self.making.role(role_of(&used.user), used);
            let lines = lines(used, &wanted);
            text += &format!("User {}\n", named(&used.user));
            for line in columns(&lines).lines() {
                text += &format!("  {line}\n");
            }
            if used.missed > 0 {
                text += &format!("  not noted, there is no more room: {} times\n", used.missed);
            }
            rows.extend(lines.into_iter().map(|line| [vec![named(&used.user)], line].concat()));
            users.push(written_user(used, &wanted));
        }
        if all.missed > 0 {
            text += &format!("Requests of further users, not noted: {}\n", all.missed);
        }
        text += &period;
        let json = json!({
            "learning": all.is_learning, "since": all.since, "until": all.until, "missed": all.missed, "users": users,
        });
        let table = boxed(&["user", "what", "kind", "keys", "times"], rows);
        show(&client, &Answer::Sheet(&Sheet { text, json, table: Some(table) }))?;
        if let Some(next) = next(&all) {
            eprintln!("  next:   {next}");
        }
        Ok(())
    }
}

/// Since when, until when.
fn period(all: &LearnedResponse) -> String {
    match (all.since, all.is_learning) {
        (0, _) => "Nothing is noted: learning was not started, or the member was since\n".to_owned(),
        (since, true) => format!("Noted since {}, until {}\n", written(since), written(all.until)),
        (since, false) => format!("Noted from {} to {}\n", written(since), written(all.until)),
    }
}

fn next(all: &LearnedResponse) -> Option<String> {
    if all.since == 0 {
        return Some("strongroom access learn start --for 1h".to_owned());
    }
    let is_program =
        |used: &&LearnedUser| !used.user.is_empty() && used.user != ROOT && !used.allowed.is_empty();
    let used = all.users.iter().find(is_program)?;
    Some(format!("strongroom access learn apply {} --dry-run", shown(&used.user)))
}

/// What was used, refused, and is proposed, each as a row: what, kind, keys, times.
fn lines(used: &LearnedUser, wanted: &Wanted) -> Vec<Vec<String>> {
    let times = |times: u64| if times == 1 { "once".to_owned() } else { format!("{times} times") };
    let of_use = |what: &str, each: &LearnedUse| match &each.permission {
        Some(permission) => {
            vec![what.to_owned(), kind(permission).to_owned(), keys(permission), times(each.times)]
        }
        None if each.right == ADMINISTRATOR => {
            vec![what.to_owned(), "the role root".to_owned(), String::new(), times(each.times)]
        }
        None => vec![what.to_owned(), format!("right {}", each.right), String::new(), times(each.times)],
    };
    let permission =
        |each: &Permission| vec!["proposed".to_owned(), kind(each).to_owned(), keys(each), String::new()];
    let right =
        |right: &String| vec!["proposed".to_owned(), format!("right {right}"), String::new(), String::new()];
    let allowed = used.allowed.iter().map(|each| of_use("used", each));
    let refused = used.refused.iter().map(|each| of_use("refused", each));
    let role = wanted.permissions.iter().map(permission).chain(wanted.rights.iter().map(right));
    allowed.chain(refused).chain(role).collect()
}

fn written_user(used: &LearnedUser, wanted: &Wanted) -> Value {
    let use_json = |each: &LearnedUse| match &each.permission {
        Some(permission) => json!({"permission": permission_json(permission), "times": each.times}),
        None => json!({"right": each.right, "times": each.times}),
    };
    json!({
        "user": used.user,
        "used": used.allowed.iter().map(use_json).collect::<Vec<_>>(),
        "refused": used.refused.iter().map(use_json).collect::<Vec<_>>(),
        "missed": used.missed,
        "proposed": {
            "role": wanted.role,
            "perm": wanted.permissions.iter().map(permission_json).collect::<Vec<_>>(),
            "rights": wanted.rights,
        },
    })
}

impl Apply {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let mut users = distinct(&self.holders)?;
        if users.is_empty() {
            if self.of.is_empty() || self.of == ROOT {
                let who =
                    if self.of == ROOT { "root may do everything already" } else { "nobody is no user" };
                return Err(Failure::arguments(format!("{who}: name who gets the role")).hinting(
                    "strongroom access learn apply <user> --for <name in the program's own certificate>",
                ));
            }
            users.push(self.of.clone());
        }
        let (client, all) = self.making.learned(settings, &self.of).await?;
        let of = named(&self.of);
        let Some(used) = all.users.iter().find(|used| used.user == self.of) else {
            return Err(
                Failure::error(format!("of {of} nothing is noted")).hinting("strongroom access learn show")
            );
        };
        let wanted = self.making.role(self.role.clone().unwrap_or_else(|| role_of(&self.of)), used);
        if wanted.permissions.is_empty() && wanted.rights.is_empty() {
            return Err(Failure::error(format!("{of} used nothing that takes a permission"))
                .hinting(format!("strongroom access learn show {}", shown(&self.of))));
        }
        if used.missed > 0 {
            eprintln!("{of} used more than there was room for: the role does not permit all of it");
        }
        let policy = "learned".to_owned();
        let gives = format!("what {of} used from {} to {}", written(all.since), written(all.until));
        let role = wanted.role.clone();
        let plan = Plan { policy, gives, wanted, users, is_dry_run: self.dry_run };
        for (user, roles) in plan.carry_out(&client).await?.users {
            for other in roles.iter().filter(|other| **other != role) {
                let (user, other) = (shown(&user), shown(other));
                eprintln!(
                    "  next:   {user} still has the role {other}; to leave it what it used alone: \
                     strongroom user revoke-role {user} {other}"
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::authpb::permission::Type;

    fn keys(kind: Type, key: &'static str, end: &'static str, times: u64) -> LearnedUse {
        let permission = Permission { perm_type: kind.into(), key: key.into(), range_end: end.into() };
        LearnedUse { permission: Some(permission), right: String::new(), times }
    }

    fn right(name: &str) -> LearnedUse {
        LearnedUse { right: name.into(), times: 1, permission: None }
    }

    /// One range that is read and written is one permission; what only root may do is in no role but root's.
    #[test]
    fn a_role_is_made_of_what_was_used() {
        let uses = [
            keys(Type::Read, "a/", "a0", 3),
            keys(Type::Read, "k", "", 1),
            keys(Type::Write, "a/", "a0", 2),
            right("compact"),
            right(ADMINISTRATOR),
        ];
        let permission = |kind: Type, key: &'static str, end: &'static str| Permission {
            perm_type: kind.into(),
            key: key.into(),
            range_end: end.into(),
        };
        let wanted = Wanted {
            role: "r".into(),
            permissions: vec![permission(Type::Readwrite, "a/", "a0"), permission(Type::Read, "k", "")],
            rights: vec!["compact".into()],
        };
        assert_eq!(proposed("r".into(), uses.iter()), wanted);
    }

    /// A program whose requests went to two members used what it used on both.
    #[test]
    fn what_members_noted_is_added_up() {
        let of = |since, until, allowed| LearnedResponse {
            since,
            until,
            is_learning: since == 5,
            users: vec![LearnedUser { user: "app".into(), allowed, refused: vec![right("hash")], missed: 1 }],
            missed: 2,
        };
        let mut all = LearnedResponse::default();
        add(&mut all, of(7, 9, vec![keys(Type::Read, "a", "", 1)]));
        add(&mut all, of(5, 8, vec![keys(Type::Read, "a", "", 2), keys(Type::Read, "b", "", 1)]));
        assert_eq!((all.since, all.until, all.is_learning, all.missed), (5, 9, true, 4));
        assert_eq!(all.users[0].allowed, [keys(Type::Read, "a", "", 3), keys(Type::Read, "b", "", 1)]);
        assert_eq!((all.users.len(), all.users[0].refused[0].times, all.users[0].missed), (1, 2, 2));
    }

    /// What was refused is looked at, and asked for, before it becomes a permission.
    #[test]
    fn refused_requests_are_no_proposal() {
        let used = LearnedUser {
            user: "app".into(),
            allowed: vec![keys(Type::Read, "a", "", 1)],
            refused: vec![keys(Type::Read, "secret", "", 1)],
            missed: 0,
        };
        let mut making = Making { widen_from: 4, with_refused: false, which: Which::default() };
        assert_eq!(making.role("r".into(), &used).permissions.len(), 1);
        let rows = lines(&used, &making.role("r".into(), &used));
        let said: Vec<String> = rows.iter().map(|row| row.join(" ").trim_end().to_owned()).collect();
        assert_eq!(said, ["used read a once", "refused read secret once", "proposed read a"]);
        making.with_refused = true;
        assert_eq!(making.role("r".into(), &used).permissions.len(), 2);
    }
}
