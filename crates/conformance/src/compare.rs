//! What counts as equal: answers with the names of the server taken out, errors by code and text.

use proto::etcdserverpb as pb;
use std::fmt::{self, Debug};

/// One server's answer, made comparable: printed with the server's own ids and term blanked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A response.
    Response(String),
    /// An error.
    Error {
        /// The gRPC code.
        code: tonic::Code,
        /// The text.
        text: String,
    },
}

impl Answer {
    /// The answer of a call whose response holds its header at `header`.
    pub(crate) fn of<T: Debug>(
        result: Result<tonic::Response<T>, tonic::Status>,
        header: impl Fn(&mut T) -> &mut Option<pb::ResponseHeader>,
    ) -> Self {
        match result {
            Ok(response) => {
                let mut message = response.into_inner();
                mask(header(&mut message));
                Self::Response(format!("{message:#?}"))
            }
            Err(status) => Self::from(&status),
        }
    }
}

impl From<&tonic::Status> for Answer {
    fn from(status: &tonic::Status) -> Self {
        Self::Error { code: status.code(), text: status.message().to_owned() }
    }
}

/// Takes out of a header what names the server; the revision stays.
pub(crate) fn mask(header: &mut Option<pb::ResponseHeader>) {
    if let Some(header) = header {
        header.cluster_id = 0;
        header.member_id = 0;
        header.raft_term = 0;
    }
}

/// The first place where the two servers differ.
pub(crate) struct Difference {
    /// The operation's number.
    pub number: u64,
    /// The operation.
    pub operation: String,
    /// What the real etcd said.
    pub reference: String,
    /// What ours said.
    pub subject: String,
    /// The operations before it.
    pub before: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "before:")?;
        for operation in &self.before {
            writeln!(f, "  {}", shorten(operation))?;
        }
        writeln!(f, "difference at operation {}: {}", self.number, shorten(&self.operation))?;
        let (etcd, ours): (Vec<_>, Vec<_>) =
            (self.reference.lines().collect(), self.subject.lines().collect());
        let first = etcd.iter().zip(&ours).take_while(|(etcd, ours)| etcd == ours).count();
        writeln!(f, "first different line: {first}")?;
        for (name, lines) in [("etcd", etcd), ("ours", ours)] {
            for line in lines.iter().skip(first.saturating_sub(LINES_BEFORE)).take(LINES_BEFORE + LINES_AFTER)
            {
                writeln!(f, "{name}: {}", shorten(line))?;
            }
        }
        Ok(())
    }
}

/// Lines shown before the first different one, and from it on.
const LINES_BEFORE: usize = 4;
const LINES_AFTER: usize = 12;

/// Long answers, cut in the middle.
fn shorten(text: &str) -> String {
    const KEPT: usize = 400;
    if text.len() <= 2 * KEPT {
        return text.to_owned();
    }
    let head: String = text.chars().take(KEPT).collect();
    let tail: String = text.chars().rev().take(KEPT).collect::<Vec<_>>().into_iter().rev().collect();
    format!("{head}\n… {} bytes …\n{tail}", text.len())
}
