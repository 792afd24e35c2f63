"""The commands, in order: everything etcdctl can ask of a single member without access control.

What this is: one function a chapter, each given a `Session`. Both servers hear exactly the same commands, so revisions,
versions, counts and hashes have to come out the same. Keys with leases come after the first hashes, because a lease's
identifier is chosen by the client library at random and is part of what is hashed.

Watches always name their first revision: then it does not matter whether the put or the watch arrives first.
"""

import json
import time


def revision(s):
    """The store's revision now, from a read's header."""
    return json.loads(s.run("get", "no-such-key", "-w", "json"))["header"]["revision"]


def wait_for_keys(s, prefix, count):
    """Asks until that many keys are there, or ten seconds are over (the next step then shows what is missing)."""
    until = time.monotonic() + 10
    while json.loads(s.quiet("get", prefix, "--prefix", "-w", "json")).get("count", 0) != count and time.monotonic() < until:
        pass


def put_and_get(s):
    s.formats("put", "a", "1")
    s.formats("put", "a", "2", "--prev-kv")
    s.formats("put", "new", "x", "--prev-kv")
    for key, value in (("b", "bee"), ("c", "sea"), ("c", "see"), ("foo", "1"), ("foo1", "2"), ("foo2", "0"), ("z", "last")):
        s.run("put", key, value)
    s.run("put", "from-stdin", stdin=b"read from\nstandard input")
    s.run("put", "--", "-dash", "-value")
    s.run("put", "empty", "")
    s.run("put", "binary", stdin=bytes(range(256)))
    s.run("put", "ключ", "значение")
    s.formats("get", "a")
    s.formats("get", "no-such-key")
    s.formats("get", "foo", "--prefix")
    s.formats("get", "", "--prefix", "--keys-only")
    s.formats("get", "", "--prefix", "--count-only")
    s.formats("get", "b", "d")
    s.formats("get", "binary", "--hex")
    for options in (
        ["a", "--consistency=s"], ["a", "--print-value-only"], ["b", "--from-key"], ["", "--from-key"], ["foo", "--prefix", "--limit=2"],
        ["", "--prefix", "--limit=3", "-w", "json"], ["a", "--rev=3"], ["c", "--rev=20", "-w", "json"], ["ключ"], ["-w", "json", "ключ"],
        ["", "--prefix", "--min-mod-rev=8"], ["", "--prefix", "--max-mod-rev=8"], ["", "--prefix", "--min-create-rev=8"],
        ["", "--prefix", "--max-create-rev=8", "-w", "json"], ["", "--prefix", "--min-mod-rev=8", "--count-only"],
        ["", "--prefix", "--stream"], ["", "--prefix", "--stream", "--keys-only"], ["foo", "--prefix", "--stream", "--limit=2"],
        ["", "--prefix", "--stream", "-w", "json"], ["z", "a"], ["a", "a"], ["a", "--prefix", "--from-key"], ["a", "--rev=100000"],
        ["a", "--consistency=x"], [], ["", ], ["a", "b", "c"],
    ):
        s.run("get", *options)
    # Few enough keys that Go's sort keeps equal ones in order (insertion sort up to 12): what comes first among equals beyond that
    # is an accident of its algorithm, and no client may count on it.
    for key, value, times in (("d", "2", 3), ("a", "2", 1), ("c", "1", 2), ("b", "3", 1), ("e", "0", 4)):
        for _ in range(times):
            s.run("put", f"sort/{key}", value)
    for target in ("CREATE", "KEY", "MODIFY", "VALUE", "VERSION"):
        for order in ("ASCEND", "DESCEND"):
            s.run("get", "sort/", "--prefix", f"--sort-by={target}", f"--order={order}")
    s.run("get", "sort/", "--prefix", "--sort-by=VALUE", "--limit=3", "-w", "json")
    s.run("get", "", "--prefix", "--order=UP")
    s.run("put", "a", "3", "--ignore-value")
    s.run("put", "a", "--ignore-value")
    s.run("put", "no-such-key", "--ignore-value")
    s.run("put", "a", "4", "--ignore-lease")
    s.run("put", "no-such-key", "4", "--ignore-lease")
    s.run("put", "a", "5", "--lease=123abc")
    s.run("put", "", "value")
    s.run("put")
    s.run("put", "large", stdin=b"x" * (1536 * 1024 + 4096))
    s.run("put", "nearly", stdin=b"x" * (1024 * 1024))
    s.run("put", "larger", stdin=b"x" * (3 * 1024 * 1024))


