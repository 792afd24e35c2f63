//! Our Access service: what of the policy etcd's Auth service has no words for.
//!
//! Owns the translation between its messages and the house's words; changes go through the log as entries of our own.

use super::Services;
use super::requests::{AboutAccess, Act};
use super::status::Failure;
use crate::learn::{Learned, Use, Used};
use node::own_messages;
use proto::authpb::{Permission, permission};
use proto::strongroom::v1 as own;
use state::Command;
use state::auth::{
    Ability, AccessChange, Accounts, Circumstances, Evidence, Explanation, Matcher, Principal, ROOT, Right,
    Wish,
};
use std::borrow::Cow;
use std::time::Duration;
use tonic::{Code, Request, Response, Status};
use types::limits::LEARNING_SECONDS_MAX;
use types::{Key, KeyRange};

/// The Access service.
#[derive(Clone)]
pub(super) struct Access(pub Services);

impl Access {
    async fn change(&self, principal: &Principal, change: AccessChange) -> Result<u64, Failure> {
        self.0.propose(principal, Command::Access(change)).await?;
        Ok(self.0.member().gauges().auth_revision().0)
    }
}

impl Access {
    /// The identity that a question is about.
    fn identity(&self, user: &str, asked: own::IdentityRule) -> Result<Matcher, Failure> {
        if !user.is_empty() {
            return Err(wrong("a question is about a user or an identity, not both"));
        }
        let (_, rule) = own_messages::identity_from(asked).ok_or_else(no_matcher)?;
        let mut matcher = rule.matcher;
        self.complete(&mut matcher)?;
        Ok(matcher)
    }

    /// Names the issuer in a rule that leaves it out, and refuses one that no token can fit.
    fn complete(&self, matcher: &mut Matcher) -> Result<(), Failure> {
        let Matcher::Claim { issuer, name, value } = matcher else { return Ok(()) };
        if name.is_empty() || value.is_empty() {
            return Err(wrong("a rule on a claim needs the claim's name and its value"));
        }
        if issuer.is_empty() {
            let ours = self.0.gate().issuer();
            let ours = ours.ok_or_else(|| {
                wrong("this member has no --oidc-issuer: name the rule's issuer, and set it on the members")
            })?;
            *issuer = ours.to_owned();
        }
        Ok(())
    }
}

fn wrong(what: impl std::fmt::Display) -> Failure {
    Failure::Other(Code::InvalidArgument, Cow::Owned(format!("strongroom: {what}")))
}

fn no_matcher() -> Failure {
    wrong("a rule needs a uri, a dns, an organization or an oidc_claim")
}

fn no_right(name: &str) -> Failure {
    let all: Vec<&str> = Ability::ALL.iter().map(|ability| ability.name()).collect();
    wrong(format_args!(
        "{name:?} is neither an administrative right ({}) nor a network in CIDR form",
        all.join(", ")
    ))
}

/// What the request asks about.
fn wish(operation: &str, key: bytes::Bytes, range_end: bytes::Bytes) -> Result<Wish, Failure> {
    let right = match operation {
        "get" | "watch" | "read" => Right::Read,
        "put" | "delete" | "write" => Right::Write,
        name => return Ok(Wish::Ability(Ability::named(name).ok_or_else(|| no_operation(name))?)),
    };
    let key = Key::new(key).ok_or(Failure::EmptyKey)?;
    Ok(Wish::Keys(KeyRange::from_pair(key, range_end), right))
}

fn no_operation(name: &str) -> Failure {
    let all: Vec<&str> = Ability::ALL.iter().map(|ability| ability.name()).collect();
    wrong(format_args!(
        "{name:?} is no operation: write get, watch, put, delete, or one of {}",
        all.join(", ")
    ))
}

fn told(explanation: Explanation, holder: Option<String>) -> own::ExplainResponse {
    own::ExplainResponse {
        allowed: explanation.is_allowed,
        reasons: explanation.reasons,
        role: explanation.role.unwrap_or_default(),
        permission: explanation.permission.as_ref().map(own_messages::permission_to),
        user: holder.unwrap_or_default(),
    }
}

