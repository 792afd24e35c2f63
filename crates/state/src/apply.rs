//! One committed entry becomes effects and an outcome: the whole of it on this page.
//!
//! Deterministic: the same entries give the same effects on every member. Nothing of time, chance, sizes on disk or the
//! member itself is looked at. Source: etcd's `etcdserver/apply` (`uber_applier`, `capped`, `corrupt`, `backend`).

use crate::auth::Actor;
use crate::changes::LeaseChange;
use crate::command::*;
use crate::error::{Error, Refusal};
use crate::machine::Machine;
use crate::mvcc::txn::{self, Path};
use crate::mvcc::view::View;
use crate::mvcc::writing::Writing;
use crate::outcome::{Applied, Outcome};
use crate::record::Record;
use crate::tally::Part;
use crate::{lock, quota, shared};
use types::{LeaseId, LogIndex, Term};

impl Machine {
    /// Applies one committed entry of the member's own; one that took effect before is passed over.
    ///
    /// # Errors
    /// Only when the member cannot go on; a refusal is in [`Applied`].
    pub fn apply(&mut self, index: LogIndex, term: Term, command: Command) -> Result<Applied, Error> {
        self.apply_for(index, term, &Actor::system(), command)
    }

    /// Applies one committed entry that `actor` proposed; one that took effect before is passed over.
    ///
    /// # Errors
    /// Only when the member cannot go on; a refusal is in [`Applied`].
    pub fn apply_for(
        &mut self,
        index: LogIndex,
        term: Term,
        actor: &Actor,
        command: Command,
    ) -> Result<Applied, Error> {
        let done = self.entry(index, term, |machine| {
            machine.refuse_by_alarm(&command)?;
            machine.refuse_by_policy(actor, &command).map_err(Refusal::Denied)?;
            machine.dispatch(index, command)
        })?;
        Ok(Applied {
            revision: self.shared.space.horizon.current(),
            result: done.unwrap_or(Ok(Outcome::Nothing)),
        })
    }

    /// What standing alarms forbid; the gravest first.
    fn refuse_by_alarm(&self, command: &Command) -> Result<(), Refusal> {
        let alarms = lock::read(&self.shared.alarms);
        let stands = |kind| alarms.iter().any(|alarm| alarm.kind == kind);
        match command {
            Command::Put(_)
            | Command::DeleteRange(_)
            | Command::Txn(_)
            | Command::Compact(_)
            | Command::LeaseGrant(_)
            | Command::LeaseRevoke(_)
                if stands(AlarmKind::Corrupt) =>
            {
                Err(Refusal::Corrupt)
            }
            command if quota::cost(command) > 0 && stands(AlarmKind::NoSpace) => Err(Refusal::NoSpace),
            _ => Ok(()),
        }
    }

    fn dispatch(&mut self, index: LogIndex, command: Command) -> Result<Outcome, Error> {
        match command {
            Command::Put(put) => self.put(&put),
            Command::DeleteRange(delete) => {
                self.write(|w| txn::execute_delete(w, &delete).map(Outcome::DeleteRange))
            }
            Command::Txn(txn) => self.txn(&txn),
            Command::Compact(compact) => self.compact(compact),
            Command::LeaseGrant(grant) => self.grant(grant),
            Command::LeaseRevoke(id) => self.revoke(id),
            Command::LeaseCheckpoint(leases) => self.checkpoint_leases(&leases),
            Command::Alarm(change) => self.alarm(change),
            Command::Access(change) => self.change_access(change),
            Command::Certificates(change) => self.change_certificates(change),
            Command::Authenticate(ask) => self.authenticate(index, ask),
            Command::ClusterVersionSet(version) => self.set_cluster_version(version),
            Command::MemberAttributesSet(attributes) => self.describe_member(&attributes),
            Command::DowngradeSet(target) => self.set_downgrade(target),
            Command::Nothing => Ok(Outcome::Nothing),
        }
    }

    /// Writes one revision.
    fn write<T>(&mut self, act: impl FnOnce(&mut Writing<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let mut writing = Writing::begin(&self.shared.space, &self.shared.leases, &mut self.journal);
        let outcome = act(&mut writing);
        let refused = matches!(outcome, Err(Error::Refused(_)));
        assert!(
            !refused || writing.is_unwritten(),
            "an entry is refused before its first write or not at all"
        );
        let outcome = outcome?;
        writing.finish(&mut self.changes);
        Ok(outcome)
    }

    fn view(&self) -> View<'_> {
        View::writer(&self.shared.space, self.shared.space.horizon.current())
    }

