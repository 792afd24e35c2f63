//! The handle of a running member: what the edge may ask, each way with its proof.
//!
//! Cheap to clone, safe from every thread. Reads go straight to the state's reader on the caller's thread; writes go to
//! the member's loop and come back through the reply.

use crate::codec::{self, Envelope};
use crate::counts::{Counts, Op};
use crate::error::Refused;
use crate::inbox;
use crate::input::Input;
use crate::proposal::{Proposal, Proposed, Reply};
use crate::shared::{Shared, lock};
use crate::watch::{StreamId, WatchSink, WatchStream};
use audit::Recorded;
use state::auth::{PasswordHash, ROOT, Renewal};
use state::command::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use types::limits::PROPOSALS_PENDING_BYTES_MAX;
use types::{ClusterId, LeaseId, LogIndex, MemberId, RequestId, Term};

pub use consensus::Role;

/// A member's condition at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// The cluster.
    pub cluster: ClusterId,
    /// This member.
    pub member: MemberId,
    /// Who leads, if anybody.
    pub leader: Option<MemberId>,
    /// This member's role.
    pub role: Role,
    /// The current term.
    pub term: Term,
    /// The last committed index.
    pub committed: LogIndex,
    /// The last applied index.
    pub applied: LogIndex,
    /// Whether this member is a learner.
    pub is_learner: bool,
    /// Proposals that wait for their entry.
    pub proposals_pending: usize,
    /// Proposals that failed since start.
    pub proposals_failed: u64,
}

/// A running member.
#[derive(Clone)]
pub struct Member {
    pub(crate) shared: Arc<Shared>,
}