fn learned_to(learned: Learned) -> own::LearnedResponse {
    let uses = |uses: Vec<(Use, u64)>| uses.into_iter().map(use_to).collect();
    let user = |used: Used| own::LearnedUser {
        user: used.user,
        allowed: uses(used.allowed),
        refused: uses(used.refused),
        missed: used.missed,
    };
    own::LearnedResponse {
        since: learned.period.since,
        until: learned.period.until,
        is_learning: learned.is_on,
        users: learned.users.into_iter().map(user).collect(),
        missed: learned.missed,
    }
}

fn use_to((used, times): (Use, u64)) -> own::LearnedUse {
    let (permission, right) = match used {
        Use::Right(right) => (None, right.to_owned()),
        Use::Keys(right, span) => {
            let kind = match right {
                Right::Read => permission::Type::Read,
                Right::Write => permission::Type::Write,
            };
            let (key, range_end) = (span.key.into(), span.end.into());
            (Some(Permission { perm_type: kind.into(), key, range_end }), String::new())
        }
    };
    own::LearnedUse { permission, right, times }
}

#[tonic::async_trait]
impl own::access_server::Access for Access {
    async fn show(&self, request: Request<own::ShowRequest>) -> Result<Response<own::ShowResponse>, Status> {
        let proof = self.0.admit(&self.0.principal(&request), AboutAccess::Names)?;
        self.0.barrier().await?;
        let all = self.0.inspect(&proof).look_at_accounts(|accounts| own::ShowResponse {
            roles: accounts
                .all_terms()
                .map(|(role, terms)| (role.to_owned(), own_messages::terms_to(terms)))
                .collect(),
            identities: accounts
                .identities()
                .map(|(name, rule)| own_messages::identity_to(name.to_owned(), rule.clone()))
                .collect(),
            auth_revision: accounts.revision().0,
        });
        Ok(Response::new(all))
    }

    async fn set_role(
        &self,
        request: Request<own::SetRoleRequest>,
    ) -> Result<Response<own::SetRoleResponse>, Status> {
        let principal = self.0.principal(&request);
        self.0.admit(&principal, Act::AccessControl)?;
        let asked = request.into_inner();
        let terms =
            own_messages::terms_from(asked.terms.unwrap_or_default()).map_err(|name| no_right(&name))?;
        let auth_revision =
            self.change(&principal, AccessChange::SetTerms { role: asked.role, terms }).await?;
        Ok(Response::new(own::SetRoleResponse { auth_revision }))
    }

    async fn set_identity(
        &self,
        request: Request<own::SetIdentityRequest>,
    ) -> Result<Response<own::SetIdentityResponse>, Status> {
        let principal = self.0.principal(&request);
        self.0.admit(&principal, Act::AccessControl)?;
        let rule = own_messages::identity_from(request.into_inner().rule.unwrap_or_default());
        let (name, mut rule) = rule.ok_or_else(no_matcher)?;
        self.complete(&mut rule.matcher)?;
        let auth_revision = self.change(&principal, AccessChange::SetIdentity { name, rule }).await?;
        Ok(Response::new(own::SetIdentityResponse { auth_revision }))
    }

    async fn remove_identity(
        &self,
        request: Request<own::RemoveIdentityRequest>,
    ) -> Result<Response<own::RemoveIdentityResponse>, Status> {
        let principal = self.0.principal(&request);
        let name = request.into_inner().name;
        let auth_revision = self.change(&principal, AccessChange::RemoveIdentity { name }).await?;
        Ok(Response::new(own::RemoveIdentityResponse { auth_revision }))
    }

