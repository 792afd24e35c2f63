//! The whole state as a file of etcd's own format: what `etcdctl snapshot save` saves and etcd's tools restore.
//!
//! Owns which bucket holds what (etcd's `storage/schema`) and how the file is cut into messages. The layout of pages is
//! `bbolt`'s. The file is made at one revision, in memory (see `SNAPSHOT_FILE_BYTES_MAX`), and leaves it as it is sent.
//!
//! ```text
//! stream   chunks of 32 KiB · last the SHA-256 of all before; each with the bytes that remain and the storage version
//! key      revision (main u64 BE · '_' · sub u64 BE · 't' for a deletion) → KeyValue
//! lease    id u64 BE → Lease          alarm    AlarmMember → nothing
//! members  id in hex → JSON           members_removed  id in hex → "removed"
//! auth     authEnabled, authRevision                authUsers, authRoles  name → User, Role
//! cluster  clusterVersion, downgrade  meta     consistent_index, term, confState, storageVersion, …CompactRev
//! ```
//!
//! The file is in the clear, as etcd's is, and holds the hashes of passwords; only the administrator gets it. A hash of ours
//! (argon2id) is none to etcd: who has one there needs a new password.

use super::Services;
use super::requests::Act;
use super::standing::Standing;
use super::status::Failure;
use audit::Recorded;
use aws_lc_rs::digest;
use bbolt::Writer;
use env::Monotonic;
use prost::Message;
use proto::authpb;
use proto::etcdserverpb as pb;
use serde_json::json;
use state::Reader;
use state::auth::{Accounts, Role, User};
use state::command::AlarmKind;
use state::membership::Member;
use state::outcome::{CopiedFacts, EventKind};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio_stream::Stream;
use tonic::{Code, Status};
use types::limits::{SNAPSHOT_CHUNK_BYTES, SNAPSHOT_FILE_BYTES_MAX, SNAPSHOTS_AT_ONCE_MAX};
use types::{ModRevision, Revision};

/// One for the process, whose memory it guards.
static PLACES: Semaphore = Semaphore::const_new(SNAPSHOTS_AT_ONCE_MAX);

/// Where the log stood, and what the stored form is called.
struct Stand {
    applied: u64,
    term: u64,
    storage_version: String,
}

/// etcd's record of a lease (`lease/leasepb/lease.proto`).
#[derive(Clone, PartialEq, Message)]
struct LeaseRecord {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(int64, tag = "2")]
    ttl_seconds: i64,
    #[prost(int64, tag = "3")]
    remaining_seconds: i64,
}

/// Makes the file on a thread that may block, and answers the stream of it.
pub(super) async fn send(
    services: &Services,
    standing: Standing,
    asked: Recorded<Act>,
) -> Result<Snapshot, Failure> {
    let place = PLACES.try_acquire().map_err(|_| busy())?;
    let (began, status) = (services.now(), services.member().status());
    let stand = Stand {
        applied: status.applied.0,
        term: status.term.0,
        storage_version: services.context.versions.storage.clone(),
    };
    let version = stand.storage_version.clone();
    let reader = services.inspect(&asked).clone();
    let (wanted, _still_wanted) = oneshot::channel::<()>();
    let made = tokio::task::spawn_blocking(move || make(&reader, &stand, &wanted).map(|file| (file, place)));
    let (file, place) = made.await.map_err(|_| Failure::Stopped)??;
    tracing::info!(bytes = file.remaining_bytes(), "sending a snapshot in etcd's format");
    Ok(Snapshot {
        remaining: file.remaining_bytes(),
        rest: Rest::Pages(file),
        cut: Vec::new(),
        hash: digest::Context::new(&digest::SHA256),
        version,
        began,
        services: services.clone(),
        standing,
        _place: place,
    })
}

fn busy() -> Failure {
    let text =
        format!("strongroom: {SNAPSHOTS_AT_ONCE_MAX} snapshots are under way; try again when one has ended");
    Failure::Other(Code::ResourceExhausted, Cow::Owned(text))
}

fn unwritable(error: bbolt::Error) -> Failure {
    let code = match error {
        bbolt::Error::TooLarge { .. } => Code::ResourceExhausted,
        _ => Code::Internal,
    };
    tracing::error!(%error, "a snapshot could not be made");
    Failure::Other(code, Cow::Owned(format!("strongroom: snapshot: {error}")))
}

