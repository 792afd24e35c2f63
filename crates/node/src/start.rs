//! Starting a member: what its data directory holds, put together, and its threads.
//!
//! Owns the order of things: the store at its checkpoint, the log after it, the first entries of a new cluster, and
//! the two acts with which a member announces itself. All is read before anything is changed, so a start that is refused
//! leaves the directory as it was. When [`start`] returns, the member serves.

use crate::apply::{Applier, Meter};
use crate::confchange;
use crate::core::Core;
use crate::counts::Counts;
use crate::error::Refused;
use crate::failure::Failure;
use crate::inbox::Inbox;
use crate::lease_clock::LeaseClock;
use crate::member::Member;
use crate::shared::{Release, Shared, Threads, lock};
use crate::threads::{
    ApplyThread, Chores, ConsensusThread, LogThread, OnFailure, Space, Stepper, run_checkpoints, run_chores,
    run_hub, wait_for_space,
};
use crate::tokens::Tokens;
use crate::watch::HubState;
use audit::Recorder;
use consensus::{ConfState, Consensus, EntryKind, Founder, HardState, LogRead, Position, Role, bootstrap};
use env::Env;
use state::auth::{Circumstances, Evidence, Policy};
use state::command::{Command, MemberAttributes};
use state::machine::Machine;
use state::membership;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use storage::{
    DataDir, Freshness, FreshnessMark, Log, LogBatch, LogOptions, LogReader, LogWriter, Recovered, Store,
    StoreOptions,
};
use types::limits::{
    APPLY_BATCHES_WAITING_MAX, CHECKPOINTS_WAITING_MAX, CHORES_WAITING_MAX, HUB_INPUTS_WAITING_MAX,
    PROPOSALS_WAITING_MAX,
};
use types::{LogIndex, MemberId, Term};

/// How a member runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name for people.
    pub name: String,
    /// Where the other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// A leader's heartbeat.
    pub tick: Duration,
    /// Heartbeats without a leader after which it wants to become one.
    pub election_ticks: usize,
    /// Largest entry, in bytes.
    pub request_bytes_max: usize,
    /// How often idle watchers that asked for it hear how far they are.
    pub progress_interval: Duration,
    /// A checkpoint is due after so many entries.
    pub checkpoint_entries: u64,
    /// Or after so many bytes of them.
    pub checkpoint_bytes: u64,
    /// Entries kept in the log below the checkpoint, for members that lag.
    pub log_entries_kept: u64,
    /// Bytes of the log that these may take.
    pub log_bytes_kept: u64,
    /// How long a token is good after its last use.
    pub token_life: Duration,
    /// The version that this member speaks (`3.7.0`).
    pub cluster_version: String,
    /// Bytes of values kept hot in memory.
    pub value_cache_bytes: u64,
    /// Where the mark lies by which an old copy of the data is known; none keeps no mark.
    pub mark: Option<PathBuf>,
    /// What to do when the data is older than its mark.
    pub rollback: Rollback,
    /// What to do when the data knows the member under another name.
    pub naming: Naming,
    /// Records removed in one step of a compaction; requests are served between two steps.
    pub compaction_records: usize,
    /// Sizes of the log.
    pub log: LogOptions,
    /// Sizes of the store.
    pub store: StoreOptions,
}

/// What to do when the data is older than its mark: an old copy was put back, or the end of the log is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollback {
    /// Refuse to start.
    Refuse,
    /// Start, and say so.
    Report,
}

/// What to do when the data knows the member under another name than the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The settings' name is announced, as etcd does.
    Announce,
    /// The data's name stays: nobody asked for another.
    Keep,
    /// Refuse to start: whoever named the member meant another one's data.
    Insist,
}

/// How long a member that is alone may take to lead and announce itself.
const ANNOUNCE: Duration = Duration::from_secs(30);
/// Between two tries of that, while nobody leads.
const PAUSE: Duration = Duration::from_millis(10);