def delete(s):
    for n in range(20):
        s.run("put", f"del/{n:02}", str(n))
    s.formats("del", "no-such-key")
    for n, kind in enumerate(("simple", "json", "fields", "table", "protobuf")):
        s.run("del", f"del/0{n}", "--prev-kv", "-w", kind)
    s.run("del", "del/05", "del/08", "--prev-kv")
    s.run("del", "del/08", "--range", "del/09")
    s.run("del", "del/1", "--prefix")
    s.run("del", "del/", "--prefix", "--prev-kv", "-w", "json")
    s.run("put", "zz1", "1")
    s.run("put", "zz2", "2")
    s.run("del", "zz", "--from-key", "--prev-kv")
    s.run("del", "zz", "aa")
    s.run("del", "")
    s.run("del")


def transactions(s):
    success = b'mod("a") > "0"\n\nput t1 "one"\nget a\ndel t0\n\nput t1 failed\n\n'
    s.formats("txn", stdin=success)
    s.formats("txn", stdin=b'value("a") = "nothing like it"\n\nput t1 one\n\nget t1\nput t2 "two words"\n\n')
    for condition in (
        'value("a") = "4"', 'value("a") != "4"', 'value("a") < "5"', 'value("a") > "5"', 'create("a") = "2"', 'create("nothing") = "0"',
        'version("a") > "1"', 'version("nothing") = "0"', 'mod("a") < "2"', 'c("a") > "0"', 'ver("a") = "1"',
    ):
        s.run("txn", "-w", "json", stdin=f"{condition}\n\nget a\n\nget b\n\n".encode(), title="txn " + condition)
    s.run("txn", "-i", stdin=b'mod("a") > "0"\n\nget foo --prefix\ndel foo2\n\n\n')
    s.run("txn", stdin=b"\n\n\n")
    s.run("txn", stdin=b"\nput same 1\nput same 2\n\n\n", title="txn with one key put twice")
    s.run("txn", stdin=b"\nput same 1\ndel sam --prefix\n\n\n", title="txn with a put inside a delete")
    s.run("txn", stdin=b"\nput t3 3 --lease=77\n\n\n", title="txn with an unknown lease")
    s.run("txn", stdin=b"\n" + b"".join(b"put many%d 1\n" % n for n in range(128)) + b"\n\n", title="txn with 128 operations")
    s.run("txn", stdin=b"\n" + b"".join(b"put many%d 1\n" % n for n in range(129)) + b"\n\n", title="txn with 129 operations")
    s.run("txn", stdin=b"\nget a --rev=100000\n\n\n", title="txn reading a future revision")
    s.run("txn", stdin=b"nonsense\n\n\n\n")
    s.run("del", "many", "--prefix")


def watches(s):
    first = revision(s) + 1
    w = s.background("watch", "w", "--prefix", f"--rev={first}", "--prev-kv")
    j = s.background("watch", "w", "x", f"--rev={first}", "-w", "json")
    # One after another: how many events share an answer depends on who was faster.
    for command in (["put", "w1", "one"], ["put", "w1", "two"], ["put", "w2", "other"], ["del", "w", "--prefix"]):
        s.run(*command)
        j.wait_lines(1)
    w.wait_lines(3 + 5 + 3 + 5 + 5)
    w.interrupt()
    j.interrupt()
    for kind in ("json", "fields"):
        w = s.background("watch", "w", "--prefix", f"--rev={first}", "-w", kind, title=f"watch history -w {kind}")
        w.wait_lines(1 if kind == "json" else 39)
        w.interrupt()
    for options, lines in ((["w", "--prefix"], 15), (["w1"], 9), (["w", "--prefix", "--prev-kv"], 21), (["w", "--prefix", "--hex"], 15)):
        w = s.background("watch", *options, f"--rev={first}", title="watch history " + " ".join(options))
        w.wait_lines(lines)
        w.interrupt()
    w = s.background("watch", "w1", f"--rev={first}", "--", "sh", "-c", 'echo "$ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_REVISION"')
    w.wait_lines(12)
    w.interrupt()
    i = s.background("watch", "-i")
    i.say(f"watch w1 --rev={first}\n")
    i.wait_lines(9)
    i.say(f"watch w2 --rev={first}\n")
    i.wait_lines(6)
    i.interrupt()
    p = s.background("watch", "w", "--progress-notify")
    p.wait_lines(2)
    p.interrupt()
    s.run("watch", title="watch without a key")


