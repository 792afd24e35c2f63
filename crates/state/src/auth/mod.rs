//! Who asks, and whether they may: the types that make an unchecked request impossible to pass on.
//!
//! Owns [`Principal`] (built from verified evidence only), what a request can demand, and [`Authorized`], which only
//! [`Policy::authorize`] can make. One total function decides, over the replicated accounts (`accounts.rs`); how a
//! sender was recognized is the edge's.
//!
//! ```text
//! Evidence ──Policy::principal──▶ Principal ──Policy::authorize(request)──▶ Authorized<Request>
//! ```
//!
//! Invariants: no value of type `Authorized<T>` exists whose demands its principal did not meet when it was made; what
//! demands nothing in particular is not thereby open to anybody. Source of refusals and their order: etcd's
//! `auth/store.go` and `etcdserver/apply/auth.go`.

pub mod accesses;
mod accounts;
mod change;
pub(crate) mod etcds_order;
mod explain;
mod key_set;
mod secret;
mod terms;
mod ways;

pub use accesses::Accesses;
pub use accounts::{Accounts, Grants, Permission, PermissionKind, ROOT, Role, User};
pub use change::AccessChange;
pub use explain::{Explanation, Wish};
pub use key_set::KeySet;
pub use secret::PasswordHash;
pub use terms::{
    Ability, CertificateNames, Circumstances, Claims, IdentityRule, Limits, Matcher, Network, Terms,
};

use crate::command::Command;
use crate::leases::Leases;
use crate::lock;
use crate::reader::Reader;
use crate::shared::Shared;
use std::borrow::Cow;
use std::sync::Arc;
use types::limits::LEARNED_RANGES_MAX;
use types::{AuthRevision, KeyRange, LeaseId, MemberId};

/// What the edge has verified about the sender of a request. Only facts: deciding is this module's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A client certificate that chains to the client issuer.
    Certificate {
        /// The subject's common name.
        common_name: Arc<str>,
        /// Whether this cluster's own authority issued it to an administrator.
        is_administrator: bool,
        /// What else it says of its holder.
        names: Arc<CertificateNames>,
    },
    /// A token that was issued here and is good.
    Token {
        /// To whom.
        user: Arc<str>,
        /// The policy's revision when it was issued, where the token tells: it ends with that revision.
        known: Option<AuthRevision>,
    },
    /// A token of an OpenID Connect issuer that is good.
    Claims {
        /// Whom it names where no rule knows better: what the edge is told to read out of the claims.
        name: Option<Arc<str>>,
        /// What it says.
        claims: Arc<Claims>,
    },
    /// A token that is not good.
    BadToken,
    /// Nothing: the transport asks for no certificate.
    None,
    /// The member itself: expiry, compaction, alarms, health.
    Member,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    identity: Identity,
    circumstances: Circumstances,
    /// Found when it is recognized, so that whoever holds to them need not look again.
    limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    System,
    /// Somebody of this name, which may be no user's. Without a revision: recognized afresh at every request.
    Named(Arc<str>, Option<AuthRevision>),
    /// Somebody who calls himself root on the word of an authority that cannot say so.
    FalseRoot,
    Anonymous,
    BadToken,
}

impl Principal {
    /// The principal's name, for the audit record and the log.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.identity {
            Identity::System => "system",
            Identity::Named(name, _) => name,
            Identity::FalseRoot => "root of another authority",
            Identity::Anonymous => "anonymous",
            Identity::BadToken => "bearer of an invalid token",
        }
    }

    /// The same, as if recognized at `now` (Unix seconds): for what was let in before and is looked at again.
    #[must_use]
    pub fn of_today(&self, now: u64) -> Self {
        let identity = match &self.identity {
            Identity::Named(name, _) => Identity::Named(name.clone(), None),
            other => other.clone(),
        };
        Self { identity, circumstances: Circumstances { now, ..self.circumstances }, limits: self.limits }
    }

    /// What it may ask for at most, by the policy as it was when it was recognized; nothing while access control is off.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether a token was shown that is not good.
    #[must_use]
    pub fn has_bad_token(&self) -> bool {
        self.identity == Identity::BadToken
    }

    /// The user's name, if it is somebody's.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match &self.identity {
            Identity::Named(name, _) => Some(name),
            _ => None,
        }
    }

    /// Whether it is the member itself.
    #[must_use]
    pub fn is_the_member(&self) -> bool {
        self.identity == Identity::System
    }

    /// Who an entry says proposed it, when the policy stood at `revision`.
    fn actor(&self, revision: AuthRevision) -> Actor {
        match &self.identity {
            Identity::System => Actor::system(),
            Identity::Named(name, known) => {
                Actor { user: Cow::Owned(name.as_ref().to_owned()), known: known.unwrap_or(revision) }
            }
            Identity::FalseRoot | Identity::Anonymous | Identity::BadToken => Actor::nobody(),
        }
    }
}

