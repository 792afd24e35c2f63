//! What is to be watched, and where a watch goes on after its connection was lost.

use super::Options;
use super::Watching;
use super::request::{Fault, Line, Variables, Wanted, command, wanted};
use crate::connect::Client;
use crate::settings::{Global, Settings, Surroundings};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::watch_request::RequestUnion;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

fn variables(key: &str, end: &str) -> Variables {
    let (key, end) = (key.to_owned(), end.to_owned());
    Variables::read(&move |name| match name {
        "ETCDCTL_WATCH_KEY" => Some(key.clone().into()),
        "ETCDCTL_WATCH_RANGE_END" => Some(end.clone().into()),
        _ => None,
    })
    .unwrap()
}

fn shown(wanted: &Wanted) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let program: Vec<_> = wanted.program.iter().map(|word| word.to_string_lossy()).collect();
    format!("{}|{}|{}", text(&wanted.request.key), text(&wanted.request.range_end), program.join(" "))
}

/// Keys come from arguments or from variables, never from both, and programs behind the separator: the rows are those that
/// etcdctl accepts and refuses.
#[test]
fn keys_come_from_one_place() {
    let options = Options::default();
    let none = Variables::default();
    let key = variables("foo", "");
    let both = variables("foo", "bar");
    for (keys, program, separated, from, expected) in [
        ("foo", "", false, &none, Ok("foo||")),
        ("foo bar", "", false, &none, Ok("foo|bar|")),
        ("foo", "echo Hello", false, &none, Ok("foo||echo Hello")),
        ("", "", false, &key, Ok("foo||")),
        ("", "echo x", false, &both, Ok("foo|bar|echo x")),
        ("", "", false, &none, Err("bad number of arguments")),
        ("", "echo", false, &none, Err("bad number of arguments")),
        ("foo bar baz", "", false, &none, Err("bad number of arguments: more than a key and a range_end")),
        ("foo", "", true, &none, Err("bad number of arguments (found separator --, but no commands)")),
        ("foo", "", false, &key, Err("bad number of arguments (found conflicting environment key)")),
        ("foo", "echo", false, &both, Err("bad number of arguments (found conflicting environment key)")),
    ] {
        let result = wanted(&words(keys), &words(program), separated, &options, from);
        let result = result.as_ref().map(shown).map_err(|failure| (failure.message.as_str(), failure.code));
        assert_eq!(
            result,
            expected.map(str::to_owned).map_err(|message| (message, 128)),
            "{keys} -- {program}"
        );
    }
    let prefix = Options { prefix: true, ..Options::default() };
    assert!(wanted(&words("a b"), &[], false, &prefix, &none).is_err());
    assert_eq!(shown(&wanted(&words("a"), &[], false, &prefix, &none).unwrap()), "a|b|");
}

/// Lines of standard input are typed by people: a wrong one is answered, and only a wrong option ends the program with all
/// its other watches.
#[test]
fn lines_are_watches_or_progress() {
    let none = Variables::default();
    let line = |text: &str| command(text.as_bytes(), &none);
    assert_eq!(line("progress"), Ok(Line::Progress));
    let Ok(Line::Watch(wanted)) = line("watch --rev 3 \"a b\" --prev-kv -- echo 'x y'") else { panic!() };
    assert_eq!(shown(&wanted), "a b||echo x y");
    assert_eq!((wanted.request.start_revision, wanted.request.prev_kv), (3, true));
    assert!(matches!(line("watch a --prefix=false b"), Ok(Line::Watch(_))));
    for text in ["", "watch", "hello", "watch a b c", "watch a b --prefix"] {
        assert!(matches!(line(text), Err(Fault::Line(_))), "{text}");
    }
    for text in ["watch a --bogus", "watch a --", "watch \"\\q\""] {
        assert!(matches!(line(text), Err(Fault::End(_))), "{text}");
    }
}

/// The reason for the end of a watch decides whether to begin again: the three kinds must be told apart.
#[test]
fn the_end_of_a_watch_has_a_reason() {
    let answer = |compact_revision, reason: &str| pb::WatchResponse {
        canceled: true,
        compact_revision,
        cancel_reason: reason.into(),
        ..pb::WatchResponse::default()
    };
    assert!(super::ended(&answer(5, "")).ends_with("has been compacted"));
    assert_eq!(super::ended(&answer(0, "etcdserver: permission denied")), "etcdserver: permission denied");
    assert!(super::ended(&answer(0, "")).ends_with("is a future revision"));
}

