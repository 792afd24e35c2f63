//! What consensus hands to apply.

use crate::error::Refused;
use crate::proposal::{Proposed, Reply};
use bytes::Bytes;
use consensus::Entry;
use types::RequestId;

/// One committed entry; a configuration entry comes with the configuration that it leads to.
pub(crate) struct Committed {
    pub entry: Entry,
    /// The encoded configuration of consensus after this entry, if it changed.
    pub conf_state: Option<Bytes>,
}

/// What consensus hands to apply at once.
#[derive(Default)]
pub(crate) struct Batch {
    /// Replies whose entries may come in this batch or later.
    pub expected: Vec<(RequestId, Reply<Proposed>)>,
    /// Replies whose entries will never come, with the reason.
    pub failed: Vec<(RequestId, Refused)>,
    /// The entries, in order.
    pub entries: Vec<Committed>,
}