/// Starts the member whose data is in `dir`. `on_failure` is called at most once, when it cannot go on; it then still
/// answers every request, with a refusal.
///
/// # Errors
/// The data is damaged or contradicts itself, or the disk fails.
pub fn start(
    settings: Settings,
    env: &Env,
    dir: &DataDir,
    on_failure: Box<dyn Fn(Failure) + Send + Sync>,
) -> Result<Member, Failure> {
    dir.keep_superseded_files();
    let store = Store::open(dir, settings.store)?;
    let conf_state = store.last_checkpoint().conf_state;
    let mut machine = Machine::open(store, settings.value_cache_bytes)?;
    for why in machine.passed_over() {
        tracing::warn!(why, "passed over the index of a segment, and read the segment instead");
    }
    let counts = Arc::new(Counts::default());
    let log = find_log(&settings, dir, &counts)?;
    let recovered = log.recovered();
    let mark = open_mark(&settings, dir, &recovered, &counts)?;
    // Everything was read and is to be gone on from; nothing was changed until here.
    machine.discard_leftovers()?;
    let (mut writer, reader) = log.go_on()?;
    tell_of_torn_tail(&recovered);
    let mut hard_state = recovered.hard_state;
    if machine.applied().0 > recovered.last {
        hard_state = begin_log_after(machine.applied(), hard_state, &mut writer)?;
    } else if recovered.last == LogIndex(0) {
        hard_state = found(&settings, dir, &mut writer, &reader)?;
    }
    let conf_state = match machine.applied().0 {
        LogIndex(0) => apply_founding(&mut machine, &reader)?,
        _ => ConfState::decode(conf_state)
            .ok_or_else(|| consensus::Error::Start("the checkpoint holds no configuration".into()))?,
    };
    let random = env.random.clone();
    let consensus = Consensus::new(
        consensus::Settings {
            member: dir.identity().member,
            election_ticks: settings.election_ticks,
            heartbeat_ticks: 1,
            hard_state,
            conf_state: conf_state.clone(),
            applied: machine.applied().0,
        },
        reader,
        Box::new(move || random.number()),
    )?;
    let log = Durable { writer, mark };
    let member = run(&settings, env, dir, machine, conf_state, consensus, log, counts, on_failure);
    if let Err(failure) = name(&member, &settings).and_then(|name| Ok(announce(&member, &settings, name)?)) {
        member.stop();
        return Err(failure);
    }
    // What was replayed from the log was counted in an earlier life.
    member.shared.reader.forget_tally();
    member.shared.counts.forget_leases();
    Ok(member)
}

/// The log's writer with the mark that follows it.
struct Durable {
    writer: LogWriter,
    mark: Option<FreshnessMark>,
}

/// Finds the log; where older data is accepted, also one that ends early, as in a copy that was made while a member wrote.
fn find_log(settings: &Settings, dir: &DataDir, counts: &Counts) -> Result<Log, Failure> {
    match (Log::find(dir, settings.log), settings.rollback) {
        (Err(damage @ storage::Error::Damaged { .. }), Rollback::Report) => {
            let found = Log::find_in_copy(dir, settings.log)?;
            counts.rollback_accepted.set(1);
            tracing::warn!(
                %damage,
                hint = "if the directory is no copy of a running member's, put a backup back",
                "a part of the log is missing: going on with what fits together"
            );
            Ok(found)
        }
        (found, _) => Ok(found?),
    }
}

fn tell_of_torn_tail(recovered: &Recovered) {
    if let Some(torn) = &recovered.torn_tail {
        tracing::warn!(
            file = %torn.path.display(),
            position = torn.position,
            bytes = torn.bytes,
            hint = "nothing to do after a sudden end: this was being written, and no client was told that it is kept",
            "cut the torn end of the log"
        );
    }
}