def maintenance(s):
    s.formats("endpoint", "health", more="status")
    s.formats("endpoint", "status", more="status")
    s.formats("endpoint", "hashkv")
    at = revision(s)
    s.run("endpoint", "hashkv", f"--rev={at - 3}")
    s.run("endpoint", "hashkv", f"--rev={at + 1000}")
    for cluster in ("health", "status", "hashkv"):
        s.run("endpoint", cluster, "--cluster", more="status")
    s.formats("alarm", "list")
    s.formats("alarm", "disarm")
    s.formats("member", "list")
    s.run("member", "list", "--hex", "-w", "json")
    s.run("compaction", "5")
    s.run("compaction", "5", title="compaction of the same revision")
    s.run("compaction", "3", title="compaction of an older revision")
    s.run("compaction", "100000")
    s.run("compaction", "0")
    s.run("compaction", "-1")
    s.run("compaction", "x")
    s.run("get", "a", "--rev=4", title="get a compacted revision")
    s.run("watch", "a", "--rev=2", title="watch from a compacted revision")
    s.run("endpoint", "hashkv", "--rev=4", title="hashkv at a compacted revision")
    s.formats("endpoint", "hashkv")
    s.run("compaction", str(at - 2), "--physical")
    s.formats("endpoint", "hashkv")
    s.run("endpoint", "hashkv", f"--rev={at - 1}", title="hashkv just above the compacted revision")
    s.run("get", "", "--prefix", "-w", "json", title="everything after the compaction")
    s.run("defrag")
    s.run("defrag", "--cluster")
    s.run("get", "", "--prefix", "-w", "json", title="everything after defrag")
    s.run("endpoint", "hashkv", title="hashkv after defrag")


def cluster(s):
    me = json.loads(s.run("member", "list", "-w", "json"))["members"][0]["ID"]
    s.run("move-leader", f"{me:x}", title="move-leader to itself")
    s.run("move-leader", "8e9e05c52164694d")
    s.run("move-leader")
    s.run("move-leader", "nonsense")
    s.run("member", "remove", "abcdef0123456789")
    s.run("member", "promote", "abcdef0123456789")
    s.run("member", "promote", f"{me:x}", title="member promote of itself")
    s.run("member", "update", "abcdef0123456789", "--peer-urls=http://127.0.0.1:7380")
    for target in ("3.7", "3.6", "3.5", "3.8", "4.0", "nonsense", ""):
        s.run("downgrade", "validate", target)
    s.run("downgrade", "cancel", title="downgrade cancel without one")
    s.run("downgrade", "enable", "3.5")
    s.run("downgrade", "enable", "nonsense")


def downgrade(s):
    s.run("downgrade", "enable", "3.6")
    s.run("downgrade", "cancel")


def leases(s):
    granted = [s.run("lease", "grant", "600", "-w", kind, more="ttl") for kind in ("simple", "json", "fields", "protobuf", "table")]
    one = granted[0].split()[1]
    s.formats("lease", "timetolive", one, more="ttl")
    s.formats("put", "leased", "value", f"--lease={one}")
    s.run("get", "leased", "-w", "json")
    s.run("put", "leased", "other", "--ignore-lease")
    s.formats("lease", "timetolive", one, "--keys", more="ttl")
    s.run("lease", "keep-alive", "--once", one)
    s.run("lease", "keep-alive", "--once", one, "-w", "json")
    k = s.background("lease", "keep-alive", one)
    k.wait_lines(1)
    k.interrupt()
    s.run("lease", "list", title="lease list")
    s.run("txn", stdin=f'lease("leased") = {one}\n\nget leased\n\nget a\n\n'.encode(), title="txn comparing a lease")
    s.run("lease", "revoke", one)
    s.run("get", "leased", "--prefix", title="keys of a revoked lease")
    s.run("lease", "timetolive", one, title="timetolive of a revoked lease")
    s.run("lease", "timetolive", one, "-w", "json", title="timetolive of a revoked lease as json")
    s.run("lease", "keep-alive", "--once", one, title="keep-alive of a revoked lease")
    s.run("lease", "revoke", one, title="revoke of a revoked lease")
    for kind in ("json", "fields", "table", "protobuf"):
        s.run("lease", "revoke", s.run("lease", "grant", "600").split()[1], "-w", kind)
    s.run("lease", "grant", "0")
    s.run("lease", "grant", "-5")
    s.run("lease", "grant", "9000000001")
    s.run("lease", "grant", "x")
    s.run("lease", "grant")
    s.run("lease", "revoke", "nothex")
    s.run("lease", "timetolive", "123456789abcdef")
    first = revision(s) + 1
    short = s.run("lease", "grant", "1").split()[1]
    w = s.background("watch", "short", f"--rev={first}", title="watch a lease run out")
    s.run("put", "short", "lived", f"--lease={short}")
    w.wait_lines(6, within_seconds=12)
    w.interrupt()
    s.run("get", "short", title="a key whose lease ran out")


