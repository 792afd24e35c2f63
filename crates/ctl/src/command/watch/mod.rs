//! `watch`: prints changes as they happen, and runs a program for each if one is named.
//!
//! One stream carries all watches of the program. When the connection is lost, each watch goes on from the revision behind
//! the last one that it showed, so nothing is missed and nothing comes twice.

pub(crate) mod request;

use super::{emit, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::text::quote;
use crate::print::{Answer, Format, event_name};
use crate::settings::Settings;
use bytes::Bytes;
use clap::Args;
use proto::etcdserverpb as pb;
use proto::etcdserverpb::watch_request::RequestUnion;
use request::Wanted;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// How long a lost connection is left alone before the next try.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Lines of standard input that wait to be read.
const LINES_WAITING_MAX: usize = 16;
/// Requests that wait to be sent.
const REQUESTS_WAITING_MAX: usize = 16;

/// `watch [options] [key] [range_end] [-- program arguments…]`
#[derive(Args, Clone, Debug)]
pub struct Watch {
    /// The key, and perhaps the end of the range, itself not included
    #[arg(value_names = ["KEY", "RANGE_END"])]
    keys: Vec<OsString>,
    #[command(flatten)]
    options: Options,
    /// Read watches from standard input, one a line
    #[arg(short, long)]
    interactive: bool,
    /// A program to run for each change; it finds the change in ETCD_WATCH_ variables
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// The options of one watch.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// All keys that begin with the key
    #[arg(long)]
    prefix: bool,
    /// From this revision on
    #[arg(long, default_value_t = 0, hide_default_value = true, allow_hyphen_values = true)]
    rev: i64,
    /// With what the key held before
    #[arg(long)]
    prev_kv: bool,
    /// With a sign of life where nothing changes
    #[arg(long)]
    progress_notify: bool,
}

impl Watch {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        let variables = request::Variables::read(&|name| std::env::var_os(name))?;
        if self.interactive {
            return Watching::new(Client::connect(settings).await?).interact(&variables).await;
        }
        let separated = std::env::args_os().next_back().is_some_and(|last| last == "--");
        let wanted = request::wanted(&self.keys, &self.program, separated, &self.options, &variables)?;
        let mut watching = Watching::new(Client::connect(settings).await?);
        watching.pending.push_back(wanted);
        watching.open().await?;
        loop {
            watching.step().await?;
            if watching.is_idle() {
                return Err(Failure::interrupted("watch is canceled by the server"));
            }
        }
    }
}

/// Why a watch was ended, as etcd's client says it.
pub(crate) fn ended(answer: &pb::WatchResponse) -> &str {
    if answer.compact_revision != 0 {
        "etcdserver: mvcc: required revision has been compacted"
    } else if answer.cancel_reason.is_empty() {
        "etcdserver: mvcc: required revision is a future revision"
    } else {
        &answer.cancel_reason
    }
}

/// The reason in the member's own words, without the frame that etcd's library puts around them.
fn unframed(reason: &str) -> &str {
    reason.split_once(" desc = ").map_or(reason, |(_, words)| words)
}

/// The watches of this program on their stream.
struct Watching {
    client: Client,
    /// Whether the login is new, and no watch was let in with it yet: it is not renewed twice in a row.
    renewed: bool,
    requests: Option<mpsc::Sender<pb::WatchRequest>>,
    answers: Option<Streaming<pb::WatchResponse>>,
    /// Asked for and not yet answered, in order.
    pending: VecDeque<Wanted>,
    /// By the number that the member gave them.
    standing: BTreeMap<i64, Wanted>,
}

