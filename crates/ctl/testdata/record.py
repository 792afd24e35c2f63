#!/usr/bin/env python3
"""Records what the real etcdctl prints, for the printers' tests.

    record.py ETCD ETCDCTL > printed.json

Runs one list of commands against a fresh etcd for each output format, so that revisions are the same in all of them,
and writes for every command the printed text in each format and, where etcdctl can print it, the answer itself as
protobuf. Ports are taken from the environment (PORT, default 23890).
"""
import base64, json, os, shutil, subprocess, sys, tempfile, time, urllib.request

etcd, etcdctl = sys.argv[1:3]
port = int(os.environ.get("PORT", "23890"))
LEASE = 0x1234567890AB
TXN_OK = 'mod("a") > "0"\n\nput a 2\nget a\ndel b\n\nput c 1\n\n'
TXN_NO = 'value("a") = "never"\n\nput a 2\n\nget a\nget nothing\n\n'

STEPS = [
    ("put", ["put", "a", "one"], None),
    ("put-prev", ["put", "a", "two", "--prev-kv"], None),
    ("put-odd", ["put", b"odd\xff\x01\"\\\t\n\xc3\xa9<>&\xe2\x80\xa8\x7f", b"<&>\xf0\x9f\x92\xa1\xc2\xa0"], None),
    ("put-b", ["put", "b", ""], None),
    ("get", ["get", "a"], None),
    ("get-all", ["get", "", "--prefix"], None),
    ("get-all-hex", ["get", "", "--prefix", "--hex"], None),
    ("get-none", ["get", "nothing"], None),
    ("get-limit", ["get", "", "--prefix", "--limit=1"], None),
    ("get-keys-only", ["get", "a", "--keys-only"], None),
    ("get-value-only", ["get", "a", "--print-value-only"], None),
    ("get-count-only", ["get", "", "--prefix", "--count-only"], None),
    ("txn-success", ["txn"], TXN_OK),
    ("txn-failure", ["txn"], TXN_NO),
    ("txn-empty", ["txn"], "\n\n\n"),
    ("del-none", ["del", "nothing"], None),
    ("del-prev", ["del", "a", "--prev-kv"], None),
    ("watch", ["watch", "", "--prefix", "--rev=1", "--prev-kv"], "watch"),
    ("watch-hex", ["watch", "a", "--rev=1", "--hex"], "watch"),
    ("member-list", ["member", "list"], None),
    ("member-list-hex", ["member", "list", "--hex"], None),
    ("alarm-none", ["alarm", "list"], None),
    ("alarm-arm", None, ("/v3/maintenance/alarm", {"action": "ACTIVATE", "memberID": "0", "alarm": "NOSPACE"})),
    ("alarm-list", ["alarm", "list"], None),
    ("alarm-list-hex", ["alarm", "list", "--hex"], None),
    ("health-alarm", ["endpoint", "health"], None),
    ("alarm-disarm", ["alarm", "disarm"], None),
    ("lease-make", None, ("/v3/lease/grant", {"ID": str(LEASE), "TTL": "100000"})),
    ("lease-put", ["put", "leased", "x", "--lease=%x" % LEASE], None),
    ("lease-get", ["get", "leased"], None),
    ("lease-get-hex", ["get", "leased", "--hex"], None),
    ("lease-keep-alive", ["lease", "keep-alive", "--once", "%x" % LEASE], None),
    ("lease-keep-alive-hex", ["lease", "keep-alive", "--once", "%x" % LEASE, "--hex"], None),
    ("lease-ttl", ["lease", "timetolive", "%x" % LEASE], None),
    ("lease-ttl-keys", ["lease", "timetolive", "%x" % LEASE, "--keys"], None),
    ("lease-ttl-hex", ["lease", "timetolive", "%x" % LEASE, "--keys", "--hex"], None),
    ("lease-ttl-gone", ["lease", "timetolive", "77"], None),
    ("lease-list", ["lease", "list"], None),
    ("lease-list-hex", ["lease", "list", "--hex"], None),
    ("lease-grant", ["lease", "grant", "300"], None),
    ("lease-grant-hex", ["lease", "grant", "300", "--hex"], None),
    ("lease-revoke", ["lease", "revoke", "%x" % LEASE], None),
    ("compact", ["compaction", "3"], None),
    ("compact-again", ["compaction", "3"], None),
    ("health", ["endpoint", "health"], None),
    ("defrag", ["defrag"], None),
    ("status", ["endpoint", "status"], None),
    ("status-hex", ["endpoint", "status", "--hex"], None),
    ("hashkv", ["endpoint", "hashkv"], None),
    ("error-no-lease", ["put", "x", "y", "--lease=77"], None),
    ("error-future", ["get", "a", "--rev=1000"], None),
    ("error-bad-lease", ["put", "x", "y", "--lease=zz"], None),
    ("error-bad-sort", ["get", "x", "--sort-by=WHAT"], None),
    ("error-bad-consistency", ["get", "x", "--consistency=q"], None),
    ("error-prefix-from-key", ["get", "x", "--prefix", "--from-key"], None),
    ("error-put-args", ["put"], None),
    ("error-del-args", ["del"], None),
    ("error-compact-args", ["compaction"], None),
    ("error-compact-number", ["compaction", "x"], None),
    ("error-txn-compare", ["txn"], "what\n\n\n\n"),
    ("error-txn-target", ["txn"], 'foo("a") = "1"\n\n\n\n'),
    ("error-txn-request", ["txn"], '\nfly away\n\n\n'),
    ("error-txn-eof", ["txn"], '\n'),
    ("error-lease-id", ["lease", "revoke", "xyz"], None),
    ("error-lease-gone", ["lease", "revoke", "77"], None),
    ("error-keep-alive-gone", ["lease", "keep-alive", "--once", "77"], None),
    ("error-ttl", ["lease", "grant", "x"], None),
    ("error-key-empty", ["put", "", "x"], None),
    ("error-compacted", ["get", "a", "--rev=1"], None),
    ("error-watch-args", ["watch"], None),
    ("error-watch-compacted", ["watch", "a", "--rev=1"], None),
    ("error-elect", ["elect", "x"], None),
    ("user-add", ["user", "add", "root", "--no-password"], None),
    ("user-add-other", ["user", "add", "al", "--new-user-password=pw"], None),
    ("role-add", ["role", "add", "r"], None),
    ("role-add-root", ["role", "add", "root"], None),
    ("role-get-none", ["role", "get", "r"], None),
    ("role-grant-key", ["role", "grant-permission", "r", "read", "k"], None),
    ("role-grant-prefix", ["role", "grant-permission", "r", "readwrite", "p", "--prefix"], None),
    ("role-grant-from", ["role", "grant-permission", "r", "write", "x\"<", "--from-key"], None),
    ("role-grant-range", ["role", "grant-permission", "r", "write", "a", "z"], None),
    ("role-grant-high", ["role", "grant-permission", "r", "read", b"\xff\xff", "--prefix"], None),
    ("role-get", ["role", "get", "r"], None),
    ("role-get-hex", ["role", "get", "r", "--hex"], None),
    ("role-get-root", ["role", "get", "root"], None),
    ("role-list", ["role", "list"], None),
    ("user-get-none", ["user", "get", "al"], None),
    ("user-grant", ["user", "grant-role", "al", "r"], None),
    ("user-grant-root", ["user", "grant-role", "root", "root"], None),
    ("user-grant-more", ["user", "grant-role", "al", "root"], None),
    ("user-get", ["user", "get", "al"], None),
    ("user-list", ["user", "list"], None),
    ("auth-status", ["auth", "status"], None),
    ("user-revoke", ["user", "revoke-role", "al", "r"], None),
    ("role-revoke-key", ["role", "revoke-permission", "r", "k"], None),
    ("role-revoke-from", ["role", "revoke-permission", "r", "x\"<", "--from-key"], None),
    ("role-revoke-range", ["role", "revoke-permission", "r", "a", "z"], None),
    ("role-delete", ["role", "delete", "r"], None),
    ("user-delete", ["user", "delete", "al"], None),
    ("auth-enable", ["auth", "enable"], None),
    ("auth-status-on", ["auth", "status"], None),
    ("error-user-empty", ["user", "list"], None),
    ("error-user-add-args", ["user", "add"], None),
    ("error-user-add-many", ["user", "add", "a", "b"], None),
    ("error-user-add-no-name", ["user", "add", ":x"], None),
    ("error-user-delete-args", ["user", "delete"], None),
    ("error-user-get-args", ["user", "get", "a", "b"], None),
    ("error-user-list-args", ["user", "list", "x"], None),
    ("error-user-passwd-args", ["user", "passwd"], None),
    ("error-user-grant-args", ["user", "grant-role", "a"], None),
    ("error-user-revoke-args", ["user", "revoke-role", "a"], None),
    ("error-role-add-args", ["role", "add"], None),
    ("error-role-delete-args", ["role", "delete", "a", "b"], None),
    ("error-role-get-args", ["role", "get"], None),
    ("error-role-list-args", ["role", "list", "x"], None),
    ("error-role-grant-args", ["role", "grant-permission", "r", "read"], None),
    ("error-role-grant-kind", ["role", "grant-permission", "r", "own", "k"], None),
    ("error-role-grant-end", ["role", "grant-permission", "r", "read", "k", "e", "--prefix"], None),
    ("error-role-grant-from-end", ["role", "grant-permission", "r", "read", "k", "e", "--from-key"], None),
    ("error-role-grant-both", ["role", "grant-permission", "r", "read", "k", "--prefix", "--from-key"], None),
    ("error-role-revoke-args", ["role", "revoke-permission", "r"], None),
    ("error-auth-enable-args", ["auth", "enable", "x"], None),
    ("error-auth-disable-args", ["auth", "disable", "x"], None),
    ("error-auth-status-args", ["auth", "status", "x"], None),
]


