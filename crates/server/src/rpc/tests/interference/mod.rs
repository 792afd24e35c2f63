//! What somebody may not read must not show in anything that it is told: two members whose keys, values, leases and accounts
//! differ outside one user's rights, and that user, who must not be able to tell them apart.
//!
//! Both members live through the same random story (`world`): others write outside the user's rights, differently on
//! each, one revision at a time on both, so that revisions are equal and compared like everything else. In between the
//! user asks (`asks`): whatever it may and may not, of every service. Errors with their words, pairs, counts, events,
//! revisions, leases and their keys must be equal to the byte.
//!
//! What may differ, and is made equal or left out here, because etcd tells it to every user: that a lease is there, its
//! time, and whether some key hangs on it that the user may not touch; whether a key exists that the user may write
//! but not read (a deletion counts it, `ignore_value` wants it); how often the policy was changed; the log's index and
//! term, and sizes (Status); that the store is full.

mod asks;
mod world;

use super::rig::Caller;
use super::watching::Stream;
use asks::{Ask, Watching};
use bytes::{Buf, Bytes};
use env::sim::SimRandom;
use http_body_util::{BodyExt, Full};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage, Value};
use proto::etcdserverpb as pb;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;
use tonic::body::Body;
use tower::Service;
use world::World;

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    code: i32,
    text: String,
    messages: Vec<Bytes>,
}

async fn ask(caller: &Caller, ask: &Ask) -> Answer {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(ask.message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&ask.message);
    let request = http::Request::post(ask.path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(Bytes::from(frame))))
        .unwrap();
    let response = caller.clone().call(request).await.unwrap();
    let at_once = tonic::Status::from_header_map(response.headers());
    let collected = response.into_body().collect().await.unwrap();
    let status = at_once.or_else(|| tonic::Status::from_header_map(collected.trailers()?)).unwrap();
    let (mut bytes, mut messages) = (collected.to_bytes(), Vec::new());
    while bytes.remaining() >= 5 {
        bytes.advance(1);
        let length = bytes.get_u32() as usize;
        messages.push(bytes.split_to(length));
    }
    Answer { code: i32::from(status.code()), text: status.message().to_owned(), messages }
}

/// What a watcher was told: events with their pairs, and its end.
type Told = BTreeMap<i64, Vec<String>>;

/// Watches from an old revision on, until everything up to now has been told.
async fn watch(caller: &Caller, watching: &Watching) -> Told {
    let mut stream = Stream::open(caller).await;
    for create in &watching.creates {
        stream.create(create.clone()).await;
    }
    let mut told = Told::new();
    let (mut created, mut ended) = (0, 0);
    loop {
        // Answered only once all watchers have seen everything; asked again where it was not.
        if created == watching.creates.len() {
            stream.progress().await;
        }
        while let Ok(answer) = tokio::time::timeout(Duration::from_millis(20), stream.answer()).await {
            if answer.watch_id == -1 && !answer.created && !answer.canceled {
                return told;
            }
            let about = told.entry(answer.watch_id).or_default();
            if answer.created || answer.canceled {
                let pb::WatchResponse { created, canceled, compact_revision, cancel_reason, .. } = &answer;
                about.push(format!("{created} {canceled} {compact_revision} {cancel_reason:?}"));
            }
            about.extend(answer.events.iter().map(|event| format!("{event:?}")));
            created += usize::from(answer.created);
            ended += usize::from(answer.canceled);
            if ended == watching.creates.len() {
                return told;
            }
            if answer.created && created == watching.creates.len() {
                break;
            }
        }
    }
}

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(proto::DESCRIPTORS).unwrap());

fn output(path: &str) -> MessageDescriptor {
    let (service, name) = path[1..].split_once('/').unwrap();
    let service = POOL.get_service_by_name(service).unwrap();
    service.methods().find(|method| method.name() == name).unwrap().output()
}

/// An answer without what may differ.
fn seen(path: &str, answer: &Answer) -> (i32, String, Vec<DynamicMessage>) {
    let messages = answer.messages.iter().map(|bytes| {
        let mut message = DynamicMessage::decode(output(path), bytes.clone()).unwrap();
        leave_out(&mut message);
        message
    });
    (answer.code, answer.text.clone(), messages.collect())
}

