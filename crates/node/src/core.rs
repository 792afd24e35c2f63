//! Consensus with its log: the first step machine of a member. Proposals, ticks and completed writes in; one write to
//! the log, one batch to apply, and the member's position out.
//!
//! Owns the raft state machine and what waits to be written. At most one write is out at a time: what is proposed
//! meanwhile goes into the next, so one sync covers all that waited. Never writes, syncs or waits itself.
//!
//! Invariants: entries reach apply in log order, and only when the write that holds them is durable; the audit intent of
//! a proposal is in the same write as its entry, or an earlier one.

use crate::batch::{Batch, Committed};
use crate::error::Refused;
use crate::failure::Failure;
use crate::proposal::{Proposal, Proposed, Reply};
use bytes::Bytes;
use consensus::{Consensus, EntryKind, Error, LogRead, Position, Role};
use types::{LogIndex, MemberId};

/// What is to be written to the log, and whether it counts only when synced.
pub(crate) struct Write {
    pub number: u64,
    pub hard_state: Option<consensus::HardState>,
    pub entries: Vec<consensus::Entry>,
    pub intents: Vec<Bytes>,
    pub must_sync: bool,
}

/// What a step leads to.
#[derive(Default)]
pub(crate) struct Effects {
    pub write: Option<Write>,
    pub apply: Option<Batch>,
}

/// The consensus half of a member.
pub(crate) struct Core<L: LogRead> {
    consensus: Consensus<L>,
    writing: bool,
    intents: Vec<Bytes>,
    batch: Batch,
}

impl<L: LogRead> Core<L> {
    pub(crate) fn new(consensus: Consensus<L>) -> Self {
        Self { consensus, writing: false, intents: Vec::new(), batch: Batch::default() }
    }

    /// Time passes by one tick.
    ///
    /// # Errors
    /// Never for a lone member; the library's.
    pub(crate) fn tick(&mut self) -> Result<(), Failure> {
        self.consensus.tick();
        Ok(())
    }

    /// A member that is the whole quorum need not wait for an election timeout.
    ///
    /// # Errors
    /// The library's.
    pub(crate) fn lead_if_alone(&mut self) -> Result<(), Failure> {
        if self.consensus.is_alone() && self.consensus.position().role != Role::Leader {
            self.consensus.campaign()?;
        }
        Ok(())
    }

    /// Takes a proposal; one that cannot be made is refused through its reply, in order.
    pub(crate) fn propose(&mut self, proposal: Proposal) {
        let refused = match self.consensus.propose(proposal.entry) {
            Ok(()) => None,
            Err(Error::ProposalDropped) if self.consensus.position().leader.is_none() => {
                Some(Refused::NoLeader)
            }
            Err(_) => Some(Refused::TooManyRequests),
        };
        if refused.is_none() {
            self.intents.extend(proposal.intent);
        }
        self.batch.failed.extend(refused.map(|refused| (proposal.id, refused)));
        self.batch.expected.push((proposal.id, proposal.reply));
    }

    /// The write of this number is durable.
    pub(crate) fn persisted(&mut self, number: u64) {
        self.writing = false;
        self.consensus.persisted(number);
    }

    /// Everything up to `index` was applied.
    pub(crate) fn applied(&mut self, index: LogIndex) {
        self.consensus.applied(index);
    }

    /// Hands leadership over.
    pub(crate) fn transfer(&mut self, to: MemberId) {
        self.consensus.transfer_leader(to);
    }

    /// Where the member stands.
    pub(crate) fn position(&self) -> Position {
        self.consensus.position()
    }

    /// The log that consensus reads.
    pub(crate) fn log(&self) -> &L {
        self.consensus.log()
    }

    /// The first entry that is wanted soon, by apply or by another member.
    pub(crate) fn wanted_from(&self) -> LogIndex {
        self.consensus.wanted_from()
    }

    /// What follows from the inputs since the last step.
    ///
    /// # Errors
    /// The log cannot be read, or a committed configuration entry cannot be applied.
    pub(crate) fn step(&mut self) -> Result<Effects, Failure> {
        let mut effects = Effects::default();
        while !self.writing {
            let Some(ready) = self.consensus.try_ready()? else { break };
            // Messages to other members belong here; a lone member has none.
            for entry in ready.committed {
                let conf_state = match entry.kind {
                    EntryKind::Normal => None,
                    EntryKind::ConfChange | EntryKind::ConfChangeV2 => {
                        Some(self.consensus.apply_conf_change(&entry)?.encode())
                    }
                };
                self.batch.entries.push(Committed { entry, conf_state });
            }
            if ready.hard_state.is_none() && ready.entries.is_empty() {
                self.consensus.persisted(ready.number);
                continue;
            }
            self.writing = true;
            effects.write = Some(Write {
                number: ready.number,
                hard_state: ready.hard_state,
                entries: ready.entries,
                intents: std::mem::take(&mut self.intents),
                must_sync: ready.must_sync,
            });
        }
        // Replies alone can wait for the entries that they are about.
        if !self.batch.entries.is_empty() || !self.batch.failed.is_empty() {
            effects.apply = Some(std::mem::take(&mut self.batch));
        }
        Ok(effects)
    }

    /// The replies that wait for nothing any more: the end.
    pub(crate) fn take_expected(&mut self) -> Vec<Reply<Proposed>> {
        std::mem::take(&mut self.batch.expected).into_iter().map(|(_, reply)| reply).collect()
    }

    /// Takes back a batch that apply had no room for; it goes out, joined with what follows, at the next step.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        self.batch = batch;
    }
}