impl Watching {
    fn new(client: Client) -> Self {
        let (pending, standing) = (VecDeque::new(), BTreeMap::new());
        Self { client, renewed: false, requests: None, answers: None, pending, standing }
    }

    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.standing.is_empty()
    }

    /// Opens the stream and asks for all watches, again where they stood before.
    async fn open(&mut self) -> Result<(), Failure> {
        let (requests, receiver) = mpsc::channel(REQUESTS_WAITING_MAX);
        let mut wanted: VecDeque<Wanted> = std::mem::take(&mut self.standing).into_values().collect();
        wanted.append(&mut self.pending);
        let messages: Vec<RequestUnion> =
            wanted.iter().map(|wanted| RequestUnion::CreateRequest(wanted.request.clone())).collect();
        let request = self.client.request_with_leader(ReceiverStream::new(receiver));
        let mut watch = self.client.watch();
        // Some servers answer the call only after the first request, so both go at once.
        let send = async {
            for union in messages {
                let _ = requests.send(pb::WatchRequest { request_union: Some(union) }).await;
            }
            requests
        };
        let (answers, requests) = tokio::join!(self.client.call(watch.watch(request)), send);
        self.pending = wanted;
        self.requests = Some(requests);
        self.answers = Some(answers?);
        Ok(())
    }

    async fn send(&mut self, union: RequestUnion) {
        if let Some(requests) = &self.requests {
            // A stream that is gone is noticed where answers are read.
            let _ = requests.send(pb::WatchRequest { request_union: Some(union) }).await;
        }
    }

    async fn add(&mut self, wanted: Wanted) {
        self.send(RequestUnion::CreateRequest(wanted.request.clone())).await;
        self.pending.push_back(wanted);
    }

    /// Waits for one answer and deals with it; makes a new stream where the old one is lost.
    async fn step(&mut self) -> Result<(), Failure> {
        let next = match &mut self.answers {
            Some(answers) => answers.message().await,
            None => Ok(None),
        };
        let failure = match next {
            Ok(Some(answer)) => return self.take(answer).await,
            Ok(None) => Failure::error("the member ended the stream"),
            Err(status) if self.client.is_lost(&status) || status.code() == tonic::Code::Unavailable => {
                self.client.failure(&status).await
            }
            Err(status) => return Err(self.client.failure(&status).await),
        };
        eprintln!(
            "warning: {}; watching on from the last revision as soon as {} is back",
            failure.message,
            self.client.endpoint()
        );
        loop {
            tokio::time::sleep(RETRY_PAUSE).await;
            if let Ok(client) = Client::connect(&self.client.settings).await {
                self.client = client;
                if self.open().await.is_ok() {
                    return Ok(());
                }
            }
        }
    }

    async fn take(&mut self, answer: pb::WatchResponse) -> Result<(), Failure> {
        if answer.created
            && let Some(wanted) = self.pending.pop_front()
        {
            let is_login_over = self.client.is_login_over(unframed(&answer.cancel_reason));
            if answer.canceled && is_login_over && !self.renewed {
                // A stream keeps the login that it was opened with.
                self.pending.push_front(wanted);
                self.client = Client::connect(&self.client.settings).await?;
                self.renewed = true;
                return self.open().await;
            }
            if answer.canceled {
                return self.show(&answer);
            }
            self.renewed = false;
            self.standing.insert(answer.watch_id, wanted);
            return Ok(());
        }
        let revision = answer.header.map_or(0, |header| header.revision);
        let program = match self.standing.get_mut(&answer.watch_id) {
            Some(wanted) => {
                let newest = answer
                    .events
                    .iter()
                    .filter_map(|event| event.kv.as_ref())
                    .map(|kv| kv.mod_revision)
                    .max();
                let reached = newest.or((answer.events.is_empty() && !answer.canceled).then_some(revision));
                if let Some(reached) = reached {
                    let next = reached.saturating_add(1);
                    wanted.request.start_revision = wanted.request.start_revision.max(next);
                }
                wanted.program.clone()
            }
            // An answer to a progress request is for all watches; anything else is for a watch that is gone.
            None if answer.watch_id == -1 && answer.events.is_empty() => Vec::new(),
            None => return Ok(()),
        };
        self.show(&answer)?;
        if answer.canceled {
            self.standing.remove(&answer.watch_id);
        }
        if let Some((program, arguments)) = program.split_first() {
            for event in &answer.events {
                execute(program, arguments, revision, event).await?;
            }
        }
        Ok(())
    }

    fn show(&self, answer: &pb::WatchResponse) -> Result<(), Failure> {
        if answer.canceled {
            eprintln!("watch was canceled ({})", ended(answer));
            if let Some(hint) = self.client.hint(unframed(ended(answer))) {
                eprintln!("  next:   {hint}");
            }
        }
        let revision = answer.header.map_or(0, |header| header.revision);
        let calm = answer.events.is_empty() && !answer.canceled && answer.compact_revision == 0;
        if calm && revision != 0 {
            emit(format!("progress notify: {revision}\n").as_bytes())?;
        }
        if calm && self.client.settings.format == Format::Simple {
            return Ok(());
        }
        show(&self.client, &Answer::Watch(answer))
    }

    /// Reads watches and progress requests from standard input, one a line.
    async fn interact(&mut self, variables: &request::Variables) -> Result<(), Failure> {
        let mut lines = lines();
        loop {
            let line = if self.answers.is_some() {
                tokio::select! {
                    line = lines.recv() => line,
                    step = self.step() => {
                        step?;
                        continue;
                    }
                }
            } else {
                lines.recv().await
            };
            let Some(line) = line else {
                return Err(Failure::input("error reading watch request line: EOF"));
            };
            match request::command(&line, variables) {
                Ok(request::Line::Watch(wanted)) if self.answers.is_some() => self.add(wanted).await,
                Ok(request::Line::Watch(wanted)) => {
                    self.pending.push_back(wanted);
                    self.open().await?;
                }
                Ok(request::Line::Progress) if self.answers.is_some() => {
                    self.send(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
                }
                // Without a watch there is nothing whose progress could be told.
                Ok(request::Line::Progress) => {}
                Err(request::Fault::Line(message)) => eprintln!("{message}"),
                Err(request::Fault::End(failure)) => return Err(failure),
            }
        }
    }
}

/// Standard input, line by line, read on a thread that ends with the program.
fn lines() -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(LINES_WAITING_MAX);
    std::thread::spawn(move || {
        use std::io::BufRead;
        for line in std::io::stdin().lock().split(b'\n') {
            if line.is_err() || line.is_ok_and(|line| sender.blocking_send(line.into()).is_err()) {
                return;
            }
        }
    });
    receiver
}

async fn execute(
    program: &OsStr,
    arguments: &[OsString],
    revision: i64,
    event: &proto::mvccpb::Event,
) -> Result<(), Failure> {
    let kv = event.kv.clone().unwrap_or_default();
    let status = tokio::process::Command::new(program)
        .args(arguments)
        .env("ETCD_WATCH_REVISION", revision.to_string())
        .env("ETCD_WATCH_EVENT_TYPE", quote(event_name(event.r#type).as_bytes()))
        .env("ETCD_WATCH_KEY", quote(&kv.key))
        .env("ETCD_WATCH_VALUE", quote(&kv.value))
        .status()
        .await;
    let reason = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => super::ended(status),
        Err(error) => super::not_started(program, &error),
    };
    let words = std::iter::once(program).chain(arguments.iter().map(OsString::as_os_str));
    let words: Vec<String> = words.map(|word| quote(word.as_bytes())).collect();
    eprintln!("command [{}] error ({reason})", words.join(" "));
    Err(Failure::silent(1))
}

#[cfg(test)]
mod tests;