/// The file; given up when nobody waits for it any more.
fn make(reader: &Reader, stand: &Stand, wanted: &oneshot::Sender<()>) -> Result<bbolt::File, Failure> {
    let mut writer = Writer::new(SNAPSHOT_FILE_BYTES_MAX);
    let mut keys = writer.bucket(b"key").map_err(unwritable)?;
    let facts = reader.copy::<Failure>(|at, kind, pair| {
        if wanted.is_closed() {
            return Err(Failure::Canceled);
        }
        keys.put(&revision_key(at, kind), &pair.0).map_err(unwritable)
    })?;
    keys.finish().map_err(unwritable)?;
    for (name, pairs) in buckets(&facts, stand) {
        let mut bucket = writer.bucket(name.as_bytes()).map_err(unwritable)?;
        for (key, value) in pairs {
            bucket.put(&key, &value).map_err(unwritable)?;
        }
        bucket.finish().map_err(unwritable)?;
    }
    writer.finish().map_err(unwritable)
}

fn revision_key(at: ModRevision, kind: EventKind) -> Vec<u8> {
    let mut key = Vec::with_capacity(18);
    key.extend_from_slice(&at.main.0.to_be_bytes());
    key.push(b'_');
    key.extend_from_slice(&u64::from(at.sub).to_be_bytes());
    if kind == EventKind::Delete {
        key.push(b't');
    }
    key
}

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// All buckets but that of the keys; etcd wants each of them to be there.
fn buckets(facts: &CopiedFacts, stand: &Stand) -> [(&'static str, Pairs); 9] {
    [
        ("alarm", alarms(facts)),
        ("auth", policy(&facts.accounts)),
        ("authRoles", roles(&facts.accounts)),
        ("authUsers", users(&facts.accounts)),
        ("cluster", cluster(facts)),
        ("lease", leases(facts)),
        ("members", facts.membership.members().map(member).collect()),
        ("members_removed", removed(facts)),
        ("meta", meta(facts, stand)),
    ]
}

fn policy(accounts: &Accounts) -> Pairs {
    Pairs::from([
        (b"authEnabled".to_vec(), vec![u8::from(accounts.is_enabled())]),
        (b"authRevision".to_vec(), accounts.revision().0.to_be_bytes().to_vec()),
    ])
}

fn users(accounts: &Accounts) -> Pairs {
    let record = |(name, user): (&str, &User)| {
        let record = authpb::User {
            name: name.as_bytes().to_vec().into(),
            password: user.password.as_bytes().to_vec().into(),
            roles: user.roles.clone(),
            options: Some(authpb::UserAddOptions { no_password: user.no_password }),
        };
        (name.into(), record.encode_to_vec())
    };
    accounts.users().map(record).collect()
}

fn roles(accounts: &Accounts) -> Pairs {
    let record = |(name, role): (&str, &Role)| {
        let key_permission = role.permissions.iter().map(node::own_messages::permission_to).collect();
        let record = authpb::Role { name: name.as_bytes().to_vec().into(), key_permission };
        (name.into(), record.encode_to_vec())
    };
    accounts.roles().map(record).collect()
}

fn alarms(facts: &CopiedFacts) -> Pairs {
    let record = |alarm: &state::command::Alarm| {
        let kind = match alarm.kind {
            AlarmKind::None => pb::AlarmType::None,
            AlarmKind::NoSpace => pb::AlarmType::Nospace,
            AlarmKind::Corrupt => pb::AlarmType::Corrupt,
        };
        pb::AlarmMember { member_id: alarm.member.0, alarm: kind as i32 }.encode_to_vec()
    };
    facts.alarms.iter().map(|alarm| (record(alarm), Vec::new())).filter(|(key, _)| !key.is_empty()).collect()
}

fn cluster(facts: &CopiedFacts) -> Pairs {
    let mut pairs = Pairs::new();
    if let Some(version) = facts.membership.cluster_version() {
        pairs.insert(b"clusterVersion".to_vec(), version.into());
    }
    if let Some(target) = facts.membership.downgrade_target() {
        let downgrade = json!({ "target-version": target, "enabled": true });
        pairs.insert(b"downgrade".to_vec(), downgrade.to_string().into());
    }
    pairs
}

fn leases(facts: &CopiedFacts) -> Pairs {
    let record = |&(id, ttl_seconds, remaining_seconds): &(types::LeaseId, i64, i64)| {
        let record = LeaseRecord { id: id.0, ttl_seconds, remaining_seconds };
        (id.0.to_be_bytes().to_vec(), record.encode_to_vec())
    };
    facts.leases.iter().map(record).collect()
}

fn member(member: &Member) -> (Vec<u8>, Vec<u8>) {
    let mut fields = json!({ "id": member.id.0, "peerURLs": member.peer_urls });
    if member.is_learner {
        fields["isLearner"] = json!(true);
    }
    if !member.name.is_empty() {
        fields["name"] = json!(member.name);
    }
    if !member.client_urls.is_empty() {
        fields["clientURLs"] = json!(member.client_urls);
    }
    (format!("{:x}", member.id.0).into(), fields.to_string().into())
}

fn removed(facts: &CopiedFacts) -> Pairs {
    facts.membership.removed().map(|id| (format!("{:x}", id.0).into(), b"removed".to_vec())).collect()
}

fn meta(facts: &CopiedFacts, stand: &Stand) -> Pairs {
    let (learners, voters): (Vec<_>, Vec<_>) = facts.membership.members().partition(|m| m.is_learner);
    let ids = |members: Vec<&Member>| members.iter().map(|m| m.id.0).collect::<Vec<_>>();
    let conf_state = json!({ "voters": ids(voters), "learners": ids(learners), "auto_leave": false });
    let mut pairs = Pairs::from([
        (b"consistent_index".to_vec(), stand.applied.to_be_bytes().to_vec()),
        (b"term".to_vec(), stand.term.to_be_bytes().to_vec()),
        (b"confState".to_vec(), conf_state.to_string().into()),
        (b"storageVersion".to_vec(), stand.storage_version.clone().into()),
    ]);
    if facts.compacted >= Revision::ZERO {
        // The file holds what the compaction leaves: it was scheduled, and is finished.
        let at = revision_key(ModRevision::new(facts.compacted, 0), EventKind::Put);
        pairs.insert(b"scheduledCompactRev".to_vec(), at.clone());
        pairs.insert(b"finishedCompactRev".to_vec(), at);
    }
    pairs
}

/// The messages of one snapshot.
pub(super) struct Snapshot {
    rest: Rest,
    /// Bytes taken from the file that are not a whole chunk yet.
    cut: Vec<u8>,
    remaining: u64,
    hash: digest::Context,
    version: String,
    began: Monotonic,
    services: Services,
    standing: Standing,
    _place: SemaphorePermit<'static>,
}

impl Drop for Snapshot {
    /// Sent, or given up: that is how long it took.
    fn drop(&mut self) {
        let took = self.services.now().since(self.began);
        self.services.context.metrics.backend_snapshot_duration.observe_duration(took);
    }
}

enum Rest {
    Pages(bbolt::File),
    Nothing,
}

impl Snapshot {
    fn message(&self, blob: Vec<u8>) -> pb::SnapshotResponse {
        let (remaining_bytes, version) = (self.remaining, self.version.clone());
        pb::SnapshotResponse { header: None, remaining_bytes, blob: blob.into(), version }
    }

    fn next(&mut self) -> Option<pb::SnapshotResponse> {
        let Rest::Pages(pages) = &mut self.rest else { return None };
        while self.cut.len() < SNAPSHOT_CHUNK_BYTES {
            match pages.next() {
                Some(page) => self.cut.extend_from_slice(&page),
                None => break,
            }
        }
        if self.cut.is_empty() {
            self.rest = Rest::Nothing;
            return Some(self.message(self.hash.clone().finish().as_ref().to_vec()));
        }
        let len = self.cut.len().min(SNAPSHOT_CHUNK_BYTES);
        let blob: Vec<u8> = self.cut.drain(..len).collect();
        self.remaining = self.remaining.saturating_sub(blob.len() as u64);
        self.hash.update(&blob);
        Some(self.message(blob))
    }
}

impl Stream for Snapshot {
    type Item = Result<pb::SnapshotResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Err(failure) = self.standing.check_if_changed(&Act::Snapshot) {
            self.rest = Rest::Nothing;
            return Poll::Ready(Some(Err(failure.into())));
        }
        Poll::Ready(self.next().map(Ok))
    }
}