def locks(s):
    s.run("lock", "free", "echo", "held")
    s.run("lock", "free", "--ttl=30", "sh", "-c", "echo $ETCD_LOCK_KEY")
    s.run("lock", "free", "sh", "-c", "exit 3", title="lock with a command that fails")
    holder = s.background("lock", "contended", title="lock held")
    key = holder.wait_lines(1)
    waiter = s.background("lock", "contended", "echo", "mine now", title="lock waited for")
    # The waiter's key shows that it queues; it must not have the lock.
    wait_for_keys(s, "contended/", 2)
    s.run("get", key, "--keys-only", title="the holder's key")
    holder.interrupt()
    waiter.wait_lines(1)
    waiter.finish()
    s.run("get", "contended/", "--prefix", title="nothing is left of the lock")
    s.run("lock", title="lock without a name")


def elections(s):
    s.run("elect", "-l", title="elect without a name")
    leader = s.background("elect", "chief", "alice", title="elect alice")
    leader.wait_lines(2)
    listener = s.background("elect", "-l", "chief", title="elect listening")
    listener.wait_lines(2)
    second = s.background("elect", "chief", "bob", title="elect bob")
    wait_for_keys(s, "chief/", 2)
    # By age: the keys end in lease identifiers, which are random.
    s.run("get", "chief/", "--prefix", "--print-value-only", "--sort-by=CREATE", title="both candidates")
    leader.interrupt()
    second.wait_lines(2)
    listener.wait_lines(2)
    s.run("get", "chief/", "--prefix", title="the candidate that is left")
    listener.interrupt()
    second.interrupt()
    s.run("get", "chief/", "--prefix", title="nothing is left of the election")


def full(s):
    """The quota chapter, on a member of its own with a small one."""
    for _ in range(60):
        s.quiet("put", "fill", stdin=b"x" * (512 * 1024))
        if s.last_code != 0:
            break
    s.run("put", "fill", "y", title="put when full", more="full")
    s.formats("alarm", "list", more="full")
    s.run("get", "fill", "--count-only", "-w", "fields", title="get when full", more="full")
    s.run("txn", stdin=b"\nput t 1\n\n\n", title="txn with a put when full", more="full")
    s.run("lease", "grant", "60", title="lease grant when full", more="full")
    s.run("endpoint", "health", title="health when full", more="full")
    s.run("alarm", "list", title="alarm list before compaction", more="full")
    at = json.loads(s.quiet("get", "fill", "--keys-only", "-w", "json"))["header"]["revision"]
    s.quiet("compaction", "--physical", str(at))
    s.run("del", "fill", title="delete when full", more="full")
    s.quiet("compaction", "--physical", str(at + 1))
    s.run("defrag", title="defrag when full", more="full")
    s.formats("alarm", "disarm", more="full")
    s.run("alarm", "list", title="alarm list after disarm", more="full")
    s.run("put", "after", "1", title="put after the alarm", more="full")
    s.run("get", "after", title="get after the alarm", more="full")


def perf(s):
    """The commands that take a minute: behind --long."""
    s.run("check", "perf", "--load=s", within_seconds=120)
    s.run("check", "datascale", "--load=s", within_seconds=120)


CHAPTERS = [put_and_get, delete, transactions, watches, maintenance, cluster, leases, locks, elections, downgrade]
