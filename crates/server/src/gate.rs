//! The gate: from what the listener verified about a connection to a request that was authorized and recorded.
//!
//! Owns the way `Evidence → Principal → Authorized → Recorded`; decides nothing itself (`state::auth` does) and keeps
//! nothing (`audit` does). Every handler passes here, also those that make several requests out of one (locks, elections):
//! each of those is admitted by itself, for the same principal.
//!
//! Invariants: what has no connection in its extensions has no evidence, and so is nobody where access control is on; a
//! token that is shown counts, and a bad one is refused even where the certificate alone would do.

use crate::learn::Learner;
use crate::login::Tokens;
use crate::oidc::Oidc;
use crate::tls::Bond;
use audit::{Recorded, Recorder};
use env::Clock;
use http::HeaderMap;
use node::Member;
use state::auth::{Circumstances, Demanding, Denied, Evidence, Policy, Principal};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// One connection, as verified when it was accepted. Put into the extensions of every request by the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// What the transport has verified about the peer.
    pub evidence: Evidence,
    /// The peer's address, or "unix".
    pub peer: String,
    /// Whether the connection is encrypted.
    pub via_tls: bool,
    /// The peer's address without its port; none for a unix socket.
    source: Option<IpAddr>,
    /// What it stands on, where that is a certificate: requests end with it.
    bond: Option<Arc<Bond>>,
}

impl Connection {
    /// A connection of this peer (`address:port`, or "unix").
    #[must_use]
    pub fn new(evidence: Evidence, peer: String, via_tls: bool) -> Self {
        let source = peer.parse::<SocketAddr>().ok().map(|address| address.ip());
        Self { evidence, peer, via_tls, source, bond: None }
    }

    /// The same, on this bond.
    #[must_use]
    pub(crate) fn bound(self, bond: Option<Arc<Bond>>) -> Self {
        Self { bond, ..self }
    }

    /// What it stands on; none where nothing can be taken back.
    pub(crate) fn bond(&self) -> Option<&Arc<Bond>> {
        self.bond.as_ref()
    }
}

/// Lets requests in, or not.
#[derive(Clone)]
pub struct Gate {
    policy: Policy,
    recorder: Recorder,
    logins: Option<Logins>,
    oidc: Option<Arc<Oidc>>,
    /// Told of what users ask for, when somebody wants to know; none for the member itself.
    learner: Option<Arc<Learner>>,
    /// Tells tests what was demanded of whom came from outside.
    #[cfg(test)]
    witness: Option<Arc<dyn Fn(state::auth::Demand) + Send + Sync>>,
}

/// How senders are recognized, beyond their certificates.
#[derive(Clone)]
pub struct Logins {
    /// How tokens are made.
    pub tokens: Tokens,
    /// Whether the name in a certificate is a user's (etcd's `--client-cert-auth`).
    pub certificates_name_users: bool,
    /// Who remembers tokens.
    pub member: Member,
    /// Ends tokens.
    pub clock: Arc<dyn Clock>,
}

/// Who sends a request, and what it was recognized by: whether that still holds can be asked again.
#[derive(Clone, Debug)]
pub struct Caller {
    principal: Principal,
    token: Option<Arc<str>>,
    connection: Option<Arc<Connection>>,
}

impl Caller {
    /// Who it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The connection that the request came over.
    #[must_use]
    pub fn connection(&self) -> Option<&Connection> {
        self.connection.as_deref()
    }

    /// Whether it was recognized by a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

impl Gate {
    /// A gate of this policy and record.
    #[must_use]
    pub fn new(policy: Policy, recorder: Recorder, logins: Logins) -> Self {
        let learner = Some(Arc::new(Learner::new(logins.clock.clone())));
        Self {
            policy,
            recorder,
            logins: Some(logins),
            oidc: None,
            learner,
            #[cfg(test)]
            witness: None,
        }
    }

    /// The same, that also takes tokens of an issuer.
    #[must_use]
    pub fn with_issuer(self, oidc: Option<Arc<Oidc>>) -> Self {
        Self { oidc, ..self }
    }

    /// The same gate, telling `witness` of every demand of a user's requests, met or not.
    #[cfg(test)]
    pub(crate) fn witnessed(mut self, witness: impl Fn(state::auth::Demand) + Send + Sync + 'static) -> Self {
        self.witness = Some(Arc::new(witness));
        self
    }

    /// The gate for what the member does on its own account; nobody else passes it.
    #[must_use]
    pub fn of_the_member() -> Self {
        Self {
            policy: Policy::of_the_member(),
            recorder: Recorder::empty(),
            logins: None,
            oidc: None,
            learner: None,
            #[cfg(test)]
            witness: None,
        }
    }

    /// The policy behind it.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Who sends what carries these extensions and headers.
    #[must_use]
    pub fn caller(&self, extensions: &http::Extensions, headers: &HeaderMap) -> Caller {
        let connection = extensions.get::<Arc<Connection>>().cloned();
        // While access control is off nobody looks at tokens, as in etcd.
        let token = token(headers).filter(|_| self.policy.is_enabled());
        let evidence = self.evidence(token, connection.as_deref());
        let circumstances = self.circumstances(connection.as_deref());
        let principal = self.policy.principal(&evidence, circumstances);
        Caller { principal, token: token.map(Arc::from), connection }
    }

