//! The gate: from what the listener verified about a connection to a request that was authorized and recorded.
//!
//! Owns the way `Evidence → Principal → Authorized → Recorded`; decides nothing itself (`state::auth` does) and keeps
//! nothing (`audit` does). Every handler passes here, also those that make several requests out of one (locks, elections):
//! each of those is admitted by itself, for the same principal.
//!
//! Invariant: what has no connection in its extensions has no evidence, and so is nobody where access control is on.

use audit::{Recorded, Recorder};
use state::auth::{Demanding, Denied, Evidence, Policy, Principal};
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
}

/// Lets requests in, or not.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    policy: Policy,
    recorder: Recorder,
}

impl Gate {
    /// A gate of this policy and record.
    #[must_use]
    pub fn new(policy: Policy, recorder: Recorder) -> Self {
        Self { policy, recorder }
    }

    /// Whether access control is on.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.policy == Policy::Closed
    }

    /// Who sends what carries these extensions.
    #[must_use]
    pub fn principal(&self, extensions: &http::Extensions) -> Principal {
        match extensions.get::<Arc<Connection>>() {
            Some(connection) => self.policy.principal(&connection.evidence),
            None => self.policy.principal(&Evidence::None),
        }
    }

    /// The member itself, for what it does on its own account (raising an alarm, cleaning up after a client that left).
    #[must_use]
    pub fn member(&self) -> Principal {
        self.policy.principal(&Evidence::Member)
    }

    /// Lets a request pass, or not.
    ///
    /// # Errors
    /// [`Denied`] when the principal may not make it.
    pub fn admit<T: Demanding>(&self, principal: &Principal, request: T) -> Result<Recorded<T>, Denied> {
        Ok(self.recorder.record(self.policy.authorize(principal, request)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::auth::Demand;

    struct Any(Demand);
    impl Demanding for Any {
        fn demand(&self) -> Demand {
            self.0.clone()
        }
    }

    fn extensions(evidence: Option<Evidence>) -> http::Extensions {
        let mut extensions = http::Extensions::new();
        if let Some(evidence) = evidence {
            extensions.insert(Arc::new(Connection { evidence, peer: "127.0.0.1:1".into(), via_tls: true }));
        }
        extensions
    }

    /// With access control on, only the administrator's certificate opens the gate: another certificate, no certificate,
    /// and a request that came past the listener are all nobody.
    #[test]
    fn a_closed_gate_opens_for_the_administrator_only() {
        let gate = Gate::new(Policy::Closed, Recorder::empty());
        let certificate = |name: &str| Some(Evidence::Certificate { common_name: Arc::from(name) });
        for demand in [Demand::Known, Demand::Keys(Vec::new()), Demand::Administrator] {
            let admitted = |evidence| {
                let principal = gate.principal(&extensions(evidence));
                gate.admit(&principal, Any(demand.clone())).is_ok()
            };
            assert!(admitted(certificate("root")));
            assert!(!admitted(certificate("someone")));
            assert!(!admitted(Some(Evidence::None)));
            assert!(!admitted(None));
            assert!(gate.admit(&gate.member(), Any(demand.clone())).is_ok());
        }
    }

    /// An open gate is etcd without authentication: whoever the transport let in may do everything.
    #[test]
    fn an_open_gate_lets_everybody_in() {
        let gate = Gate::new(Policy::Open, Recorder::empty());
        let principal = gate.principal(&extensions(None));
        assert!(gate.admit(&principal, Any(Demand::Administrator)).is_ok());
        assert_eq!(principal.name(), "anonymous");
    }
}
