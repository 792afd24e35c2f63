"""Ordinary use of python etcd3 0.12 (gRPC) against a server: HOST PORT [CA CERT KEY].

Everything the library's own documentation shows, each with what a real etcd answers. With the three files it speaks mutual TLS.
"""

import queue
import sys
import threading

import etcd3
import grpc
from checks import Checks, refused, same, until

check = Checks("etcd3")


def values(pairs):
    """The (key, value) pairs of a range answer."""
    return [(meta.key.decode(), value.decode()) for value, meta in pairs]


@check
def put_get_delete(c):
    same(c.get("pgd/nothing"), (None, None))
    c.put("pgd/a", "1")
    value, meta = c.get("pgd/a")
    same((value, meta.version, meta.create_revision), (b"1", 1, meta.mod_revision))
    c.put("pgd/a", "2")
    value, again = c.get("pgd/a")
    same((value, again.version, again.create_revision, again.mod_revision), (b"2", 2, meta.create_revision, meta.mod_revision + 1))
    same(c.put("pgd/a", "3", prev_kv=True).prev_kv.value, b"2")
    same(c.delete("pgd/a"), True)
    same(c.delete("pgd/a"), False)
    same(c.get("pgd/a"), (None, None))


@check
def binary_and_unicode(c):
    c.put(bytes(range(1, 256)), bytes(range(256)))
    same(c.get(bytes(range(1, 256)))[0], bytes(range(256)))
    c.put("bau/ключ", "значение")
    same(c.get("bau/ключ")[0].decode(), "значение")
    c.put("bau/empty", "")
    same(c.get("bau/empty")[0], b"")
    c.put("bau/big", b"x" * 1000000)
    same(len(c.get("bau/big")[0]), 1000000)


@check
def ranges_and_order(c):
    for name, value in (("a", "3"), ("b", "1"), ("c", "2")):
        c.put("rao/" + name, value)
    same(values(c.get_prefix("rao/")), [("rao/a", "3"), ("rao/b", "1"), ("rao/c", "2")])
    same(values(c.get_prefix("rao/", sort_order="descend")), [("rao/c", "2"), ("rao/b", "1"), ("rao/a", "3")])
    same([v for _, v in values(c.get_prefix("rao/", sort_order="ascend", sort_target="value"))], ["1", "2", "3"])
    same(values(c.get_prefix("rao/", keys_only=True)), [("rao/a", ""), ("rao/b", ""), ("rao/c", "")])
    same(values(c.get_range("rao/a", "rao/c")), [("rao/a", "3"), ("rao/b", "1")])
    same(c.get_response("rao/a", serializable=True).count, 1)
    same(c.delete_prefix("rao/").deleted, 3)
    same(list(c.get_prefix("rao/")), [])


@check
def create_and_replace(c):
    same(c.put_if_not_exists("car/a", "1"), True)
    same(c.put_if_not_exists("car/a", "2"), False)
    same(c.replace("car/a", "1", "3"), True)
    same(c.replace("car/a", "1", "4"), False)
    same(c.get("car/a")[0], b"3")


@check
def transactions(c):
    c.put("txn/a", "1")
    done, answers = c.transaction(
        compare=[c.transactions.value("txn/a") == "1", c.transactions.version("txn/a") > 0],
        success=[c.transactions.put("txn/b", "yes"), c.transactions.get("txn/a")], failure=[c.transactions.put("txn/b", "no")])
    same((done, answers[1][0][0]), (True, b"1"))
    done, _ = c.transaction(
        compare=[c.transactions.mod("txn/a") == 1, c.transactions.create("txn/a") != 0],
        success=[c.transactions.delete("txn/a")], failure=[c.transactions.put("txn/b", "no")])
    same((done, c.get("txn/b")[0], c.get("txn/a")[0]), (False, b"no", b"1"))
    inner = c.transactions.txn([c.transactions.value("txn/a") == "1"], [c.transactions.put("txn/c", "nested")], [])
    done, _ = c.transaction(compare=[], success=[inner], failure=[])
    same((done, c.get("txn/c")[0]), (True, b"nested"))


@check
def watch_iterator(c):
    events, cancel = c.watch_prefix("wi/")
    c.put("wi/a", "1")
    c.put("wi/a", "2")
    c.delete("wi/a")
    seen = [next(events) for _ in range(3)]
    cancel()
    same([type(e).__name__ for e in seen], ["PutEvent", "PutEvent", "DeleteEvent"])
    same([(e.key, e.value, e.version) for e in seen], [(b"wi/a", b"1", 1), (b"wi/a", b"2", 2), (b"wi/a", b"", 0)])


