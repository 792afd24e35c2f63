//! Users, roles and what they may do: etcd's access store.
//!
//! Owns the accounts, the revision of the policy, and the two questions asked of them: may this user touch these keys, is
//! this user an administrator. Changed by the machine alone (`apply_access.rs`); never knows how a user was recognized.
//!
//! Invariants: a user's roles and a role's permissions are sorted; what a user may do is computed when first asked after a
//! change, and forgotten at every change that could alter it. Source: etcd's `auth/store.go`.

use super::key_set::KeySet;
use super::secret::PasswordHash;
use super::terms::{Ability, CertificateNames, Circumstances, Claims, IdentityRule, Limits, Terms};
use super::{Denied, Right};
use crate::record::Record;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use types::{AuthRevision, Key, KeyRange};

/// The first user, and the role that may do everything.
pub const ROOT: &str = "root";

/// The revision of a policy that never changed.
pub(crate) const FIRST_AUTH_REVISION: AuthRevision = AuthRevision(1);

/// The access store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    is_enabled: bool,
    revision: AuthRevision,
    users: BTreeMap<String, User>,
    roles: BTreeMap<String, Role>,
    /// Of roles that have any.
    terms: BTreeMap<String, Terms>,
    identities: BTreeMap<String, IdentityRule>,
}

/// Somebody who can be recognized, by password or by certificate.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// Whether it can never log in with a password.
    pub no_password: bool,
    /// What a password is compared with.
    pub password: PasswordHash,
    /// Its roles, sorted. One that is not there gives nothing.
    pub roles: Vec<String>,
    /// What all that comes to.
    whole: OnceLock<Whole>,
    /// The same for the roles that counted when it was last asked, where conditions decide which.
    some: Arc<Mutex<Option<Counted>>>,
}

/// What a user's roles come to, found once: no request walks them.
#[derive(Clone, Debug)]
struct Whole {
    /// When all of them count.
    grants: Arc<Grants>,
    /// Those that count only under conditions.
    conditional: Vec<String>,
}

/// A named list of permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Sorted by key.
    pub permissions: Vec<Permission>,
}

/// A right on a range of keys, in etcd's own two fields (which clients get back as they wrote them).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// What may be done.
    pub kind: PermissionKind,
    /// The first key.
    pub key: Bytes,
    /// etcd's end of the range.
    pub range_end: Bytes,
}

/// What a permission allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionKind {
    /// To read.
    Read,
    /// To write.
    Write,
    /// Both.
    ReadWrite,
    /// A number that etcd does not know: kept, and good for nothing.
    Unknown(i32),
}

/// What a user may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    is_root: bool,
    read: KeySet,
    write: KeySet,
    abilities: BTreeSet<Ability>,
    limits: Limits,
}

/// Which of a user's conditional roles counted, and what these and the others came to.
type Counted = (Vec<bool>, Arc<Grants>);

impl PermissionKind {
    /// etcd's number of it.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::ReadWrite => 2,
            Self::Unknown(number) => number,
        }
    }

    /// The kind of this number.
    #[must_use]
    pub fn from_number(number: i32) -> Self {
        match number {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::ReadWrite,
            unknown => Self::Unknown(unknown),
        }
    }
}

impl Permission {
    /// The range it is about; none for one without a key, which no request can name.
    #[must_use]
    pub fn range(&self) -> Option<KeyRange> {
        Some(KeyRange::from_pair(Key::new(self.key.clone())?, self.range_end.clone()))
    }

    /// Whether etcd accepts it: a key, and an end that lies behind it.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.range().is_some_and(|range| !range.is_empty())
    }

    pub(crate) fn gives(&self, right: Right) -> bool {
        matches!(
            (self.kind, right),
            (PermissionKind::ReadWrite, _)
                | (PermissionKind::Read, Right::Read)
                | (PermissionKind::Write, Right::Write)
        )
    }
}

impl Grants {
    /// Whether everything is allowed.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    /// Whether the administrative right is given.
    #[must_use]
    pub fn has(&self, ability: Ability) -> bool {
        self.is_root || self.abilities.contains(&ability)
    }

    /// What may be asked for at most; nothing limits an administrator.
    #[must_use]
    pub fn limits(&self) -> Limits {
        if self.is_root { Limits::default() } else { self.limits }
    }

    /// Whether `right` is given on all of `range`.
    #[must_use]
    pub fn allow(&self, range: &KeyRange, right: Right) -> bool {
        self.is_root
            || match right {
                Right::Read => self.read.covers(range),
                Right::Write => self.write.covers(range),
            }
    }
}

