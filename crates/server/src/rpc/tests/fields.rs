//! Every field of every request against what it makes the request touch: `rpc/fields.txt` beside the code.
//!
//! The table is not believed: each field is set in a request that is otherwise the same, in every message and at every
//! level of nesting where it can stand, the request is made, and what the gate is asked for is compared with the row.

use super::matrix::{call, request_of};
use super::rig::{Caller, Rig};
use crate::rpc::surface::METHODS;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use proto::etcdserverpb as pb;
use proto::v3electionpb;
use state::auth::{Base, Demand, Right};
use std::collections::{BTreeMap, BTreeSet};

const TABLE: &str = include_str!("../fields.txt");

/// What a request touches, in the table's words, each with what it is about.
type Touched = BTreeSet<(String, String)>;

/// Just the words.
type Words = BTreeSet<String>;

/// A transaction within a transaction is looked into, one within that is not.
const LEVELS: usize = 2;

fn touched(demands: &[Demand]) -> Touched {
    let mut touched = Touched::new();
    let mut add = |word: &str, about: String| touched.insert((word.to_owned(), about));
    for demand in demands {
        match demand {
            Demand::Nothing => add("nothing", String::new()),
            Demand::Known => add("known", String::new()),
            Demand::User(name) => add("user", name.clone()),
            Demand::Role(name) => add("role", name.clone()),
            Demand::Ability(ability) => add(ability.name(), String::new()),
            Demand::Administrator => add("administrator", String::new()),
            Demand::Keys(keys) => {
                for (range, right) in &keys.ranges {
                    let word = if *right == Right::Read { "read" } else { "write" };
                    add(word, format!("{range:?}"));
                }
                for (lease, right) in &keys.leases {
                    let word = if *right == Right::Read { "lease-read" } else { "lease-write" };
                    add(word, lease.to_string());
                }
                add("known", String::new())
            }
        };
    }
    touched
}

/// A message that is well formed, about this key.
fn minimal(kind: &MessageDescriptor, key: &'static str) -> DynamicMessage {
    let put = || pb::PutRequest { key: key.into(), ..Default::default() };
    let op = || pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put())) };
    let bytes = match kind.full_name() {
        "etcdserverpb.RangeRequest"
        | "etcdserverpb.DeleteRangeRequest"
        | "etcdserverpb.WatchCreateRequest" => {
            pb::RangeRequest { key: key.into(), ..Default::default() }.encode_to_vec()
        }
        "etcdserverpb.PutRequest" => put().encode_to_vec(),
        "etcdserverpb.Compare" => pb::Compare { key: key.into(), ..Default::default() }.encode_to_vec(),
        "etcdserverpb.RequestOp" => op().encode_to_vec(),
        "etcdserverpb.TxnRequest" => {
            pb::TxnRequest { success: vec![op()], ..Default::default() }.encode_to_vec()
        }
        "v3electionpb.LeaderKey" => {
            v3electionpb::LeaderKey { name: key.into(), key: key.into(), rev: 1, lease: 1 }.encode_to_vec()
        }
        _ => Vec::new(),
    };
    DynamicMessage::decode(kind.clone(), bytes.as_slice()).unwrap()
}

/// A value that no base request has there.
fn other(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::Bytes => Value::Bytes("p".into()),
        Kind::String => Value::String("p".to_owned()),
        Kind::Bool => Value::Bool(true),
        Kind::Int64 => Value::I64(7),
        Kind::Uint64 => Value::U64(7),
        Kind::Enum(_) => Value::EnumNumber(1),
        Kind::Message(kind) => Value::Message(minimal(&kind, "p")),
        kind => panic!("{}: no value of {kind:?} yet", field.full_name()),
    }
}

fn set(message: &mut DynamicMessage, field: &FieldDescriptor) {
    if field.is_list() {
        message.get_field_mut(field).as_list_mut().unwrap().push(other(field));
    } else {
        message.set_field(field, other(field));
    }
}