/// Who proposed an entry, as the entry says it: the policy is asked again when it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user's name; empty for nobody.
    pub user: Cow<'static, str>,
    /// The policy's revision when the user was recognized; zero for nobody.
    pub known: AuthRevision,
}

impl Actor {
    /// The member itself. Said so that an etcd member lets it pass as well: root, of a revision that is never old.
    #[must_use]
    pub fn system() -> Self {
        Self { user: Cow::Borrowed(ROOT), known: AuthRevision(u64::MAX) }
    }

    /// Nobody in particular.
    #[must_use]
    pub fn nobody() -> Self {
        Self { user: Cow::Borrowed(""), known: AuthRevision(0) }
    }
}

/// The right that a request needs on a range of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To read.
    Read,
    /// To write.
    Write,
}

/// What a request demands of its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing that the store could hide.
    Nothing,
    /// Being somebody.
    Known,
    /// Rights on keys.
    Keys(Accesses),
    /// Being this user, or an administrator.
    User(String),
    /// Holding this role, or being an administrator.
    Role(String),
    /// An administrative right.
    Ability(Ability),
    /// Being an administrator.
    Administrator,
}

/// A request that can say what it demands. Every request type implements it; there is no default.
pub trait Demanding {
    /// The whole of what the request demands, nested operations included.
    fn demand(&self) -> Demand;
}

impl Demanding for Command {
    fn demand(&self) -> Demand {
        match self {
            Self::Put(_) | Self::DeleteRange(_) | Self::Txn(_) | Self::LeaseRevoke(_) => {
                Demand::Keys(Accesses::of(self))
            }
            Self::LeaseGrant(_) => Demand::Known,
            // The password was checked before; who has it needs no other right.
            Self::Authenticate(_) => Demand::Nothing,
            Self::Compact(_) => Demand::Ability(Ability::Compact),
            Self::DowngradeSet(_) => Demand::Ability(Ability::Downgrade),
            Self::Alarm(_) => Demand::Ability(Ability::Alarm),
            Self::LeaseCheckpoint(_)
            | Self::Access(_)
            | Self::Certificates(_)
            | Self::ClusterVersionSet(_)
            | Self::MemberAttributesSet(_)
            | Self::Nothing => Demand::Administrator,
        }
    }
}

/// Keeping a lease alive: whoever may not write its keys could keep them from ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal(pub LeaseId);

impl Demanding for Renewal {
    fn demand(&self) -> Demand {
        let leases = vec![(self.0, Right::Write)];
        Demand::Keys(Accesses { leases, ..Accesses::default() })
    }
}

/// Asking how long a lease has left; who wants its keys demands to read those as well.
impl Demanding for LeaseId {
    fn demand(&self) -> Demand {
        Demand::Known
    }
}

/// Handing leadership to a member.
impl Demanding for MemberId {
    fn demand(&self) -> Demand {
        Demand::Ability(Ability::MoveLeader)
    }
}

/// A request whose sender may make it.
#[derive(Clone, Debug)]
pub struct Authorized<T> {
    request: T,
    principal: Principal,
    at: AuthRevision,
}

impl<T> Authorized<T> {
    /// The request.
    pub fn request(&self) -> &T {
        &self.request
    }

    /// Who made it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Takes it apart, for the next room: the request, who made it, and whom its entry shall name.
    pub fn into_parts(self) -> (T, Principal, Actor) {
        let actor = self.principal.actor(self.at);
        (self.request, self.principal, actor)
    }
}