/// Opens the mark and holds the data against it, before the log goes on: its new segment would make the data newer than it is.
fn open_mark(
    settings: &Settings,
    dir: &DataDir,
    recovered: &Recovered,
    counts: &Counts,
) -> Result<Option<FreshnessMark>, Failure> {
    let Some(path) = settings.mark.clone() else { return Ok(None) };
    let (mark, freshness) = FreshnessMark::open(dir, recovered, path)?;
    match freshness {
        Freshness::Fresh | Freshness::Unmarked => {}
        Freshness::Unreadable(why) => {
            tracing::warn!(why, "the freshness mark cannot be read: rollback is not noticed")
        }
        Freshness::RolledBack { .. } if settings.rollback == Rollback::Refuse => {
            return Err(Failure::RolledBack);
        }
        Freshness::RolledBack { marked, found } => {
            counts.rollback_accepted.set(1);
            tracing::warn!(
                ?marked,
                ?found,
                hint = "nothing to do if you put this copy back; else find out who did, and put the newest one back",
                "the data is older than it was: a copy was put back, or its end is lost"
            );
        }
    }
    Ok(Some(mark))
}

/// The store is ahead of the log, as in a copy whose files were taken at different moments: it counts as an installed
/// snapshot, and the log begins anew after it. The hard state is written first, so that no crash leaves a log whose term
/// is older than its first entry's.
fn begin_log_after(
    applied: (LogIndex, Term),
    found: HardState,
    writer: &mut LogWriter,
) -> Result<HardState, Failure> {
    let (index, term) = applied;
    tracing::warn!(
        log_ends = %writer.reader().last_index(),
        store_ends = %index,
        "the log ends before the store: going on after the store, as from a snapshot"
    );
    let vote = if term > found.term { MemberId(0) } else { found.vote };
    let hard_state = HardState { term: term.max(found.term), vote, commit: index };
    writer.append(LogBatch { hard_state: Some(hard_state), ..LogBatch::default() })?;
    writer.reset(index, term)?;
    Ok(hard_state)
}

/// Writes the first entries of a new cluster: this member founds it alone.
fn found(
    settings: &Settings,
    dir: &DataDir,
    writer: &mut LogWriter,
    reader: &LogReader,
) -> Result<HardState, Failure> {
    let founder = membership::Member {
        id: dir.identity().member,
        name: settings.name.clone(),
        peer_urls: settings.peer_urls.clone(),
        client_urls: Vec::new(),
        is_learner: false,
    };
    let context = confchange::bootstrap_context(&founder);
    let (entries, hard_state, _) = bootstrap(vec![Founder { id: founder.id, context }]);
    reader.stage(&entries);
    writer.append(LogBatch { hard_state: Some(hard_state), entries: &entries, audit: &[] })?;
    writer.sync()?;
    Ok(hard_state)
}

/// Applies the founding entries, which every start before the first checkpoint does anew; answers the configuration
/// that they lead to.
fn apply_founding(machine: &mut Machine, log: &LogReader) -> Result<ConfState, Failure> {
    let mut founders = Vec::new();
    let mut next = LogIndex(1);
    while next <= log.last_index() {
        let entries = log.entries(next, next.next(), u64::MAX).map_err(|error| {
            consensus::Error::Start(format!("the founding entry {next} cannot be read: {error}"))
        })?;
        let Some(entry) = entries.into_iter().next() else { break };
        if entry.kind != EntryKind::ConfChange || entry.term != Term(1) {
            break;
        }
        if let Some(change) = confchange::decode(entry.kind, &entry.data)? {
            founders.push(change.id());
            if let Err(refusal) = machine.change_membership(entry.index, entry.term, change)? {
                return Err(consensus::Error::Start(format!("the founding entry {next}: {refusal}")).into());
            }
        }
        next = next.next();
    }
    Ok(ConfState::of_voters(founders))
}