/// The message at the end of a path, made where it is not there.
fn at<'a>(message: &'a mut DynamicMessage, path: &[FieldDescriptor]) -> &'a mut DynamicMessage {
    let Some((field, rest)) = path.split_first() else { return message };
    let Kind::Message(kind) = field.kind() else { panic!("{} holds nothing", field.full_name()) };
    let fresh = Value::Message(minimal(&kind, "k"));
    if field.is_list() {
        let list = message.get_field_mut(field).as_list_mut().unwrap();
        if list.is_empty() {
            list.push(fresh);
        }
        return at(list.last_mut().unwrap().as_message_mut().unwrap(), rest);
    }
    if !message.has_field(field) {
        message.set_field(field, fresh);
    }
    at(message.get_field_mut(field).as_message_mut().unwrap(), rest)
}

/// Every way from a message to a field in it.
fn paths(kind: &MessageDescriptor, way: &mut Vec<FieldDescriptor>, found: &mut Vec<Vec<FieldDescriptor>>) {
    for field in kind.fields() {
        assert!(!field.is_map(), "{}: maps are not looked into yet", field.full_name());
        way.push(field.clone());
        found.push(way.clone());
        if let Kind::Message(inner) = field.kind() {
            let seen = way.iter().filter(|step| step.kind() == Kind::Message(inner.clone())).count();
            if seen <= LEVELS {
                paths(&inner, way, found);
            }
        }
        way.pop();
    }
}

/// Requests to begin with: more than one where a field counts only beside another.
fn bases(path: &str) -> Vec<Vec<u8>> {
    match path {
        "/etcdserverpb.Lease/LeaseTimeToLive" => {
            [false, true].map(|keys| pb::LeaseTimeToLiveRequest { id: 1, keys }.encode_to_vec()).into()
        }
        "/etcdserverpb.Maintenance/Alarm" => {
            [0, 1].map(|action| pb::AlarmRequest { action, ..Default::default() }.encode_to_vec()).into()
        }
        "/etcdserverpb.Maintenance/Downgrade" => {
            [0, 1].map(|action| pb::DowngradeRequest { action, ..Default::default() }.encode_to_vec()).into()
        }
        "/strongroom.v1.Access/Explain" => {
            let (operation, key) = ("get".to_owned(), "k".into());
            let ask = proto::strongroom::v1::ExplainRequest { operation, key, ..Default::default() };
            vec![ask.encode_to_vec()]
        }
        // With the client's own lease: one that the member makes has another name each time.
        "/v3lockpb.Lock/Lock" => {
            vec![proto::v3lockpb::LockRequest { name: "k".into(), lease: 1 }.encode_to_vec()]
        }
        "/v3electionpb.Election/Campaign" => {
            let name = "k-campaign".into();
            vec![v3electionpb::CampaignRequest { name, lease: 1, ..Default::default() }.encode_to_vec()]
        }
        other => vec![request_of(other)],
    }
}

/// What the gate is asked for by a request.
async fn ask(rig: &Rig, root: &Caller, path: &str, message: &[u8]) -> Touched {
    // The leases that requests name; a request may have ended one.
    for id in [1, 7] {
        let _ = root.lease().lease_grant(pb::LeaseGrantRequest { id, ttl: 1_000 }).await;
    }
    rig.take_demands();
    call(root, path, message).await;
    touched(&rig.take_demands())
}

/// What was seen: for each method what it touches, for each field what it adds, by the method it came in.
struct Seen {
    methods: BTreeMap<String, Words>,
    fields: BTreeMap<String, BTreeMap<String, Words>>,
    /// Fields that did not do the same wherever they stand in one method's request.
    uneven: BTreeSet<String>,
}

