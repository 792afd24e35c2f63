"""Requests that are oversized, malformed or contradict themselves: etcd's exact error, byte for byte what the real one says.

What this is: the same bytes go to both servers, and HTTP status, gRPC code and message must be the same. The differential program
compares requests that are well formed by the ten thousand; here are the ones it cannot build.
"""

import wire
from checks import fault
from wire import field, frame

KV, LEASE, WATCH = "etcdserverpb.KV", "etcdserverpb.Lease", "etcdserverpb.Watch"
PUT, RANGE, DELETE, TXN, COMPACT = (f"{KV}/{m}" for m in ("Put", "Range", "DeleteRange", "Txn", "Compact"))
GRANT = f"{LEASE}/LeaseGrant"


def put(key, value="", **more):
    names = {"lease": 3, "prev_kv": 4, "ignore_value": 5, "ignore_lease": 6}
    return (field(1, key) if key else b"") + (field(2, value) if value else b"") + b"".join(field(names[n], int(v)) for n, v in more.items())


def deep(levels):
    """A transaction in a transaction in a transaction."""
    message = b""
    for _ in range(levels):
        message = field(2, field(4, message))
    return message


def op_put(key):
    return field(2, field(2, put(key, "v")))


# Each: what it is, the method, the body. Only requests that every server must refuse, so both stay in the same state.
CASES = (
    ("body that is no protobuf", PUT, frame(b"\xff" * 40)),
    ("field cut short", PUT, frame(b"\x0a\x7fab")),
    ("field of a wrong wire type", PUT, frame(b"\x08\x01")),
    ("field number zero", PUT, frame(b"\x02\x01a")),
    ("varint that never ends", RANGE, frame(b"\x18" + b"\xff" * 12)),
    ("group that is not closed", RANGE, frame(b"\x0b\x08\x01")),
    ("txn whose operation is no protobuf", TXN, frame(field(2, b"\xff\xff\xff"))),
    ("frame that says more bytes than come", PUT, frame(put("a", "b"), length=1000)),
    ("frame that says 4 GiB", PUT, frame(put("a", "b"), length=0xFFFFFFFF)),
    ("frame cut in its head", PUT, b"\x00\x00"),
    ("no frame at all", PUT, b""),
    ("compressed flag without an encoding", PUT, frame(put("a", "b"), compressed=1)),
    ("flag that does not exist", PUT, frame(put("a", "b"), compressed=7)),
    ("two messages where one belongs", PUT, frame(put("", "b")) + frame(put("", "b"))),
    ("method that does not exist", f"{KV}/Nothing", frame(b"")),
    ("service that does not exist", "nobody.Nothing/Put", frame(b"")),
    ("value of 1.6 MB", PUT, frame(put("a", b"x" * 1_600_000))),
    ("value just over the limit", PUT, frame(put("a", b"x" * 1_572_864))),
    ("frame that says 3 MB", PUT, frame(put("a", "b"), length=3_000_000)),
    ("put without a key", PUT, frame(put("", "v"))),
    ("put that ignores the value it brings", PUT, frame(put("a", "v", ignore_value=True))),
    ("put that ignores the lease it brings", PUT, frame(put("a", "v", lease=7, ignore_lease=True))),
    ("put with a lease that does not exist", PUT, frame(put("a", "v", lease=77))),
    ("put that keeps the value of no key", PUT, frame(put("no such", ignore_value=True))),
    ("range without a key", RANGE, frame(b"")),
    ("range at a revision to come", RANGE, frame(field(1, "a") + field(4, 1_000_000))),
    ("range with an order that does not exist", RANGE, frame(field(1, "a") + field(5, 9))),
    ("range with a target that does not exist", RANGE, frame(field(1, "a") + field(6, 9))),
    ("delete without a key", DELETE, frame(b"")),
    ("compaction to a revision to come", COMPACT, frame(field(1, 1_000_000))),
    ("txn that puts a key twice", TXN, frame(op_put("a") + op_put("a"))),
    ("txn with too many operations", TXN, frame(b"".join(op_put(f"k{n}") for n in range(129)))),
    ("txn with an operation that is empty", TXN, frame(field(2, b""))),
    ("txn that compares without a key", TXN, frame(field(1, field(1, 0)))),
    ("txn with a put without a key deep inside", TXN, frame(field(2, field(4, op_put(""))))),
    ("txn nested 200 deep", TXN, frame(deep(200))),
    ("txn nested 20,000 deep", TXN, frame(deep(20_000)[:1_400_000])),
    ("lease with a time of too many years", GRANT, frame(field(1, 9_000_000_001))),
    ("keep-alive of garbage", f"{LEASE}/LeaseKeepAlive", frame(b"\xff\xff")),
    ("watch of garbage", f"{WATCH}/Watch", frame(b"\xff\xff")),
    ("lease that does not exist revoked", f"{LEASE}/LeaseRevoke", frame(field(1, 77))),
    ("member that does not exist removed", "etcdserverpb.Cluster/MemberRemove", frame(field(1, 77))),
    ("move of the leadership to nobody", "etcdserverpb.Maintenance/MoveLeader", frame(field(1, 77))),
    ("snapshot-less downgrade to an odd version", "etcdserverpb.Maintenance/Downgrade", frame(field(2, "1.2.3"))),
)

PROTO = "grpc: error unmarshalling request: proto: "
# Where ours says something else on purpose: what it says, and why. docs/book/differences.md has the first three.
DECIDED = {
    "field of a wrong wire type": ((200, "13", f"{PROTO}cannot parse invalid wire-format data"), "a known field of the wrong type is malformed"),
    "txn nested 200 deep": ((200, "13", f"{PROTO}cannot parse invalid wire-format data"), "nesting is bounded while it is read"),
    "txn nested 20,000 deep": ((200, "13", f"{PROTO}cannot parse invalid wire-format data"), "nesting is bounded while it is read"),
    "frame cut in its head": ((200, "2", "unexpected EOF"), "cut short is cut short, wherever"),
}


def compared(checks, ours, real):
    """Every case on both servers."""
    before = len(open(ours.log_path, errors="replace").read())
    for name, method, body in CASES:
        expected = wire.grpc(real.endpoint, method, body)
        got = wire.grpc(ours.endpoint, method, body)
        if name in DECIDED:
            mine, why = DECIDED[name]
            checks.line(
                f"request: {name}", f"{told(mine)}, and not etcd's {told(expected)}: {why}", None if got in (mine, expected) else told(got)
            )
            continue
        checks.line(f"request: {name}", f"etcd's answer, {told(expected)}", None if got == expected else told(got))
    got = wire.grpc(ours.endpoint, RANGE, frame(field(1, "a")), content_type="text/plain")
    problem = None if got[0] in (404, 415) else told(got)
    checks.line("request: content type that is not gRPC's", "404 or 415: it is HTTP, which knows no such path", problem)
    said = open(ours.log_path, errors="replace").read()[before:]
    checks.all(
        "request: after all of these",
        "the server lives, without a fault in its log",
        None if ours.process.poll() is None else f"it ended with {ours.process.poll()}",
        fault(said),
    )


def told(answer):
    status, code, message = answer
    return f"HTTP {status}, code {code}, {message!r}" if len(str(message)) < 300 else f"HTTP {status}, code {code}, {str(message)[:300]!r}…"