    /// What the caller shows, as of now. A token counts, and never the certificate beside it.
    #[must_use]
    pub fn evidence_of(&self, caller: &Caller) -> Evidence {
        let token = caller.token.as_deref().filter(|_| self.policy.is_enabled());
        self.evidence(token, caller.connection.as_deref())
    }

    /// What to wait for before a caller whose token is refused is refused for good.
    pub(crate) fn learning(&self, caller: &Caller) -> Option<impl Future<Output = ()> + Send + use<>> {
        let token = caller.token.as_deref().filter(|token| Oidc::is_one(token))?;
        self.oidc.as_ref().filter(|_| caller.principal.has_bad_token())?.learning(token)
    }

    /// The issuer whose tokens are taken.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.oidc.as_deref().map(Oidc::issuer)
    }

    /// What notes the requests that pass, or do not.
    pub(crate) fn learner(&self) -> Option<&Learner> {
        self.learner.as_deref()
    }

    fn evidence(&self, token: Option<&str>, connection: Option<&Connection>) -> Evidence {
        match token {
            Some(token) => self.recognize(token, connection),
            None => self.of_connection(connection),
        }
    }

    fn circumstances(&self, connection: Option<&Connection>) -> Circumstances {
        Circumstances { source: connection.and_then(|connection| connection.source), now: self.now() }
    }

    /// Whether what the caller was recognized by is still good; using a token lets it live on.
    #[must_use]
    pub fn is_still(&self, caller: &Caller) -> bool {
        let Some(token) = &caller.token else { return true };
        if !self.policy.is_enabled() {
            return true;
        }
        self.recognize(token, caller.connection.as_deref()) != Evidence::BadToken
    }

    fn recognize(&self, token: &str, connection: Option<&Connection>) -> Evidence {
        if let Some(oidc) = self.oidc.as_ref().filter(|_| Oidc::is_one(token)) {
            return oidc.recognize(token, connection);
        }
        match &self.logins {
            Some(Logins { tokens, member, clock, .. }) => {
                tokens.recognize(token, connection, member, &**clock)
            }
            None => Evidence::BadToken,
        }
    }

    /// Unix seconds.
    fn now(&self) -> u64 {
        self.logins.as_ref().map_or(0, |logins| logins.clock.wall().unix_seconds())
    }

    fn of_connection(&self, connection: Option<&Connection>) -> Evidence {
        let names_users = self.logins.as_ref().is_none_or(|logins| logins.certificates_name_users);
        match connection.map(|connection| &connection.evidence) {
            None => Evidence::None,
            Some(Evidence::Certificate { .. }) if !names_users => Evidence::None,
            Some(evidence) => evidence.clone(),
        }
    }

    /// The member itself, for what it does on its own account (raising an alarm, cleaning up after a client that left).
    #[must_use]
    pub fn member(&self) -> Principal {
        self.policy.principal(&Evidence::Member, Circumstances::default())
    }

    /// Lets a request pass, or not.
    ///
    /// # Errors
    /// [`Denied`] when the principal may not make it.
    pub fn admit<T: Demanding>(&self, principal: &Principal, request: T) -> Result<Recorded<T>, Denied> {
        #[cfg(test)]
        if let (Some(witness), Some(_)) = (&self.witness, principal.user()) {
            witness(request.demand());
        }
        let Some(learner) = self.learner.as_ref().filter(|learner| learner.is_on()) else {
            return Ok(self.recorder.record(self.policy.authorize(principal, request)?));
        };
        let demand = request.demand();
        let passed = self.policy.authorize(principal, request);
        learner.note(&self.policy, principal, &demand, passed.is_ok());
        Ok(self.recorder.record(passed?))
    }

    /// Whether the caller, who was let in before, may still do this: by what it was recognized by, and by the policy as it
    /// is now. A token of an older revision counts as of today: what it allowed was looked at when it was let in.
    ///
    /// # Errors
    /// [`Denied`] when it may not any more.
    pub fn check_again<T: Demanding>(&self, caller: &Caller, request: &T) -> Result<(), Denied> {
        let evidence = self.evidence_of(caller);
        if evidence == Evidence::BadToken && caller.token.is_some() {
            return Err(Denied::InvalidToken);
        }
        let circumstances = self.circumstances(caller.connection.as_deref());
        let today = self.policy.principal(&evidence, circumstances).of_today(circumstances.now);
        // The rule that said who it is was changed meanwhile: it is nobody's request any more.
        if self.policy.is_enabled() && today.user() != caller.principal.user() {
            return Err(Denied::Forbidden);
        }
        self.policy.check(&today, request).map(drop)
    }
}

/// The token among the headers: etcd's own, or that of HTTP.
fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("token").or_else(|| headers.get(http::header::AUTHORIZATION))?;
    // What is no text is no token of anybody.
    let text = value.to_str().unwrap_or("\0");
    Some(text.strip_prefix("Bearer ").unwrap_or(text))
}