def text(raw):
    return raw.decode("latin-1")


def call(path, body):
    if path.endswith("alarm"):
        listing = json.load(urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{port}/v3/cluster/member/list", b"{}")))
        body = dict(body, memberID=listing["members"][0]["ID"])
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode())).read()


def run(args, style, stdin):
    argv = [etcdctl, f"--endpoints=127.0.0.1:{port}", "-w", style] + args
    if stdin == "watch":
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1)
        code = child.poll() or 0
        child.terminate()
        out, err = child.communicate()
        return out, err, code
    done = subprocess.run(argv, input=(stdin or "").encode(), capture_output=True, timeout=60)
    return done.stdout, done.stderr, done.returncode


result = {}
for style in ["simple", "fields", "json", "table", "protobuf"]:
    directory = tempfile.mkdtemp()
    server = subprocess.Popen([etcd, "--data-dir", directory, "--name=one", "--log-level=error",
                               f"--listen-client-urls=http://127.0.0.1:{port}",
                               f"--advertise-client-urls=http://127.0.0.1:{port}",
                               f"--listen-peer-urls=http://127.0.0.1:{port + 1}",
                               f"--initial-advertise-peer-urls=http://127.0.0.1:{port + 1}",
                               f"--initial-cluster=one=http://127.0.0.1:{port + 1}"])
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()
                break
            except OSError:
                time.sleep(0.1)
        for name, args, extra in STEPS:
            if args is None:
                call(*extra)
                continue
            out, err, code = run(args, style, extra)
            shown = [text(a) if isinstance(a, bytes) else a for a in args]
            entry = result.setdefault(name, {"args": shown})
            if isinstance(extra, str) and extra != "watch":
                entry["stdin"] = extra
            entry[style] = {"code": code}
            if style == "protobuf":
                entry[style]["base64"] = base64.b64encode(out).decode()
            else:
                entry[style]["out"] = text(out)
            said = "".join(line for line in text(err).splitlines(True) if not line.startswith("{"))
            if said:
                entry[style]["err"] = said
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(directory)
json.dump(result, sys.stdout, indent=1)
print()
