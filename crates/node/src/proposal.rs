//! A write on its way: what is proposed, what came of it, and who is told.

use crate::error::Refused;
use bytes::Bytes;
use types::{LogIndex, RequestId};

/// Called once with the answer, on one of the member's threads; must not block.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Refused>) + Send>;

/// A proposal that was committed and applied.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// What came of it.
    pub applied: state::Applied,
    /// The entry's index.
    pub index: LogIndex,
}

/// A proposal on its way to the log.
pub(crate) struct Proposal {
    pub id: RequestId,
    pub entry: Bytes,
    pub intent: Option<Bytes>,
    pub reply: Reply<Proposed>,
}