impl User {
    /// A user as the store has it.
    #[must_use]
    pub fn new(no_password: bool, password: PasswordHash, roles: Vec<String>) -> Self {
        Self { no_password, password, roles, whole: OnceLock::new(), some: Arc::default() }
    }

    /// Whether it holds the role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.binary_search_by(|held| held.as_str().cmp(role)).is_ok()
    }
}

impl PartialEq for User {
    fn eq(&self, other: &Self) -> bool {
        (self.no_password, &self.password, &self.roles) == (other.no_password, &other.password, &other.roles)
    }
}

impl Eq for User {}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            is_enabled: false,
            revision: FIRST_AUTH_REVISION,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
            terms: BTreeMap::new(),
            identities: BTreeMap::new(),
        }
    }
}

impl Accounts {
    /// Whether access control is on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// How often the policy was changed, from 1 on.
    #[must_use]
    pub fn revision(&self) -> AuthRevision {
        self.revision
    }

    /// A user by name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// All users, by name.
    pub fn users(&self) -> impl ExactSizeIterator<Item = (&str, &User)> {
        self.users.iter().map(|(name, user)| (name.as_str(), user))
    }

    /// A role by name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(name)
    }

    /// All roles, by name.
    pub fn roles(&self) -> impl ExactSizeIterator<Item = (&str, &Role)> {
        self.roles.iter().map(|(name, role)| (name.as_str(), role))
    }

    /// What a role is beyond its permissions.
    #[must_use]
    pub fn terms(&self, role: &str) -> Option<&Terms> {
        self.terms.get(role)
    }

    /// All terms, by the role's name.
    pub fn all_terms(&self) -> impl ExactSizeIterator<Item = (&str, &Terms)> {
        self.terms.iter().map(|(role, terms)| (role.as_str(), terms))
    }

    /// Whether any role has any.
    #[must_use]
    pub fn has_terms(&self) -> bool {
        !self.terms.is_empty()
    }

    /// The rules by which certificates and tokens are recognized, by name.
    pub fn identities(&self) -> impl ExactSizeIterator<Item = (&str, &IdentityRule)> {
        self.identities.iter().map(|(name, rule)| (name.as_str(), rule))
    }

    /// Whose a certificate is by these rules; the first rule by name that fits, and its name.
    #[must_use]
    pub fn recognize(&self, names: &CertificateNames) -> Option<(&str, &IdentityRule)> {
        self.identities().find(|(_, rule)| rule.matcher.matches(names))
    }

    /// Whose a token with these claims is; the first rule by name that fits, and its name.
    #[must_use]
    pub fn recognize_token(&self, claims: &Claims) -> Option<(&str, &IdentityRule)> {
        self.identities().find(|(_, rule)| rule.matcher.matches_token(claims))
    }

    /// What a user may do when all of its roles count; none for an unknown user.
    #[must_use]
    pub fn grants(&self, user: &str) -> Option<Arc<Grants>> {
        Some(self.whole(self.users.get(user)?).grants.clone())
    }

    fn whole<'a>(&self, user: &'a User) -> &'a Whole {
        user.whole.get_or_init(|| {
            let is_conditional = |role: &&String| self.terms(role).is_some_and(Terms::is_conditional);
            let conditional = user.roles.iter().filter(is_conditional).cloned().collect();
            Whole { grants: Arc::new(self.compute(user, |_| true)), conditional }
        })
    }

    /// What a user may do under these circumstances; none for an unknown user.
    #[must_use]
    pub fn grants_in(&self, name: &str, circumstances: &Circumstances) -> Option<Arc<Grants>> {
        let user = self.users.get(name)?;
        let whole = self.whole(user);
        let counts = |role: &String| self.terms(role).is_none_or(|terms| terms.counts(circumstances));
        let counting: Vec<bool> = whole.conditional.iter().map(counts).collect();
        if !counting.contains(&false) {
            return Some(whole.grants.clone());
        }
        let mut some = user.some.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, grants)) = some.as_ref().filter(|(counted, _)| *counted == counting) {
            return Some(grants.clone());
        }
        let grants = Arc::new(self.compute(user, counts));
        *some = Some((counting, grants.clone()));
        Some(grants)
    }

    fn compute(&self, user: &User, counts: impl Fn(&String) -> bool) -> Grants {
        let roles: Vec<&String> = user.roles.iter().filter(|role| counts(role)).collect();
        self.grants_of(&roles)
    }

    /// What these roles come to together.
    pub(crate) fn grants_of(&self, roles: &[&String]) -> Grants {
        if roles.iter().any(|role| *role == ROOT) {
            return Grants { is_root: true, ..Grants::default() };
        }
        let terms = || roles.iter().filter_map(|role| self.terms.get(*role));
        let permissions =
            || roles.iter().filter_map(|role| self.roles.get(*role)).flat_map(|role| &role.permissions);
        let keys = |right| {
            let (granted, denied) =
                (set(permissions(), right), set(terms().flat_map(|terms| &terms.deny), right));
            granted.without(&denied)
        };
        Grants {
            is_root: false,
            read: keys(Right::Read),
            write: keys(Right::Write),
            abilities: terms().flat_map(|terms| terms.abilities.iter().copied()).collect(),
            limits: terms().fold(Limits::default(), |limits, terms| limits.and(terms.limits)),
        }
    }

    /// What a user may do, for one recognized when the policy stood at `known`; where the circumstances are not known any
    /// more (an entry that is applied), as if all conditions were met: the edge has looked at them.
    ///
    /// # Errors
    /// etcd's refusals, in its order: nobody is named, the policy changed since, no such user.
    pub fn standing(
        &self,
        user: &str,
        known: AuthRevision,
        circumstances: Option<&Circumstances>,
    ) -> Result<Arc<Grants>, Denied> {
        if known == AuthRevision(0) {
            return Err(Denied::Anonymous);
        }
        if known < self.revision {
            return Err(Denied::OldRevision);
        }
        let grants = match circumstances {
            Some(circumstances) => self.grants_in(user, circumstances),
            None => self.grants(user),
        };
        grants.ok_or(Denied::Forbidden)
    }

    /// Whether the user is an administrator.
    ///
    /// # Errors
    /// etcd's refusals, in its order.
    pub fn check_administrator(&self, user: &str) -> Result<(), Denied> {
        if user.is_empty() {
            return Err(Denied::Anonymous);
        }
        match self.users.get(user) {
            None => Err(Denied::UnknownUser),
            Some(user) if user.has_role(ROOT) => Ok(()),
            Some(_) => Err(Denied::Forbidden),
        }
    }

    /// Everything, as the records that make it.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'static>> + '_ {
        let policy = Record::Policy { is_enabled: self.is_enabled, revision: self.revision };
        let users =
            self.users.iter().map(|(name, user)| Record::User { name: name.clone(), user: user.clone() });
        let roles =
            self.roles.iter().map(|(name, role)| Record::Role { name: name.clone(), role: role.clone() });
        let terms =
            self.terms.iter().map(|(role, terms)| Record::Terms { role: role.clone(), terms: terms.clone() });
        let identities = self
            .identities
            .iter()
            .map(|(name, rule)| Record::Identity { name: name.clone(), rule: rule.clone() });
        std::iter::once(policy).chain(users).chain(roles).chain(terms).chain(identities)
    }

    pub(crate) fn set_enabled(&mut self, is_enabled: bool) {
        self.is_enabled = is_enabled;
    }

    pub(crate) fn set_revision(&mut self, revision: AuthRevision) {
        self.revision = revision;
    }

    pub(crate) fn set_user(&mut self, name: String, user: User) {
        self.users.insert(name, user);
    }

    pub(crate) fn remove_user(&mut self, name: &str) {
        self.users.remove(name);
    }

    pub(crate) fn set_role(&mut self, name: String, role: Role) {
        self.forget_grants_of(&name);
        self.roles.insert(name, role);
    }

    /// Its terms go with it.
    pub(crate) fn remove_role(&mut self, name: &str) {
        self.forget_grants_of(name);
        self.roles.remove(name);
        self.terms.remove(name);
    }

    pub(crate) fn set_terms(&mut self, role: String, terms: Terms) {
        self.forget_grants_of(&role);
        if terms.is_empty() {
            self.terms.remove(&role);
        } else {
            self.terms.insert(role, terms);
        }
    }

    pub(crate) fn set_identity(&mut self, name: String, rule: IdentityRule) {
        self.identities.insert(name, rule);
    }

    pub(crate) fn remove_identity(&mut self, name: &str) {
        self.identities.remove(name);
    }

    fn forget_grants_of(&mut self, role: &str) {
        for user in self.users.values_mut().filter(|user| user.has_role(role)) {
            (user.whole, user.some) = (OnceLock::new(), Arc::default());
        }
    }
}

/// The keys on which these permissions give the right.
fn set<'a>(permissions: impl Iterator<Item = &'a Permission>, right: Right) -> KeySet {
    let ranges: Vec<KeyRange> =
        permissions.filter(|permission| permission.gives(right)).filter_map(Permission::range).collect();
    KeySet::of(&ranges)
}