impl Member {
    /// Proposes a command; the reply comes when its entry is durable and applied.
    pub fn propose(&self, command: Recorded<Command>, reply: Reply<Proposed>) {
        let shared = &self.shared;
        let (command, actor, intent) = command.into_parts();
        if shared.full_disk.load(Ordering::Acquire) && state::quota::cost(&command) > 0 {
            reply(Err(Refused::State(state::Refusal::NoSpace)));
            return;
        }
        let (began, op) = (shared.clock.monotonic(), Op::of(&command));
        let id = RequestId(shared.next_request.fetch_add(1, Ordering::Relaxed));
        let entry = codec::encode(Envelope { id, actor, command });
        if entry.len() > shared.request_bytes_max {
            if let Some(op) = op {
                // As etcd: it was answered, and the answer is a refusal.
                let took = shared.clock.monotonic().since(began);
                shared.counts.requests.note(op, Ok::<_, ()>(()), took);
            }
            reply(Err(Refused::TooLarge { bytes: entry.len(), limit: shared.request_bytes_max }));
            return;
        }
        let bytes = entry.len() as u64;
        let others = shared.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        let is_too_much = others > 0 && others.saturating_add(bytes) > PROPOSALS_PENDING_BYTES_MAX;
        shared.pending.fetch_add(1, Ordering::Relaxed);
        let counted = self.clone();
        let reply: Reply<Proposed> = Box::new(move |answer| {
            counted.shared.pending.fetch_sub(1, Ordering::Relaxed);
            counted.shared.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
            if answer.is_err() {
                counted.shared.failed.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(op) = op {
                let took = counted.shared.clock.monotonic().since(began);
                counted.shared.counts.requests.note(op, answer.as_ref(), took);
            }
            reply(answer);
        });
        if is_too_much {
            reply(Err(Refused::TooManyRequests));
            return;
        }
        let unsent = shared.inputs.push(Input::Propose(Proposal { id, entry, intent, reply }));
        let (input, refused) = match unsent {
            Ok(()) => return,
            Err(inbox::Refusal::Full(input)) => (input, Refused::TooManyRequests),
            Err(inbox::Refusal::Closed(input)) => (input, Refused::Stopped),
        };
        if let Input::Propose(proposal) = input {
            (proposal.reply)(Err(refused));
        }
    }

    /// Replies when a read that begins then is linearizable: at once, on this thread, where this member alone is the
    /// quorum, since whatever was acknowledged it has applied before.
    pub fn read_barrier(&self, reply: Reply<()>) {
        let leads = lock(&self.shared.position).role == Role::Leader;
        reply(if leads { Ok(()) } else { Err(Refused::NoLeader) });
    }

    /// The applied state, for whoever holds a recorded request.
    pub fn inspect<T>(&self, _proof: &Recorded<T>) -> &state::Reader {
        &self.shared.reader
    }

    /// Whose token this is, if it is good; its time begins anew.
    #[must_use]
    pub fn token_user(&self, token: &str) -> Option<Arc<str>> {
        let now = self.shared.clock.monotonic().millis();
        lock(&self.shared.tokens).user(token, now)
    }

    /// Has `tell` called whenever who may do what has changed, on one of the member's threads: it must not block.
    pub fn on_policy_change(&self, tell: impl Fn() + Send + 'static) {
        lock(&self.shared.policy_listeners).push(Box::new(tell));
    }

    /// Has `tell` called whenever the register of certificates has changed, as above.
    pub fn on_certificate_change(&self, tell: impl Fn() + Send + 'static) {
        lock(&self.shared.certificate_listeners).push(Box::new(tell));
    }

    /// Opens a watch stream whose answers go to `sink`.
    pub fn watch(&self, sink: Box<dyn WatchSink>) -> WatchStream {
        let id = StreamId(self.shared.next_stream.fetch_add(1, Ordering::Relaxed));
        WatchStream::open(id, self.shared.hub.clone(), self.shared.open_streams.clone(), sink)
    }

    /// Renews a lease; answers its full time to live, in seconds.
    ///
    /// # Errors
    /// [`Refused::LeaseNotFound`] when it is unknown or has expired; [`Refused::NoLeader`] when this member cannot say.
    pub fn keep_alive(&self, lease: &Recorded<Renewal>) -> Result<i64, Refused> {
        if lock(&self.shared.position).role != Role::Leader {
            return Err(Refused::NoLeader);
        }
        let now = self.shared.clock.monotonic().millis();
        let renewed = lock(&self.shared.leases).renew(lease.request().0, now);
        if renewed.is_some() {
            self.shared.counts.leases_renewed.inc();
        }
        renewed.ok_or(Refused::LeaseNotFound)
    }

    /// Whole seconds that a lease has left (0 when it has expired and its end is on its way), or nothing if it is unknown.
    pub fn lease_remaining_seconds(&self, lease: &Recorded<LeaseId>) -> Option<i64> {
        let now = self.shared.clock.monotonic().millis();
        lock(&self.shared.leases).remaining_seconds(*lease.request(), now)
    }

    /// Hands leadership to another voter; returns when that is under way.
    ///
    /// # Errors
    /// [`Refused::NoLeader`] when this member does not lead; [`Refused::Stopped`].
    pub fn transfer_leadership(&self, to: &Recorded<MemberId>) -> Result<(), Refused> {
        if lock(&self.shared.position).role != Role::Leader {
            return Err(Refused::NoLeader);
        }
        let transfer = Input::Transfer(*to.request());
        self.shared.inputs.push_urgent(transfer).map_err(|_| Refused::Stopped)
    }

    /// The member's condition.
    #[must_use]
    pub fn status(&self) -> Status {
        let shared = &self.shared;
        let position = *lock(&shared.position);
        Status {
            cluster: shared.cluster,
            member: shared.member,
            leader: position.leader,
            role: position.role,
            term: position.term,
            committed: position.commit,
            applied: LogIndex(shared.applied.load(Ordering::Acquire)),
            is_learner: false,
            proposals_pending: shared.pending.load(Ordering::Relaxed),
            proposals_failed: shared.failed.load(Ordering::Relaxed),
        }
    }

    /// What the member counts and measures.
    #[must_use]
    pub fn counts(&self) -> &Arc<Counts> {
        &self.shared.counts
    }

    /// What the cluster calls this member, if it has said so.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let membership = self.shared.reader.membership();
        membership
            .member(self.shared.member)
            .map(|member| member.name.clone())
            .filter(|name| !name.is_empty())
    }

