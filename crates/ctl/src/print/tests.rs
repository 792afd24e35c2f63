//! The printers against what the real etcdctl printed (`testdata/printed.json`, made by `testdata/record.py`).

use super::*;
use clap::{CommandFactory, FromArgMatches, Parser};
use prost::Message;
use serde_json::Value;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

fn recorded() -> Value {
    serde_json::from_str(include_str!("../../testdata/printed.json")).unwrap()
}

/// Recorded text is bytes, one character each.
fn unlatin(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

fn unbase64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let data: Vec<u8> = group.iter().copied().filter(|byte| *byte != b'=').map(digit).collect();
        let word = data.iter().fold(0u32, |word, six| word << 6 | u32::from(*six)) << (6 * (4 - data.len()));
        out.extend_from_slice(&word.to_be_bytes()[1..data.len()]);
    }
    out
}

const FORMATS: [Format; 5] = [Format::Simple, Format::Fields, Format::Json, Format::Table, Format::Protobuf];

fn printer(case: &Value, format: Format) -> Printer {
    let has = |option: &str| case["args"].as_array().unwrap().iter().any(|word| word == option);
    Printer {
        format,
        notation: if has("--hex") { Notation::Hex } else { Notation::Plain },
        shown: if has("--print-value-only") { Shown::ValuesOnly } else { Shown::KeysAndValues },
    }
}

/// Compares one answer in one form with the recording: the text, or the refusal.
fn compare(name: &str, case: &Value, format: Format, answer: &Answer<'_>) {
    let expected = &case[format.name()];
    let rendered = printer(case, format).render(answer);
    if expected["code"] == 4 {
        assert_eq!(rendered.unwrap_err().code, 4, "{name} {}", format.name());
        return;
    }
    let wanted = match (&expected["out"], &expected["base64"]) {
        (Value::String(text), _) => unlatin(text),
        (_, Value::String(text)) => unbase64(text),
        _ => panic!("{name} has no recording"),
    };
    // Go's printed messages have one or two spaces between fields, by build; we print one.
    let wanted = String::from_utf8_lossy(&wanted).replace("  alarm:", " alarm:");
    assert_eq!(String::from_utf8_lossy(&rendered.unwrap()), wanted, "{name} {}", format.name());
}

/// Compares all forms of a recorded answer, which is its own protobuf form.
fn check<M: Message + Default>(names: &[&str], answer: impl for<'a> Fn(&'a M) -> Answer<'a>) {
    let recorded = recorded();
    for name in names {
        let case = &recorded[*name];
        let message = M::decode(unbase64(case["protobuf"]["base64"].as_str().unwrap()).as_slice()).unwrap();
        for format in FORMATS {
            if case[format.name()]["code"] != 128 {
                compare(name, case, format, &answer(&message));
            }
        }
    }
}

/// Scripts cut etcdctl's output apart: every form of every answer about keys must be the same to the byte.
#[test]
fn answers_about_keys_print_as_etcdctls() {
    let gets = [
        "get",
        "get-all",
        "get-all-hex",
        "get-none",
        "get-limit",
        "get-keys-only",
        "lease-get",
        "lease-get-hex",
    ];
    check(&gets, |a| Answer::Range(a));
    check(&["put", "put-prev", "put-odd", "put-b", "lease-put"], |a| Answer::Put(a));
    check(&["del-none", "del-prev"], |a| Answer::Delete(a));
    check(&["txn-success", "txn-failure", "txn-empty"], |a| Answer::Txn(a));
    check(&["watch", "watch-hex"], |a| Answer::Watch(a));
}

/// The same for members and alarms, where tables and hexadecimal identifiers exist.
#[test]
fn answers_about_members_and_alarms_print_as_etcdctls() {
    check(&["member-list", "member-list-hex"], |a| Answer::Members(a));
    check(&["alarm-none", "alarm-list", "alarm-list-hex", "alarm-disarm"], |a| Answer::Alarm(a));
}