#[allow(clippy::too_many_arguments, reason = "the parts of a member, each made by the caller")]
fn run(
    settings: &Settings,
    env: &Env,
    dir: &DataDir,
    mut machine: Machine,
    conf_state: ConfState,
    consensus: Consensus<LogReader>,
    log: Durable,
    counts: Arc<Counts>,
    on_failure: Box<dyn Fn(Failure) + Send + Sync>,
) -> Member {
    let inputs = Arc::new(Inbox::new(PROPOSALS_WAITING_MAX));
    let (to_apply, apply_inputs) = sync_channel(APPLY_BATCHES_WAITING_MAX);
    let (to_hub, hub_inputs) = sync_channel(HUB_INPUTS_WAITING_MAX);
    let (to_checkpoints, checkpoint_inputs) = sync_channel(CHECKPOINTS_WAITING_MAX);
    let (to_chores, chore_inputs) = sync_channel(CHORES_WAITING_MAX);
    let (chore_done, chores_done) = sync_channel(CHORES_WAITING_MAX);
    let reader = machine.reader();
    let hub = HubState::new(reader.clone(), millis(settings.progress_interval));
    let applied = machine.applied().0;
    let shared = Arc::new(Shared {
        cluster: dir.identity().cluster,
        member: dir.identity().member,
        request_bytes_max: settings.request_bytes_max,
        leases: Mutex::new(rearmed(&reader, env)),
        reader,
        clock: env.clock.clone(),
        inputs: inputs.clone(),
        hub: to_hub.clone(),
        position: Mutex::new(Position { role: Role::Follower, leader: None, term: Term(0), commit: applied }),
        applied: AtomicU64::new(applied.0),
        generation: AtomicU64::new(0),
        release: Mutex::default(),
        next_request: AtomicU64::new(first_request(dir, env)),
        next_stream: AtomicU64::new(1),
        open_streams: Arc::default(),
        tokens: Mutex::new(Tokens::new(millis(settings.token_life))),
        policy_listeners: Mutex::default(),
        certificate_listeners: Mutex::default(),
        pending: AtomicUsize::new(0),
        pending_bytes: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        broken: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        full_disk: AtomicBool::new(false),
        store_waits: AtomicBool::new(false),
        bell: (Mutex::default(), Condvar::default()),
        threads: Mutex::new(None),
        counts: counts.clone(),
    });
    let on_failure = once(shared.clone(), on_failure);
    let stepper = Arc::new(Stepper::new(Core::new(consensus), shared.clone(), to_apply));
    let consensus_thread = ConsensusThread {
        stepper: stepper.clone(),
        shared: shared.clone(),
        inputs: inputs.clone(),
        tick: settings.tick,
    };
    let space = Space {
        disk: env.disk.clone(),
        path: dir.path().to_owned(),
        superseded: machine.superseded_files(),
        least: settings.store.segment_bytes,
    };
    let log_thread = LogThread {
        writer: log.writer,
        mark: log.mark,
        space,
        shared: shared.clone(),
        inputs,
        stepper,
        is_unmarked: false,
        released: Release::default(),
        bytes_kept: settings.log_bytes_kept,
    };
    machine.when_full(wait_for_space(shared.clone()));
    let apply_thread = ApplyThread {
        applier: Applier::new(
            machine,
            conf_state.encode(),
            Meter { clock: env.clock.clone(), counts: counts.clone() },
            settings.compaction_records,
        ),
        shared: shared.clone(),
        inputs: apply_inputs,
        hub: to_hub,
        checkpoints: to_checkpoints,
        chores: Chores::new(to_chores, chores_done),
        checkpoint_entries: settings.checkpoint_entries,
        checkpoint_bytes: settings.checkpoint_bytes,
        checkpointed: applied,
        compacting_since: None,
    };
    let (on_checkpoint, on_chore) = (shared.clone(), shared.clone());
    let (kept, clock) = (settings.log_entries_kept, env.clock.clone());
    let failures: [OnFailure; 5] = std::array::from_fn(|_| on_failure.clone());
    let [f1, f2, f3, f4, f5] = failures;
    let threads = vec![
        spawn("consensus", move || consensus_thread.run(&f1)),
        spawn("log", move || log_thread.run(&f2)),
        spawn("apply", move || apply_thread.run(&f3)),
        spawn("checkpoint", move || run_checkpoints(&checkpoint_inputs, kept, &on_checkpoint, &f4)),
        spawn("chores", move || run_chores(&chore_inputs, &chore_done, &on_chore, &f5)),
        spawn("watch", move || run_hub(hub, &hub_inputs, &*clock, &counts)),
    ];
    *lock(&shared.threads) = Some(Threads(threads));
    Member { shared }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .expect("a process that has just started may start its six threads")
}