    /// The access policy of the applied state: deciding needs no permission.
    #[must_use]
    pub fn policy(&self, base: state::auth::Base) -> state::auth::Policy {
        state::auth::Policy::new(base, &self.shared.reader)
    }

    /// The register of certificates, for the member's own authority: what is told of it to others is admitted before.
    pub fn look_at_certificates<T>(&self, look: impl FnOnce(&state::pki::Register) -> T) -> T {
        self.shared.reader.look_at_certificates(look)
    }

    /// The applied state, for gauges and for health: no request is behind it.
    #[must_use]
    pub fn gauges(&self) -> Gauges<'_> {
        Gauges(&self.shared.reader)
    }

    /// Stops the member: what was committed is applied and made durable, the rest refused. Returns when its threads have
    /// ended; a second call returns at once.
    pub fn stop(&self) {
        let threads = lock(&self.shared.threads).take();
        let Some(threads) = threads else { return };
        self.shared.ring();
        threads.join();
    }
}

/// Numbers about the state that need no permission: no key, no value.
pub struct Gauges<'a>(&'a state::Reader);

impl Gauges<'_> {
    /// The latest revision.
    #[must_use]
    pub fn revision(&self) -> types::Revision {
        self.0.revision()
    }

    /// The last compacted revision.
    #[must_use]
    pub fn compacted(&self) -> types::Revision {
        self.0.compacted()
    }

    /// What the store weighs.
    #[must_use]
    pub fn sizes(&self) -> state::outcome::Sizes {
        self.0.sizes()
    }

    /// How often the key space was read and written since the member serves.
    #[must_use]
    pub fn tally(&self) -> state::Tallied {
        self.0.tally()
    }

    /// Reads that hold a revision now.
    #[must_use]
    pub fn open_reads(&self) -> u64 {
        self.0.open_reads()
    }

    /// The alarms that stand.
    #[must_use]
    pub fn alarms(&self) -> Vec<state::command::Alarm> {
        self.0.alarms(state::command::AlarmKind::None)
    }

    /// How many leases there are.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.0.leases().len()
    }

    /// The revision of the access policy.
    #[must_use]
    pub fn auth_revision(&self) -> types::AuthRevision {
        self.0.look_at_accounts(|accounts| accounts.revision())
    }

    /// Whether access control is on, there is a root user, and it has the root role.
    #[must_use]
    pub fn first_user(&self) -> (bool, bool, bool) {
        self.0.look_at_accounts(|accounts| {
            let root = accounts.user(ROOT);
            (accounts.is_enabled(), root.is_some(), root.is_some_and(|root| root.has_role(ROOT)))
        })
    }

    /// Whether somebody can be an administrator without the cluster's own authority: by a password of root's, or as
    /// another user with the root role.
    #[must_use]
    pub fn has_other_administrators(&self) -> bool {
        self.0.look_at_accounts(|accounts| {
            accounts.users().any(|(name, user)| user.has_role(ROOT) && (name != ROOT || !user.no_password))
        })
    }

    /// What a user's password is compared with (nothing where there is none), and the policy's revision of which that is
    /// so; nothing at all while access control is off.
    #[must_use]
    pub fn password_of(&self, user: &str) -> Option<(types::AuthRevision, Option<PasswordHash>)> {
        self.0.look_at_accounts(|accounts| {
            let user = accounts.user(user).filter(|user| !user.no_password);
            let hash = user.map(|user| user.password.clone());
            accounts.is_enabled().then(|| (accounts.revision(), hash))
        })
    }

    /// The version that the cluster has agreed on.
    #[must_use]
    pub fn cluster_version(&self) -> Option<String> {
        self.0.membership().cluster_version().map(str::to_owned)
    }
}