@check
def watch_history_with_previous(c):
    c.put("wh/a", "1")
    first = c.get("wh/a")[1].mod_revision
    c.put("wh/a", "2")
    c.delete("wh/a")
    events, cancel = c.watch("wh/a", start_revision=first, prev_kv=True)
    seen = [next(events) for _ in range(3)]
    cancel()
    same([e.prev_value for e in seen], [b"", b"1", b"2"])


@check
def watch_callback_and_once(c):
    got = queue.Queue()
    watch_id = c.add_watch_callback("wc/a", got.put)
    c.put("wc/a", "1")
    same(got.get(timeout=10).events[0].value, b"1")
    c.cancel_watch(watch_id)
    c.put("wc/a", "2")
    threading.Timer(0.2, lambda: c.put("wc/once", "x")).start()
    same(c.watch_once("wc/once", timeout=10).value, b"x")


@check
def watch_of_compacted_history(c):
    for n in range(5):
        c.put("woc/a", str(n))
    at = c.get("woc/a")[1].mod_revision
    c.compact(at)
    events, _ = c.watch("woc/a", start_revision=at - 3)
    same(refused(etcd3.exceptions.RevisionCompactedError, next, events).compacted_revision, at)


@check
def many_watches(c):
    opened = [c.watch(f"mw/{n}") for n in range(50)]
    for n in range(50):
        c.put(f"mw/{n}", str(n))
    same([next(events).value for events, _ in opened], [str(n).encode() for n in range(50)])
    for _, cancel in opened:
        cancel()


@check
def leases(c):
    lease = c.lease(60)
    c.put("le/a", "1", lease=lease)
    same((lease.granted_ttl, lease.keys, 0 < lease.remaining_ttl <= 60), (60, [b"le/a"], True))
    same(c.get("le/a")[1].lease_id, lease.id)
    same(next(iter(lease.refresh())).TTL, 60)
    lease.revoke()
    same(c.get("le/a"), (None, None))
    same(c.get_lease_info(lease.id).TTL, -1)
    chosen = c.lease(30, lease_id=4711)
    same(chosen.id, 4711)
    # The library keeps only the code of this one.
    refused(etcd3.exceptions.PreconditionFailedError, c.lease, 30, 4711)
    c.revoke_lease(4711)


@check
def lease_runs_out(c):
    lease = c.lease(1)
    c.put("lro/a", "1", lease=lease)
    until(lambda: c.get("lro/a") == (None, None), 12)


@check
def locks(c):
    with c.lock("lock-a", ttl=20) as held:
        same(held.is_acquired(), True)
        other = c.lock("lock-a", ttl=20)
        same(other.acquire(timeout=0.3), False)
    same(other.acquire(timeout=10), True)
    same(other.release(), True)


@check
def maintenance(c):
    status = c.status()
    same((status.version.split(".")[:2], status.db_size > 0, status.raft_index > 0), (["3", "7"], True, True))
    same(status.leader.id, [m.id for m in c.members][0])
    same(len(c.hash().to_bytes(8, "big")), 8)
    c.defragment()
    same(list(c.list_alarms()), [])
    same([len(list(m.client_urls)) for m in c.members], [1])
    c.create_alarm()
    same([a.alarm_type for a in c.list_alarms()], [1])
    told = refused(grpc.RpcError, c.put, "ma/a", "1")
    same((told.code(), told.details()), (grpc.StatusCode.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"))
    same([a.alarm_type for a in c.disarm_alarm()], [1])
    c.put("ma/a", "1")


@check
def errors(c):
    told = refused(grpc.RpcError, c.put, "", "1")
    same((told.code(), told.details()), (grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: key is not provided"))
    told = refused(grpc.RpcError, c.put, "er/a", "1", lease=999)
    same((told.code(), told.details()), (grpc.StatusCode.NOT_FOUND, "etcdserver: requested lease not found"))
    told = refused(grpc.RpcError, c.revoke_lease, 999)
    same((told.code(), told.details()), (grpc.StatusCode.NOT_FOUND, "etcdserver: requested lease not found"))
    told = refused(grpc.RpcError, c.compact, 10**9)
    same((told.code(), told.details()), (grpc.StatusCode.OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"))
    told = refused(grpc.RpcError, c.put, "er/a", "x" * 1600000)
    same((told.code(), told.details()), (grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: request is too large"))


@check
def many_at_once(c):
    def work(n):
        for i in range(25):
            c.put(f"mao/{n}/{i}", str(i))
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(len(list(c.get_prefix("mao/"))), 200)


if __name__ == "__main__":
    host, port, *files = sys.argv[1:]
    tls = dict(zip(("ca_cert", "cert_cert", "cert_key"), files))
    check.run(etcd3.client(host=host, port=int(port), timeout=10, **tls))