/// Only the first failure is told: the others follow from it.
fn once(shared: Arc<Shared>, on_failure: Box<dyn Fn(Failure) + Send + Sync>) -> OnFailure {
    Arc::new(move |failure| {
        if !shared.broken.swap(true, Ordering::AcqRel) {
            on_failure(failure);
        }
    })
}

/// Every lease gets its whole (or last replicated) life again: nobody renewed while no member led.
fn rearmed(reader: &state::Reader, env: &Env) -> LeaseClock {
    let now = env.clock.monotonic().millis();
    let mut clock = LeaseClock::default();
    for (id, ttl, remaining) in reader.leases() {
        clock.start(id, ttl, if remaining > 0 { remaining } else { ttl }, now);
    }
    clock
}

/// The first request id of this life: no other member's and no earlier life's, as etcd composes it (member, time, count).
fn first_request(dir: &DataDir, env: &Env) -> u64 {
    let member = dir.identity().member.0 << 48;
    let since_epoch = env.clock.wall().unix_nanos() / 1_000_000;
    member | ((since_epoch << 8) & 0x0000_ffff_ffff_ff00)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Tells the cluster this member's name and client URLs, and the version if none was agreed; answered, these show that
/// the member leads and everything before is applied.
fn announce(member: &Member, settings: &Settings, name: String) -> Result<(), Refused> {
    let attributes =
        MemberAttributes { member: member.shared.member, name, client_urls: settings.client_urls.clone() };
    act(member, &Command::MemberAttributesSet(attributes))?;
    if member.shared.reader.membership().cluster_version().is_none() {
        act(member, &Command::ClusterVersionSet(settings.cluster_version.clone()))?;
    }
    Ok(())
}

/// The name to announce: what the whole log says, not only the checkpoint, against the settings.
fn name(member: &Member, settings: &Settings) -> Result<String, Failure> {
    let given = || settings.name.clone();
    if settings.naming == Naming::Announce {
        return Ok(given());
    }
    patiently(member, |done| {
        member.read_barrier(Box::new(move |answer| {
            let _ = done.send(answer);
        }));
    })?;
    match (member.name(), settings.naming) {
        (Some(recorded), Naming::Insist) if recorded != settings.name => {
            Err(Failure::OtherName { recorded, given: given() })
        }
        (Some(recorded), Naming::Keep) => Ok(recorded),
        _ => Ok(given()),
    }
}

/// Carries out an act of the member's own.
fn act(member: &Member, command: &Command) -> Result<(), Refused> {
    let policy = Policy::of_the_member();
    let system = policy.principal(&Evidence::Member, Circumstances::default());
    patiently(member, |done| {
        let authorized = policy
            .authorize(&system, command.clone())
            .expect("the member itself may do everything; its principal is made above");
        let reply = Box::new(move |answer: Result<_, Refused>| {
            let _ = done.send(answer.map(|_| ()));
        });
        member.propose(Recorder::empty().record(authorized), reply);
    })
}

/// Tries again while nobody leads yet.
fn patiently(
    member: &Member,
    attempt: impl Fn(std::sync::mpsc::SyncSender<Result<(), Refused>>),
) -> Result<(), Refused> {
    let began = member.shared.clock.monotonic();
    loop {
        let (done, answer) = sync_channel(1);
        attempt(done);
        let answer = answer.recv_timeout(ANNOUNCE).unwrap_or(Err(Refused::TimedOut));
        let waited = member.shared.clock.monotonic().since(began);
        match answer {
            Err(Refused::NoLeader | Refused::TooManyRequests) if waited < ANNOUNCE => {
                member.shared.pause(PAUSE);
            }
            answer => return answer,
        }
    }
}