/// An option that only one form knows must print that form, and only that.
#[test]
fn values_alone_and_counts_alone_have_one_form() {
    let recorded = recorded();
    let answer = pb::RangeResponse {
        kvs: vec![mvccpb::KeyValue { key: "a".into(), value: "two".into(), ..mvccpb::KeyValue::default() }],
        ..pb::RangeResponse::default()
    };
    compare("get-value-only", &recorded["get-value-only"], Format::Simple, &Answer::Range(&answer));
}

/// The answer that a recorded line of JSON stands for; lease answers and endpoint answers have no other full form.
fn parsed(case: &Value) -> Value {
    serde_json::from_str(case["json"]["out"].as_str().unwrap()).unwrap()
}

fn header(of: &Value) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader {
        cluster_id: of["cluster_id"].as_u64()?,
        member_id: of["member_id"].as_u64()?,
        revision: of["revision"].as_i64().unwrap_or(0),
        raft_term: of["raft_term"].as_u64()?,
    })
}

const DATA: [Format; 3] = [Format::Simple, Format::Fields, Format::Json];

/// Lease answers are printed from the Go client's own structs: names differ from the messages.
#[test]
fn answers_about_leases_print_as_etcdctls() {
    let recorded = recorded();
    let number = |value: &Value| value.as_i64().unwrap();
    for name in ["lease-ttl", "lease-ttl-keys", "lease-ttl-hex", "lease-ttl-gone"] {
        let case = &recorded[name];
        let json = parsed(case);
        let keys =
            json["keys"].as_array().into_iter().flatten().map(|key| unbase64(key.as_str().unwrap()).into());
        let answer = pb::LeaseTimeToLiveResponse {
            header: header(&json),
            id: number(&json["id"]),
            ttl: number(&json["ttl"]),
            granted_ttl: number(&json["granted-ttl"]),
            keys: keys.collect(),
        };
        let keys = if case["args"].as_array().unwrap().contains(&"--keys".into()) {
            Keys::Shown
        } else {
            Keys::Hidden
        };
        for format in FORMATS {
            compare(name, case, format, &Answer::TimeToLive(&answer, keys));
        }
    }
    for name in ["lease-keep-alive", "lease-keep-alive-hex"] {
        let json = parsed(&recorded[name]);
        let (id, ttl) = (number(&json["ID"]), number(&json["TTL"]));
        let answer = pb::LeaseKeepAliveResponse { header: header(&json), id, ttl };
        for format in FORMATS {
            compare(name, &recorded[name], format, &Answer::KeepAlive(&answer));
        }
    }
    for name in ["lease-list", "lease-list-hex"] {
        let json = parsed(&recorded[name]);
        let leases = json["leases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|lease| pb::LeaseStatus { id: number(&lease["id"]) });
        let answer = pb::LeaseLeasesResponse { header: header(&json), leases: leases.collect() };
        for format in FORMATS {
            compare(name, &recorded[name], format, &Answer::Leases(&answer));
        }
    }
    let revoked = pb::LeaseRevokeResponse { header: header(&parsed(&recorded["lease-revoke"])["header"]) };
    for format in FORMATS {
        compare(
            "lease-revoke",
            &recorded["lease-revoke"],
            format,
            &Answer::Revoke(0x1234_5678_90ab, &revoked),
        );
    }
}

/// The server draws the identifier of a granted lease, so each form was recorded with its own.
#[test]
fn a_granted_lease_prints_as_etcdctls() {
    let recorded = recorded();
    for (name, hex) in [("lease-grant", false), ("lease-grant-hex", true)] {
        let case = &recorded[name];
        let json = parsed(case);
        let out = |format: Format| case[format.name()]["out"].as_str().unwrap().to_owned();
        for format in DATA {
            let text = out(format);
            let id = match format {
                Format::Simple => i64::from_str_radix(text.split(' ').nth(1).unwrap(), 16).unwrap(),
                Format::Fields => {
                    let line = text.lines().find_map(|line| line.strip_prefix("\"ID\" : ")).unwrap();
                    i64::from_str_radix(line, if hex { 16 } else { 10 }).unwrap()
                }
                _ => json["ID"].as_i64().unwrap(),
            };
            let answer = pb::LeaseGrantResponse { header: header(&json), id, ttl: 300, error: String::new() };
            compare(name, case, format, &Answer::Grant(&answer));
        }
    }
}

/// Status and hash feed dashboards and runbooks, table and all.
#[test]
fn answers_about_endpoints_print_as_etcdctls() {
    let recorded = recorded();
    let forms = [Format::Simple, Format::Fields, Format::Json, Format::Table];
    for name in ["status", "status-hex"] {
        let row = &parsed(&recorded[name])[0];
        let of = &row["Status"];
        let number = |field: &str| of[field].as_i64().unwrap_or(0);
        let answer = pb::StatusResponse {
            header: header(&of["header"]),
            version: of["version"].as_str().unwrap().into(),
            db_size: number("dbSize"),
            leader: of["leader"].as_u64().unwrap(),
            raft_index: of["raftIndex"].as_u64().unwrap(),
            raft_term: of["raftTerm"].as_u64().unwrap(),
            raft_applied_index: of["raftAppliedIndex"].as_u64().unwrap(),
            db_size_in_use: number("dbSizeInUse"),
            storage_version: of["storageVersion"].as_str().unwrap().into(),
            db_size_quota: number("dbSizeQuota"),
            downgrade_info: Some(pb::DowngradeInfo::default()),
            ..pb::StatusResponse::default()
        };
        let list = [State { endpoint: row["Endpoint"].as_str().unwrap().into(), answer }];
        for format in forms {
            compare(name, &recorded[name], format, &Answer::Status(&list));
        }
    }
    let row = &parsed(&recorded["hashkv"])[0];
    let of = &row["HashKV"];
    let answer = pb::HashKvResponse {
        header: header(&of["header"]),
        hash: u32::try_from(of["hash"].as_u64().unwrap()).unwrap(),
        compact_revision: of["compact_revision"].as_i64().unwrap(),
        hash_revision: of["hash_revision"].as_i64().unwrap(),
    };
    let list = [Hash { endpoint: row["Endpoint"].as_str().unwrap().into(), answer }];
    for format in forms {
        compare("hashkv", &recorded["hashkv"], format, &Answer::Hash(&list));
    }
}

/// Who may do what is read by people and cut apart by scripts: every form of it must be etcdctl's, open ends and bytes that are no
/// text among it.
#[test]
fn answers_about_users_and_roles_print_as_etcdctls() {
    check(&["role-get", "role-get-hex", "role-get-none"], |a| Answer::Role("r", a));
    check(&["role-get-root"], |a| Answer::Role("root", a));
    check(&["role-list"], |a| Answer::Roles(a));
    check(&["user-get", "user-get-none"], |a| Answer::User("al", a));
    check(&["user-list"], |a| Answer::Users(a));
    check(&["auth-status", "auth-status-on"], |a| Answer::AuthStatus(a));
    for (name, sentence) in [
        ("user-add-other", &b"User al created"[..]),
        ("role-add", b"Role r created"),
        ("role-grant-prefix", b"Role r updated"),
        ("user-grant", b"Role r is granted to user al"),
        ("user-revoke", b"Role r is revoked from user al"),
        ("role-revoke-key", b"Permission of key k is revoked from role r"),
        ("role-revoke-range", b"Permission of range [a, z) is revoked from role r"),
        ("role-delete", b"Role r deleted"),
        ("user-delete", b"User al deleted"),
    ] {
        check::<pb::AuthUserAddResponse>(&[name], |a| Answer::Done(sentence, a.header));
    }
}

/// A server from before etcd 3.4 shows the role of administrators without permissions; it may do everything all the same.
#[test]
fn the_role_root_is_shown_with_all_keys() {
    let answer = pb::AuthRoleGetResponse::default();
    let all = Printer::default().render(&Answer::Role("root", &answer)).unwrap();
    assert_eq!(all, b"Role root\nKV Read:\n\t[, <open ended>\nKV Write:\n\t[, <open ended>\n");
    let none = Printer::default().render(&Answer::Role("r", &answer)).unwrap();
    assert_eq!(none, b"Role r\nKV Read:\nKV Write:\n");
}

/// Health is measured, so each form was recorded with its own time.
#[test]
fn health_prints_as_etcdctls() {
    let recorded = recorded();
    for (name, healthy, error) in [("health", true, ""), ("health-alarm", false, "Active Alarm(s): NOSPACE ")]
    {
        for format in [Format::Simple, Format::Fields, Format::Json, Format::Table] {
            let text = recorded[name][format.name()]["out"].as_str().unwrap();
            let took = text.split(['"', ' ', '\n']).find(|word| word.ends_with("ms")).unwrap_or_default();
            let endpoint = "127.0.0.1:23890".to_owned();
            let list = [Health { endpoint, healthy, took: took.to_owned(), error: error.to_owned() }];
            let wanted = String::from_utf8(unlatin(text)).unwrap();
            let rendered = printer(&recorded[name], format).render(&Answer::Health(&list)).unwrap();
            assert_eq!(String::from_utf8(rendered).unwrap(), wanted, "{name} {}", format.name());
        }
    }
}

/// The commands as a whole command line.
#[derive(Parser, Debug)]
#[command(infer_subcommands = true)]
struct Cli {
    #[command(flatten)]
    global: crate::Global,
    #[command(subcommand)]
    command: crate::Command,
}

/// Reads a command line as the binary does.
fn read(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Cli, clap::Error> {
    let matches = crate::as_in_etcdctl(Cli::command()).try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches)
}

/// Mistakes in arguments are found before any connection, with etcdctl's words and codes.
#[test]
fn argument_mistakes_have_etcdctls_words_and_codes() {
    let mut checked = 0;
    for (name, case) in recorded().as_object().unwrap() {
        let expected = &case["simple"];
        let offline = name.starts_with("error-") && (expected["code"] == 128 || expected["code"] == 4);
        // Without a value, put would wait for standard input.
        if !(offline || name == "error-compact-number") || name == "error-put-args" {
            continue;
        }
        let words = case["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| OsString::from_vec(unlatin(word.as_str().unwrap())));
        let start = ["strongroom", "--endpoints=127.0.0.1:1"].map(OsString::from);
        let cli = read(start.into_iter().chain(words)).unwrap();
        let failure = crate::attempt(&cli.global, cli.command, &mut Cli::command()).unwrap_err();
        assert_eq!(u64::from(failure.code), expected["code"].as_u64().unwrap(), "{name}");
        assert_eq!(format!("Error: {}\n", failure.message), expected["err"].as_str().unwrap(), "{name}");
        checked += 1;
    }
    assert!(checked >= 30, "{checked}");
}

/// A mistyped option is repeated to whoever typed it; the password behind it must not be, since messages end in logs.
#[test]
fn a_mistyped_option_does_not_repeat_a_password() {
    for line in [
        "user add al --new-user-pasword=hush",
        "user passwd al --pasword=hush",
        "--pasword=hush get a",
        "--user=al:hush get a --limit=x",
        "user list --pass=hush",
        "--auth-jwt-tokn=hush get a",
    ] {
        let error = read(std::iter::once("strongroom").chain(line.split(' '))).unwrap_err();
        assert!(!error.to_string().contains("hush"), "{line}: {error}");
    }
}

/// The command line is data: clap checks that names, aliases and values do not collide only when asked.
#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
    for line in [
        "compact 3",
        "compaction 3",
        "member li",
        "lease keep-alive --once 7",
        "get a -w json",
        "-w json get a",
        "lock a -- ls -l",
        "put a -- -x",
        "watch a b --rev 3 -- echo x",
        "endpoint health --cluster=true",
        "get a --prefix=false --rev 0x10 --rev=1 --hex=1",
        "user add al --interactive=false --new-user-password -x",
        "user add al --interactive --no-password",
        "--user al --password -x user get al --detail",
        "role grant-permission r readwrite a --prefix",
        "role grant-permission r read a b",
        "auth enable",
    ] {
        let words = std::iter::once("strongroom").chain(line.split(' '));
        assert!(read(words).is_ok(), "{line}");
    }
    assert!(read(["strongroom", "put", "a", "-5"]).is_err());
}