    fn put(&mut self, put: &Put) -> Result<Outcome, Error> {
        let mut part = Part::default();
        let checked = txn::check_put(self.view(), &lock::read(&self.shared.leases), put, &mut part);
        // What a put that can be done looks at is counted as it is done.
        checked.inspect_err(|_| self.shared.space.tally.add(part))?;
        self.write(|w| txn::execute_put(w, put).map(Outcome::Put))
    }

    fn txn(&mut self, txn: &Txn) -> Result<Outcome, Error> {
        let mut part = Part::default();
        let path = Path::choose(self.view(), txn, &mut part)?;
        let leases = lock::read(&self.shared.leases);
        let checked = txn::check(self.view(), &leases, txn, &path, &mut part);
        drop(leases);
        self.shared.space.tally.add(part);
        checked?;
        self.write(|w| txn::execute(w, txn, &path).map(Outcome::Txn))
    }

    fn compact(&mut self, compact: Compact) -> Result<Outcome, Error> {
        let previous = self.shared.space.horizon.compact(compact.revision)?;
        self.journal.append(&Record::Compaction(compact.revision))?;
        self.compactions.schedule(compact.revision, previous);
        self.changes.compacted = Some(compact.revision);
        // etcd learns the revision for its answer by a range.
        self.shared.space.tally.add(Part::RANGE);
        Ok(Outcome::Compact)
    }

    fn grant(&mut self, LeaseGrant { id, ttl_seconds }: LeaseGrant) -> Result<Outcome, Error> {
        lock::read(&self.shared.leases).check_grant(id, ttl_seconds)?;
        self.set_lease(id, ttl_seconds, 0)?;
        self.changes.leases.push(LeaseChange::Granted { id, ttl_seconds });
        Ok(Outcome::LeaseGrant { id, ttl_seconds })
    }

    fn revoke(&mut self, id: LeaseId) -> Result<Outcome, Error> {
        let lease = lock::read(&self.shared.leases).get(id).cloned().ok_or(Refusal::LeaseNotFound(id))?;
        self.write(|w| {
            lease.keys.into_iter().try_for_each(|key| w.delete_range(&types::KeyRange::single(key)).map(drop))
        })?;
        self.journal.append(&Record::LeaseGone(id))?;
        lock::write(&self.shared.leases).remove(id);
        self.changes.leases.push(LeaseChange::Revoked(id));
        Ok(Outcome::LeaseRevoke)
    }

    fn checkpoint_leases(&mut self, leases: &[LeaseRemaining]) -> Result<Outcome, Error> {
        for LeaseRemaining { id, remaining_seconds } in leases.iter().copied() {
            let known = lock::read(&self.shared.leases).get(id).map(|lease| lease.ttl_seconds);
            if let Some(ttl_seconds) = known {
                self.set_lease(id, ttl_seconds, remaining_seconds)?;
                self.changes.leases.push(LeaseChange::Checkpointed { id, remaining_seconds });
            }
        }
        Ok(Outcome::Nothing)
    }

    fn set_lease(&mut self, id: LeaseId, ttl_seconds: i64, remaining_seconds: i64) -> Result<(), Error> {
        self.journal.append(&Record::Lease { id, ttl_seconds, remaining_seconds })?;
        lock::write(&self.shared.leases).set(id, ttl_seconds, remaining_seconds);
        Ok(())
    }

    fn alarm(&mut self, AlarmChange { action, alarm }: AlarmChange) -> Result<Outcome, Error> {
        let stands = lock::read(&self.shared.alarms).contains(&alarm);
        match action {
            AlarmAction::List => {
                return Ok(Outcome::Alarm(shared::alarms_of(&lock::read(&self.shared.alarms), alarm.kind)));
            }
            AlarmAction::Raise if alarm.kind == AlarmKind::None => return Ok(Outcome::Alarm(Vec::new())),
            AlarmAction::Raise if stands => {}
            AlarmAction::Raise => {
                self.journal.append(&Record::Alarm(alarm))?;
                lock::write(&self.shared.alarms).insert(alarm);
                self.changes.alarms = true;
            }
            AlarmAction::Clear if !stands => return Ok(Outcome::Alarm(Vec::new())),
            AlarmAction::Clear => {
                self.journal.append(&Record::AlarmGone(alarm))?;
                lock::write(&self.shared.alarms).remove(&alarm);
                self.changes.alarms = true;
            }
        }
        Ok(Outcome::Alarm(vec![alarm]))
    }
}
