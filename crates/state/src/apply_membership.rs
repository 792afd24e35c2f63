//! The part of apply that changes who is a member and what versions the cluster agreed on.
//!
//! Configuration entries come through [`Machine::change_membership`], after consensus has taken them; what members say of
//! themselves comes as commands. Source: etcd's `etcdserver/api/membership/cluster.go`.

use crate::command::MemberAttributes;
use crate::error::{Error, Refusal};
use crate::lock;
use crate::machine::Machine;
use crate::membership::{Member, MembershipChange};
use crate::outcome::Outcome;
use crate::record::Record;
use types::{LogIndex, MemberId, Term};

impl Machine {
    /// Applies one committed configuration entry. A refused change leaves the membership as it is, and consensus must
    /// then be told not to change its configuration either; one that took effect before is passed over.
    ///
    /// # Errors
    /// Only when the member cannot go on.
    pub fn change_membership(
        &mut self,
        index: LogIndex,
        term: Term,
        change: MembershipChange,
    ) -> Result<Result<(), Refusal>, Error> {
        let done = self.entry(index, term, |machine| {
            lock::read(&machine.shared.membership).check(&change)?;
            let changed = lock::read(&machine.shared.membership).changed(&change);
            match changed {
                Some(member) => machine.set_member(member),
                None => machine.remove_member(change.id()),
            }
        })?;
        Ok(done.unwrap_or(Ok(())))
    }

    fn set_member(&mut self, member: Member) -> Result<(), Error> {
        self.journal.append(&Record::Member(member.clone()))?;
        lock::write(&self.shared.membership).set(member);
        self.changes.membership = true;
        Ok(())
    }

    fn remove_member(&mut self, id: MemberId) -> Result<(), Error> {
        self.journal.append(&Record::MemberGone(id))?;
        lock::write(&self.shared.membership).remove(id);
        self.changes.membership = true;
        Ok(())
    }

    pub(crate) fn describe_member(&mut self, attributes: &MemberAttributes) -> Result<Outcome, Error> {
        let described = lock::read(&self.shared.membership).described(attributes);
        if let Some(member) = described {
            self.set_member(member)?;
        }
        Ok(Outcome::Nothing)
    }

    pub(crate) fn set_cluster_version(&mut self, version: String) -> Result<Outcome, Error> {
        self.journal.append(&Record::ClusterVersion(version.clone()))?;
        lock::write(&self.shared.membership).set_cluster_version(version);
        self.changes.membership = true;
        Ok(Outcome::Nothing)
    }

    pub(crate) fn set_downgrade(&mut self, target: Option<String>) -> Result<Outcome, Error> {
        let target = target.filter(|target| !target.is_empty());
        self.journal.append(&Record::Downgrade(target.clone()))?;
        lock::write(&self.shared.membership).set_downgrade_target(target);
        self.changes.membership = true;
        Ok(Outcome::Nothing)
    }
}