fn leave_out(message: &mut DynamicMessage) {
    let kind = message.descriptor().full_name().to_owned();
    let of = |name| (name, ["raftIndex", "raftAppliedIndex", "raftTerm", "dbSize", "dbSizeInUse"]);
    let (status, numbers) = of("etcdserverpb.StatusResponse");
    if kind == status {
        numbers.into_iter().for_each(|number| message.clear_field_by_name(number));
    }
    if kind == "etcdserverpb.ResponseHeader" {
        message.clear_field_by_name("raft_term");
    }
    // Leases live long here; that a second passes on one member before it does on the other is not what is looked for.
    if kind == "etcdserverpb.LeaseTimeToLiveResponse" {
        let seconds = |name| message.get_field_by_name(name).and_then(|value| value.as_i64()).unwrap_or(0);
        let (left, granted) = (seconds("TTL"), seconds("grantedTTL"));
        if left > 0 && left > granted - 900 {
            message.set_field_by_name("TTL", Value::I64(granted));
        }
    }
    let fields: Vec<_> = message.fields().map(|(field, _)| field).collect();
    for field in fields {
        match message.get_field_mut(&field) {
            Value::Message(inner) => leave_out(inner),
            Value::List(list) => {
                list.iter_mut().filter_map(Value::as_message_mut).for_each(leave_out);
            }
            _ => {}
        }
    }
}

/// Asks both the same, and panics unless they say the same.
async fn compare(world: &World, question: &Ask, told: &str) -> Answer {
    let [one, two] = world.users();
    let (one, two) = tokio::join!(ask(one, question), ask(two, question));
    if one != two {
        let (one, two) = (seen(question.path, &one), seen(question.path, &two));
        assert_eq!(one, two, "{told}: {question:?} tells the members apart");
    }
    one
}

/// How many questions: more in the long run (`make properties`).
fn cases() -> u64 {
    std::env::var("PROPERTY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3_000)
}

/// After so many questions a new world begins.
const QUESTIONS_A_WORLD: u64 = 500;

/// Somebody who may read some keys must not learn anything of others: not from an answer, an error, a count, a watch, a
/// transaction's branch, a lease. etcd's advisories of this year are all of this kind.
#[tokio::test]
async fn nothing_outside_its_rights_shows_to_a_user() {
    let seed = std::env::var("PROPERTY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| env::Env::real().random.number());
    println!("PROPERTY_SEED={seed}");
    let (random, mut asked, mut watched) = (SimRandom::new(seed), 0, 0);
    let mut codes: BTreeMap<(&'static str, i32), u64> = BTreeMap::new();
    while asked < cases() {
        let mut world = World::new(&random, asked / QUESTIONS_A_WORLD).await;
        for _ in 0..QUESTIONS_A_WORLD.min(cases() - asked) {
            for _ in 0..random.below(3) {
                world.go_on(&random).await;
            }
            let told = format!("PROPERTY_SEED={seed}, question {asked}");
            if random.below(25) == 0 {
                let watching = asks::watching(&random, world.revision());
                let [one, two] = world.users();
                let (one, two) = tokio::join!(watch(one, &watching), watch(two, &watching));
                assert_eq!(one, two, "{told}: {watching:?} tells the members apart");
                watched += one.values().map(Vec::len).sum::<usize>();
            } else {
                let question = asks::ask(&random, world.revision());
                let answer = compare(&world, &question, &told).await;
                *codes.entry((question.path, answer.code)).or_default() += 1;
            }
            asked += 1;
        }
        world.differs().await;
    }
    println!("{codes:#?}, {watched} told by watches");
    let sum = |wanted: &dyn Fn(i32) -> bool| -> u64 {
        codes.iter().filter(|((_, code), _)| wanted(*code)).map(|(_, number)| number).sum()
    };
    // Answers that say nothing would be equal, too.
    assert!(sum(&|code| code == 0) > asked / 4, "{codes:?}");
    assert!(sum(&|code| code == 7) > asked / 10, "{codes:?}");
    assert!(watched as u64 > asked / 25, "{watched}");
}