/// The answer to a sender who may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The sender is nobody in particular.
    #[error("user name is empty")]
    Anonymous,
    /// The sender's token is not good.
    #[error("invalid auth token")]
    InvalidToken,
    /// The policy changed since the sender was recognized.
    #[error("revision of auth store is old")]
    OldRevision,
    /// An administrator is wanted, and the sender is not even a user.
    #[error("user name not found")]
    UnknownUser,
    /// The sender has not the right.
    #[error("permission denied")]
    Forbidden,
}

/// What holds as long as nobody has turned access control on, and of whom it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// As in an etcd whose authentication nobody enabled: whoever the transport lets in may do everything.
    Open,
    /// Only the administrators of this cluster's own authority may do anything; and a name that is no user's is nobody
    /// even for what needs no particular right.
    Closed,
}

/// The access policy in force.
#[derive(Clone)]
pub struct Policy {
    base: Base,
    /// None for the member itself, which asks for nothing that is denied to it.
    accounts: Option<Arc<Shared>>,
}

impl Policy {
    /// The policy of these accounts.
    #[must_use]
    pub fn new(base: Base, reader: &Reader) -> Self {
        Self { base, accounts: Some(reader.0.clone()) }
    }

    /// The policy for what the member does on its own account: nobody else passes.
    #[must_use]
    pub fn of_the_member() -> Self {
        Self { base: Base::Closed, accounts: None }
    }

    /// Who the evidence says is asking, under which circumstances.
    #[must_use]
    pub fn principal(&self, evidence: &Evidence, circumstances: Circumstances) -> Principal {
        let identity = match evidence {
            Evidence::Member => Identity::System,
            Evidence::None => Identity::Anonymous,
            Evidence::BadToken => Identity::BadToken,
            Evidence::Token { user, known } => Identity::Named(user.clone(), *known),
            Evidence::Certificate { is_administrator: true, .. } if self.base == Base::Closed => {
                Identity::Named(Arc::from(ROOT), None)
            }
            Evidence::Certificate { common_name, names, .. } => self.holder(common_name, names),
            Evidence::Claims { name, claims } => self.bearer(name.as_ref(), claims),
        };
        let limits = self.limits_of(&identity, &circumstances);
        Principal { identity, circumstances, limits }
    }

    /// Who holds a certificate that is no administrator's: a rule says it, or else the common name.
    fn holder(&self, common_name: &Arc<str>, names: &CertificateNames) -> Identity {
        match self.ruled(|accounts| accounts.recognize(names).map(|(_, rule)| Arc::from(&*rule.user))) {
            Some(user) => Identity::Named(user, None),
            None if self.base == Base::Closed && &**common_name == ROOT => Identity::FalseRoot,
            None => Identity::Named(common_name.clone(), None),
        }
    }

    /// Who bears a token of an issuer: a rule says it, or else the name that it gives; root only ever by a rule.
    fn bearer(&self, name: Option<&Arc<str>>, claims: &Claims) -> Identity {
        match self.ruled(|accounts| accounts.recognize_token(claims).map(|(_, rule)| Arc::from(&*rule.user)))
        {
            Some(user) => Identity::Named(user, None),
            None => match name {
                Some(name) if &**name == ROOT => Identity::FalseRoot,
                Some(name) => Identity::Named(name.clone(), None),
                None => Identity::Anonymous,
            },
        }
    }

    fn ruled<T>(&self, ask: impl FnOnce(&Accounts) -> Option<T>) -> Option<T> {
        ask(&lock::read(&self.accounts.as_ref()?.accounts))
    }

    /// The name of the rule by which this evidence is somebody's, for people.
    #[must_use]
    pub fn rule_of(&self, evidence: &Evidence) -> Option<String> {
        self.ruled(|accounts| {
            let (name, _) = match evidence {
                Evidence::Certificate { is_administrator: true, .. } if self.base == Base::Closed => None,
                Evidence::Certificate { names, .. } => accounts.recognize(names),
                Evidence::Claims { claims, .. } => accounts.recognize_token(claims),
                _ => None,
            }?;
            Some(name.to_owned())
        })
    }