    async fn explain(
        &self,
        request: Request<own::ExplainRequest>,
    ) -> Result<Response<own::ExplainResponse>, Status> {
        let principal = self.0.principal(&request);
        let asked = request.into_inner();
        // Everybody may ask about itself.
        let about = match &asked.identity {
            Some(_) => AboutAccess::Names,
            None => AboutAccess::User(asked.user.clone()),
        };
        self.0.admit(&principal, about)?;
        let identity = asked.identity.map(|identity| self.identity(&asked.user, identity)).transpose()?;
        let wish = wish(&asked.operation, asked.key, asked.range_end)?;
        let source = match asked.source.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| wrong(format_args!("{text:?} is no address")))?),
        };
        self.0.barrier().await?;
        let now = self.0.context.clock.wall().unix_seconds();
        let circumstances = source.map(|source| Circumstances { source: Some(source), now });
        let policy = self.0.gate().policy();
        let holder = identity.as_ref().map(|identity| policy.holder_of(identity).unwrap_or_default());
        let user = holder.as_ref().unwrap_or(&asked.user);
        let mut explanation = policy.explain(user, &wish, circumstances.as_ref());
        match &identity {
            Some(identity) if user.is_empty() && policy.is_enabled() => {
                explanation.reasons = vec![format!("no identity rule is about {identity}")];
            }
            _ => explanation.reasons.extend(policy.ways_to(user, now)),
        }
        Ok(Response::new(told(explanation, holder)))
    }

    async fn learn(
        &self,
        request: Request<own::LearnRequest>,
    ) -> Result<Response<own::LearnResponse>, Status> {
        self.0.admit(&self.0.principal(&request), Act::AccessControl)?;
        let own::LearnRequest { seconds, forget } = request.into_inner();
        if seconds > LEARNING_SECONDS_MAX {
            let days = LEARNING_SECONDS_MAX / 86_400;
            return Err(wrong(format_args!("what is used is noted for {days} days at most")).into());
        }
        let until = self.0.gate().learner().map_or(0, |learner| {
            if forget {
                learner.forget();
            }
            if seconds == 0 { learner.end() } else { learner.begin(Duration::from_secs(seconds)) }
        });
        tracing::info!(until, forget, "what users ask for is noted until then, for a policy (access learn)");
        Ok(Response::new(own::LearnResponse { until }))
    }

    async fn learned(
        &self,
        request: Request<own::LearnedRequest>,
    ) -> Result<Response<own::LearnedResponse>, Status> {
        self.0.admit(&self.0.principal(&request), AboutAccess::Names)?;
        let own::LearnedRequest { user, widen_from } = request.into_inner();
        let from = match widen_from {
            0 => usize::MAX,
            from => usize::try_from(from).unwrap_or(usize::MAX),
        };
        let only = Some(user.as_str()).filter(|user| !user.is_empty());
        let learned = self.0.gate().learner().map(|learner| learner.learned(only, from));
        Ok(Response::new(learned.map(learned_to).unwrap_or_default()))
    }

    async fn who_am_i(
        &self,
        request: Request<own::WhoAmIRequest>,
    ) -> Result<Response<own::WhoAmIResponse>, Status> {
        let caller = self.0.caller(&request);
        let principal = caller.principal();
        let proof = self.0.admit(principal, Act::Status)?;
        let user = principal.user().unwrap_or_default().to_owned();
        let evidence = self.0.gate().evidence_of(&caller);
        let rule = self.0.gate().policy().rule_of(&evidence).unwrap_or_default();
        let recognized_by = match &evidence {
            Evidence::Claims { claims, .. } => format!("a token of {}", claims.issuer),
            _ if caller.has_token() => "a token".to_owned(),
            Evidence::Certificate { common_name, is_administrator, names } => match &names.uri {
                Some(uri) if *is_administrator => format!("the administrator's certificate ({uri})"),
                Some(uri) => format!("a certificate of {common_name:?} ({uri})"),
                None => format!("a certificate of {common_name:?}"),
            },
            _ => "nothing: no certificate and no token".to_owned(),
        };
        let of = |accounts: &Accounts| {
            let roles = accounts.user(&user).map(|user| user.roles.clone()).unwrap_or_default();
            (!accounts.is_enabled() || roles.iter().any(|role| role == ROOT), roles)
        };
        let (is_administrator, roles) = self.0.inspect(&proof).look_at_accounts(of);
        Ok(Response::new(own::WhoAmIResponse { user, recognized_by, roles, is_administrator, rule }))
    }
}