/// A member that tells what it is asked to watch, refuses so many watches as if roles had just changed, and answers each other
/// with one event at revision 7 under a number of its own.
struct Reporter {
    reports: mpsc::Sender<pb::WatchCreateRequest>,
    refusals: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl pb::watch_server::Watch for Reporter {
    type WatchStream = ReceiverStream<Result<pb::WatchResponse, tonic::Status>>;

    async fn watch(
        &self,
        request: tonic::Request<tonic::Streaming<pb::WatchRequest>>,
    ) -> Result<tonic::Response<Self::WatchStream>, tonic::Status> {
        let (answers, receiver) = mpsc::channel(8);
        let (reports, refusals) = (self.reports.clone(), Arc::clone(&self.refusals));
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let Some(RequestUnion::CreateRequest(create)) = request.request_union else { continue };
                let header = Some(pb::ResponseHeader { revision: 9, ..pb::ResponseHeader::default() });
                let created =
                    pb::WatchResponse { header, watch_id: 5, created: true, ..pb::WatchResponse::default() };
                let kv = proto::mvccpb::KeyValue {
                    key: create.key.clone(),
                    mod_revision: 7,
                    ..Default::default()
                };
                let event = proto::mvccpb::Event { kv: Some(kv), ..Default::default() };
                let events = pb::WatchResponse { created: false, events: vec![event], ..created.clone() };
                let _ = reports.send(create).await;
                let refuse = |left: usize| left.checked_sub(1);
                if refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse).is_ok() {
                    let reason =
                        "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old";
                    let refused = pb::WatchResponse {
                        canceled: true,
                        cancel_reason: reason.into(),
                        watch_id: -1,
                        ..created
                    };
                    let _ = answers.send(Ok(refused)).await;
                    continue;
                }
                for answer in [created, events] {
                    let _ = answers.send(Ok(answer)).await;
                }
            }
        });
        Ok(tonic::Response::new(ReceiverStream::new(receiver)))
    }
}

/// Watching `k` at a member that refuses so many watches, and what it is asked.
async fn watching(refusals: usize) -> (Watching, mpsc::Receiver<pb::WatchCreateRequest>) {
    let (reports, asked) = mpsc::channel(8);
    let reporter = Reporter { reports, refusals: Arc::new(AtomicUsize::new(refusals)) };
    let routes = Routes::new(pb::watch_server::WatchServer::new(reporter));
    let address = crate::connect::tests::clear_server(routes).await;
    let global = Global { endpoints: vec![address.to_string()], ..Global::default() };
    let settings = Arc::new(Settings::resolve(&global, &Surroundings { variable: &|_| None }).unwrap());
    let mut watching = Watching::new(Client::connect(&settings).await.unwrap());
    let options = Options { prev_kv: true, ..Options::default() };
    watching.pending.push_back(wanted(&words("k"), &[], false, &options, &Variables::default()).unwrap());
    watching.open().await.unwrap();
    (watching, asked)
}

/// A watch that is refused because its stream's login is over is asked for once more on a new stream, and not for ever.
#[tokio::test]
async fn a_watch_refused_for_its_login_is_asked_for_once_more() {
    let (mut once, mut asked) = watching(1).await;
    once.step().await.unwrap();
    assert_eq!(once.pending.len(), 1);
    once.step().await.unwrap();
    assert_eq!((once.pending.len(), once.standing.len()), (0, 1));
    assert!(asked.recv().await.is_some() && asked.recv().await.is_some());

    let (mut ever, _asked) = watching(usize::MAX).await;
    ever.step().await.unwrap();
    ever.step().await.unwrap();
    assert!(ever.is_idle());
}

/// A lost connection must neither lose an event nor show one twice: the watch is asked for again from the revision behind
/// the last one shown, with all its options.
#[tokio::test]
async fn a_watch_goes_on_behind_the_last_event() {
    let (mut watching, mut asked) = watching(0).await;
    assert_eq!(asked.recv().await.unwrap().start_revision, 0);
    watching.step().await.unwrap();
    watching.step().await.unwrap();
    watching.open().await.unwrap();
    let again = asked.recv().await.unwrap();
    assert_eq!((again.start_revision, again.prev_kv, again.key.as_ref()), (8, true, &b"k"[..]));
    assert!(watching.standing.is_empty() && !watching.is_idle());
}