    fn limits_of(&self, identity: &Identity, circumstances: &Circumstances) -> Limits {
        let (Some(shared), Identity::Named(user, _)) = (&self.accounts, identity) else {
            return Limits::default();
        };
        let accounts = lock::read(&shared.accounts);
        if !accounts.is_enabled() || !accounts.has_terms() {
            return Limits::default();
        }
        accounts.grants_in(user, circumstances).map_or(Limits::default(), |grants| grants.limits())
    }

    /// Tells the keys that hang on these leases, some of them where there are many.
    pub fn keys_of(&self, leases: &[(LeaseId, Right)], mut tell: impl FnMut(KeyRange, Right)) {
        let Some(shared) = self.accounts.as_ref().filter(|_| !leases.is_empty()) else { return };
        let known = lock::read(&shared.leases);
        for (lease, right) in leases.iter().filter_map(|(id, right)| Some((known.get(*id)?, *right))) {
            for key in lease.keys.iter().take(LEARNED_RANGES_MAX) {
                tell(KeyRange::single(key.clone()), right);
            }
        }
    }

    /// Explains whether a user may do this.
    #[must_use]
    pub fn explain(&self, user: &str, wish: &Wish, circumstances: Option<&Circumstances>) -> Explanation {
        let Some(shared) = &self.accounts else { return Explanation::default() };
        lock::read(&shared.accounts).explain(user, wish, circumstances)
    }

    /// By what somebody is this user at `now` (Unix seconds), one sentence each.
    #[must_use]
    pub fn ways_to(&self, user: &str, now: u64) -> Vec<String> {
        let Some(shared) = &self.accounts else { return Vec::new() };
        lock::read(&shared.accounts).ways_to(user, &lock::read(&shared.register), now)
    }

    /// The user that whoever has this is by a rule.
    #[must_use]
    pub fn holder_of(&self, identity: &Matcher) -> Option<String> {
        self.ruled(|accounts| Some(accounts.rule_about(identity)?.1.user.clone()))
    }