async fn look() -> Seen {
    let rig = Rig::new(Base::Closed);
    let root = rig.administrator();
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    let mut seen = Seen { methods: BTreeMap::new(), fields: BTreeMap::new(), uneven: BTreeSet::new() };
    for method in METHODS {
        let (service, name) = method.path[1..].split_once('/').unwrap();
        let service = pool.get_service_by_name(service).unwrap();
        let input = service.methods().find(|method| method.name() == name).unwrap().input();
        let mut ways = Vec::new();
        paths(&input, &mut Vec::new(), &mut ways);
        let mut by_place: BTreeMap<(String, usize), Words> = BTreeMap::new();
        for bytes in bases(method.path) {
            let base = DynamicMessage::decode(input.clone(), bytes.as_slice()).unwrap();
            let without = ask(&rig, &root, method.path, &bytes).await;
            let words = without.iter().map(|(word, _)| word.clone());
            seen.methods.entry(method.path.to_owned()).or_default().extend(words);
            for (place, way) in ways.iter().enumerate() {
                let (field, parents) = way.split_last().unwrap();
                let mut before = base.clone();
                at(&mut before, parents);
                let mut after = before.clone();
                set(at(&mut after, parents), field);
                let before = ask(&rig, &root, method.path, &before.encode_to_vec()).await;
                let after = ask(&rig, &root, method.path, &after.encode_to_vec()).await;
                let added = after.difference(&before).map(|(word, _)| word.clone());
                by_place.entry((field.full_name().to_owned(), place)).or_default().extend(added);
            }
        }
        for ((field, _), words) in by_place {
            let of_methods = seen.fields.entry(field.clone()).or_default();
            if of_methods.get(method.path).is_some_and(|other| *other != words) {
                seen.uneven.insert(format!("{field} in {}", method.path));
            }
            of_methods.entry(method.path.to_owned()).or_default().extend(words);
        }
    }
    seen
}

/// The rows: a method's or field's name (and after `@` the only method that a row is about), and its words.
fn rows() -> BTreeMap<&'static str, Words> {
    let mut rows = BTreeMap::new();
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut columns = line.splitn(3, '|').map(str::trim);
        let (Some(name), Some(words), Some(meaning)) = (columns.next(), columns.next(), columns.next())
        else {
            panic!("{line}: has three columns")
        };
        assert!(!meaning.is_empty(), "{line}: says why");
        let words = words.split_whitespace().filter(|word| *word != "-").map(str::to_owned).collect();
        assert!(rows.insert(name, words).is_none(), "{name} is there twice");
    }
    rows
}

/// A field that nobody has thought about is how a request touches more than its sender may: six advisories of etcd are of
/// fields and nestings that its checks passed over. So the table must name every field of every request that is served,
/// and what setting the field makes the gate ask for must be what its row says, at every place where it can stand.
#[tokio::test]
async fn every_field_touches_what_its_row_says() {
    let (seen, mut rows) = (look().await, rows());
    let mut wrong: Vec<String> =
        seen.uneven.iter().map(|field| format!("{field}: not everywhere the same")).collect();
    let said = |words: &Words| words.iter().cloned().collect::<Vec<_>>().join(" ");
    for (method, words) in &seen.methods {
        match rows.remove(method.as_str()) {
            None => wrong.push(format!("{method} has no row; it touches: {}", said(words))),
            Some(row) if row != *words => {
                wrong.push(format!("{method} touches {:?}, its row says {:?}", said(words), said(&row)));
            }
            Some(_) => {}
        }
    }
    let known: Vec<&str> = rows.keys().copied().collect();
    for (field, by_method) in &seen.fields {
        for (method, words) in by_method {
            let own = format!("{field}@{method}");
            let row = if known.contains(&own.as_str()) { own } else { field.clone() };
            match known.contains(&row.as_str()).then(|| &rows[row.as_str()]) {
                None => wrong.push(format!("{field} has no row; in {method} it touches: {}", said(words))),
                Some(row) if row != words => {
                    wrong.push(format!(
                        "{field} in {method} touches {:?}, its row says {:?}",
                        said(words),
                        said(row)
                    ));
                }
                Some(_) => {}
            }
        }
    }
    for row in known {
        let (field, method) =
            row.split_once('@').map_or((row, None), |(field, method)| (field, Some(method)));
        let there =
            seen.fields.get(field).is_some_and(|by| method.is_none_or(|method| by.contains_key(method)));
        if !there {
            wrong.push(format!("{row} is in the table and in no request"));
        }
    }
    assert!(wrong.is_empty(), "rpc/fields.txt:\n{}", wrong.join("\n"));
}