    /// Whether not everybody may do everything.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.base == Base::Closed || self.shared(|shared| lock::read(&shared.accounts).is_enabled())
    }

    /// Whether access control is on: tokens and users count.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.shared(|shared| lock::read(&shared.accounts).is_enabled())
    }

    /// Counts the changes of the policy: who looks again after each of them never acts on an old one.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.accounts
            .as_ref()
            .map_or(0, |shared| shared.policy_epoch.load(std::sync::atomic::Ordering::Acquire))
    }

    fn shared(&self, ask: impl FnOnce(&Shared) -> bool) -> bool {
        self.accounts.as_deref().is_some_and(ask)
    }

    /// Lets the request pass, or not.
    ///
    /// # Errors
    /// [`Denied`] when the principal does not meet what the request demands.
    pub fn authorize<T: Demanding>(
        &self,
        principal: &Principal,
        request: T,
    ) -> Result<Authorized<T>, Denied> {
        let at = self.check(principal, &request)?;
        Ok(Authorized { request, principal: principal.clone(), at })
    }

    /// Whether the principal may make the request now; answers the policy's revision.
    ///
    /// # Errors
    /// [`Denied`] when the principal does not meet what the request demands.
    pub fn check<T: Demanding>(&self, principal: &Principal, request: &T) -> Result<AuthRevision, Denied> {
        let Some(shared) = &self.accounts else { return self.check_without_accounts(principal) };
        let accounts = lock::read(&shared.accounts);
        if principal.identity == Identity::System {
            return Ok(accounts.revision());
        }
        if !accounts.is_enabled() {
            if request.demand() != Demand::Nothing {
                self.check_without_accounts(principal)?;
            }
            return Ok(accounts.revision());
        }
        let (user, known) = match &principal.identity {
            Identity::System => return Ok(accounts.revision()),
            Identity::BadToken => return Err(Denied::InvalidToken),
            Identity::FalseRoot if request.demand() == Demand::Nothing => return Ok(accounts.revision()),
            Identity::FalseRoot => return Err(Denied::Forbidden),
            Identity::Anonymous => ("", AuthRevision(0)),
            // Whoever signs tokens cannot make one outlive the policy's next changes.
            Identity::Named(_, Some(known)) if *known > accounts.revision() => {
                return Err(Denied::InvalidToken);
            }
            Identity::Named(user, known) => (&**user, known.unwrap_or(accounts.revision())),
        };
        let circumstances = &principal.circumstances;
        let grants =
            (known >= accounts.revision()).then(|| accounts.grants_in(user, circumstances)).flatten();
        // An administrator may do everything: what the request demands need not even be gathered.
        if grants.as_ref().is_some_and(|grants| grants.is_root()) {
            return Ok(accounts.revision());
        }
        match request.demand() {
            Demand::Nothing => {}
            Demand::Known | Demand::Keys(_) if known == AuthRevision(0) => return Err(Denied::Anonymous),
            Demand::Known | Demand::Keys(_) if self.base == Base::Closed && accounts.user(user).is_none() => {
                return Err(Denied::Forbidden);
            }
            Demand::Known => {}
            Demand::Keys(accesses) => {
                let standing = || match &grants {
                    Some(grants) => Ok(grants.clone()),
                    // Which refusal it is.
                    None => accounts.standing(user, known, Some(circumstances)),
                };
                check_ranges(&accesses, standing)?;
                if !accesses.leases.is_empty() {
                    check_leases(&accounts, &lock::read(&shared.leases), user, &accesses, standing)?;
                }
            }
            Demand::Ability(ability) if grants.as_ref().is_some_and(|grants| grants.has(ability)) => {}
            Demand::User(wanted) if !user.is_empty() && wanted == user => {}
            Demand::Role(wanted) if accounts.user(user).is_some_and(|user| user.has_role(&wanted)) => {}
            Demand::User(_) | Demand::Role(_) | Demand::Ability(_) | Demand::Administrator => {
                accounts.check_administrator(user)?;
                // etcd lets a demoted administrator's old token pass here.
                if known < accounts.revision() {
                    return Err(Denied::OldRevision);
                }
            }
        }
        Ok(accounts.revision())
    }

    fn check_without_accounts(&self, principal: &Principal) -> Result<AuthRevision, Denied> {
        match (&principal.identity, self.base) {
            (Identity::System, _) | (_, Base::Open) => Ok(accounts::FIRST_AUTH_REVISION),
            (Identity::Named(name, _), Base::Closed) if &**name == ROOT => Ok(accounts::FIRST_AUTH_REVISION),
            (_, Base::Closed) => Err(Denied::Forbidden),
        }
    }
}

/// Whether a user may touch these keys, where the circumstances are not known any more; of a lease, all keys that hang on it,
/// unless the user is an administrator.
pub(crate) fn check_keys(
    accounts: &Accounts,
    leases: &Leases,
    (user, known): (&str, AuthRevision),
    accesses: &Accesses,
) -> Result<(), Denied> {
    let standing = || accounts.standing(user, known, None);
    check_ranges(accesses, standing)?;
    check_leases(accounts, leases, user, accesses, standing)
}

fn check_ranges(
    accesses: &Accesses,
    standing: impl Fn() -> Result<Arc<Grants>, Denied>,
) -> Result<(), Denied> {
    if !accesses.ranges.is_empty() {
        let grants = standing()?;
        if !accesses.ranges.iter().all(|(range, right)| grants.allow(range, *right)) {
            return Err(Denied::Forbidden);
        }
    }
    Ok(())
}

fn check_leases(
    accounts: &Accounts,
    leases: &Leases,
    user: &str,
    accesses: &Accesses,
    standing: impl Fn() -> Result<Arc<Grants>, Denied>,
) -> Result<(), Denied> {
    for (lease, right) in accesses.leases.iter().filter_map(|(id, right)| Some((leases.get(*id)?, *right))) {
        if lease.keys.is_empty() || accounts.check_administrator(user).is_ok() {
            continue;
        }
        let grants = standing()?;
        if !lease.keys.iter().all(|key| grants.allow(&KeyRange::single(key.clone()), right)) {
            return Err(Denied::Forbidden);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
