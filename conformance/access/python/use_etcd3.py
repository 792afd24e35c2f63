"""Python etcd3 0.12 (gRPC) as users with and without rights: HOST PORT CA CERTIFICATES OURS.

CERTIFICATES is a JSON object, common name to [certificate, key]; the users alice and bob are there with a prefix each, alice with
the password "alice's" too. Everything a library user meets: own keys work, others' are refused by code and text, whether the user
comes by certificate or by password. With OURS "yes" also what etcd does not do: a watch ends when its right does.
"""

import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "clients", "python"))
import etcd3  # noqa: E402
import grpc  # noqa: E402
from checks import Checks, refused, same  # noqa: E402
from etcd3 import etcdrpc  # noqa: E402

check = Checks("etcd3")
CUT_SECONDS_MAX = 1.0
DENIED = (grpc.StatusCode.PERMISSION_DENIED, "etcdserver: permission denied")


class World:
    """Everybody's client."""

    def __init__(self, host, port, ca, certificates, ours):
        self.host, self.port, self.ca, self.certificates, self.ours = host, int(port), ca, certificates, ours
        self.alice, self.bob, self.root, self.nobody = (self.client(n) for n in ("alice", "bob", "root", "nobody"))
        self.logged_in = self.client("nobody", user="alice", password="alice's")
        self.rules = etcdrpc.AuthStub(self.root.channel)

    def client(self, certificate, **more):
        cert, key = self.certificates[certificate]
        return etcd3.client(host=self.host, port=self.port, ca_cert=self.ca, cert_cert=cert, cert_key=key, timeout=10, **more)

    def both(self):
        """alice by certificate, alice by password."""
        return ("certificate", self.alice), ("password", self.logged_in)


def denied(action, *arguments, **named):
    told = refused(grpc.RpcError, action, *arguments, **named)
    same((told.code(), told.details()), DENIED)


@check
def own_keys(w):
    for way, c in w.both():
        c.put(f"/alice/{way}", "1")
        same(c.get(f"/alice/{way}")[0], b"1")
        same([v for v, _ in c.get_prefix(f"/alice/{way}")], [b"1"])
        same(c.put(f"/alice/{way}", "2", prev_kv=True).prev_kv.value, b"1")
        same(c.delete(f"/alice/{way}"), True)


@check
def others_keys(w):
    w.root.put("/bob/a", "bob's")
    for _, c in (*w.both(), ("nobody", w.nobody)):
        denied(c.get, "/bob/a")
        denied(c.put, "/bob/a", "x")
        denied(c.delete, "/bob/a")
        denied(lambda: list(c.get_prefix("/")))
        denied(lambda: list(c.get_range("/alice/", "/bob0")))
        denied(lambda: list(c.get_all()))
    same(w.bob.get("/bob/a")[0], b"bob's")


@check
def wrong_passwords(w):
    for user, password in (("alice", "wrong"), ("nothing", "x"), ("bob", "x"), ("alice", "")):
        told = refused(grpc.RpcError, w.client, "nobody", user=user, password=password)
        same(told.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNKNOWN), True)


@check
def a_token_that_never_was(w):
    c = w.client("alice")
    c.metadata = (("token", "never.1"),)
    told = refused(grpc.RpcError, c.get, "/alice/a")
    same((told.code(), told.details()), (grpc.StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token"))


@check
def a_password_says_more_than_a_certificate(w):
    c = w.client("bob", user="alice", password="alice's")
    c.put("/alice/over", "1")
    denied(c.get, "/bob/a")


@check
def transactions_with_anything_of_others(w):
    t = w.alice.transactions
    w.alice.put("/alice/t", "1")
    done, _ = w.alice.transaction(compare=[t.value("/alice/t") == "1"], success=[t.put("/alice/t", "2")], failure=[])
    same(done, True)
    hers = [t.value("/alice/t") == "2"]
    # A nested one, two levels deep; what is not taken counts too.
    inner = t.txn([], [t.txn([], [t.put("/bob/a", "x")], [])], [])
    for compare, success, failure in (
        ([t.value("/bob/a") == "1"], [], []), (hers, [t.get("/bob/a")], []), (hers, [], [t.get("/bob/a")]), (hers, [t.put("/bob/a", "x")], []),
        (hers, [], [t.delete("/bob/a")]), (hers, [t.put("/alice/t", "3"), inner], []), (hers, [t.put("/alice/t", "3")], [inner]),
        (hers, [t.put("/alice/t", "3"), t.txn([t.value("/bob/a") == "1"], [], [])], []),
    ):
        denied(w.alice.transaction, compare=compare, success=success, failure=failure)
    same((w.alice.get("/alice/t")[0], w.bob.get("/bob/a")[0]), (b"2", b"bob's"))


@check
def a_value_before_needs_reading(w):
    """A role that only writes: neither in a put, nor inside a transaction, nor inside a nested one does it read."""
    blind = w.client("blind")
    blind.put("/blind/a", "1")
    denied(blind.put, "/blind/a", "2", prev_kv=True)
    put = etcdrpc.PutRequest(key=b"/blind/a", value=b"3", prev_kv=True)
    inner = etcdrpc.TxnRequest(success=[etcdrpc.RequestOp(request_put=put)])
    denied(blind.kvstub.Txn, inner, 10)
    denied(blind.kvstub.Txn, etcdrpc.TxnRequest(success=[etcdrpc.RequestOp(request_txn=inner)]), 10)
    delete = etcdrpc.DeleteRangeRequest(key=b"/blind/a", prev_kv=True)
    denied(blind.kvstub.Txn, etcdrpc.TxnRequest(success=[etcdrpc.RequestOp(request_delete_range=delete)]), 10)
    same(w.root.get("/blind/a")[0], b"1")


@check
def leases_of_others(w):
    lease = w.alice.lease(60)
    w.alice.put("/alice/leased", "1", lease=lease)
    denied(w.bob.put, "/bob/leased", "1", lease=lease.id)
    told = etcdrpc.RequestOp(request_put=etcdrpc.PutRequest(key=b"/bob/leased", value=b"1", lease=lease.id))
    denied(w.bob.kvstub.Txn, etcdrpc.TxnRequest(success=[told]), 10)
    denied(w.bob.revoke_lease, lease.id)
    denied(w.bob.get_lease_info, lease.id)
    same(lease.keys, [b"/alice/leased"])
    same(next(iter(lease.refresh())).TTL, 60)
    denied(lambda: next(iter(w.bob.refresh_lease(lease.id))))
    lease.revoke()
    same(w.alice.get("/alice/leased"), (None, None))


@check
def locks_below_a_name(w):
    """The library's locks live below /locks/; alice may have those that begin with her name."""
    for _, c in w.both():
        with c.lock("alice-l", ttl=20) as held:
            same(held.is_acquired(), True)
        denied(c.lock("bobs", ttl=20).acquire, timeout=1)


def watch(c, key, seconds=10):
    """What a raw watch stream says, as (when, response or error), until it ends or the time is over."""
    said, hold = [], threading.Event()

    def requests():
        yield etcdrpc.WatchRequest(create_request=etcdrpc.WatchCreateRequest(key=key.encode()))
        hold.wait(seconds)

    def listen():
        try:
            for answer in etcdrpc.WatchStub(c.channel).Watch(requests(), metadata=c.metadata, timeout=seconds):
                said.append((time.monotonic(), answer))
                if answer.canceled:
                    break
        except grpc.RpcError as error:
            said.append((time.monotonic(), error))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    return said, thread, hold


@check
def watches(w):
    for _, c in (*w.both(), ("nobody", w.nobody)):
        said, thread, hold = watch(c, "/bob/a")
        thread.join(10)
        same((thread.is_alive(), said[-1][1].canceled, "permission denied" in said[-1][1].cancel_reason), (False, True, True))
        hold.set()
    for way, c in w.both():
        events, cancel = c.watch(f"/alice/w-{way}")
        c.put(f"/alice/w-{way}", "1")
        same(next(events).value, b"1")
        cancel()


@check
def a_watch_ends_with_its_right(w):
    """etcd goes on to deliver; so this is asked of ours alone."""
    granted = etcdrpc.AuthRoleGrantPermissionRequest(name="alice", perm={"permType": 2, "key": b"/lent/", "range_end": b"/lent0"})
    for way, c in w.both():
        w.rules.RoleGrantPermission(granted, 10)
        said, thread, hold = watch(c, "/lent/a")
        end = time.monotonic() + 5
        while not any(getattr(a, "events", None) for _, a in said) and time.monotonic() < end:
            w.root.put("/lent/a", "1")
            time.sleep(0.05)
        time.sleep(0.2)
        w.rules.RoleRevokePermission(etcdrpc.AuthRoleRevokePermissionRequest(role="alice", key=b"/lent/", range_end=b"/lent0"), 10)
        revoked = time.monotonic()
        time.sleep(CUT_SECONDS_MAX)
        w.root.put("/lent/a", "secret")
        time.sleep(0.3)
        late = [a for when, a in said if when > revoked + CUT_SECONDS_MAX]
        hold.set()
        if not w.ours:
            same(any(e.kv.value == b"secret" for a in late for e in a.events), True)
            continue
        same((way, late, thread.is_alive()), (way, [], False))
        same("permission denied" in str(getattr(said[-1][1], "cancel_reason", "") or said[-1][1]), True)


@check
def administration(w):
    """Status and members are for every user, all else is root's; the rules are made with the library's own stubs."""
    for _, c in w.both():
        same((c.status().version.split(".")[:2], len(list(c.members))), (["3", "7"], 1))
        same(list(c.list_alarms()), [])
        for action in (c.defragment, c.hash, c.create_alarm, c.disarm_alarm, lambda: c.compact(1), lambda: c.snapshot(open(os.devnull, "wb"))):
            told = refused(grpc.RpcError, action)
            # For some of these the library forgets its token: then nobody is refused.
            same(told.details() in (DENIED[1], "etcdserver: user name is empty"), True)
    hers = etcdrpc.AuthStub(w.alice.channel)
    denied(hers.UserList, etcdrpc.AuthUserListRequest(), 10)
    denied(hers.UserAdd, etcdrpc.AuthUserAddRequest(name="x", password="y"), 10)
    denied(hers.UserGrantRole, etcdrpc.AuthUserGrantRoleRequest(user="alice", role="root"), 10)
    denied(hers.AuthDisable, etcdrpc.AuthDisableRequest(), 10)
    same(list(hers.UserGet(etcdrpc.AuthUserGetRequest(name="alice"), 10).roles), ["alice"])
    denied(hers.UserGet, etcdrpc.AuthUserGetRequest(name="bob"), 10)
    w.rules.UserAdd(etcdrpc.AuthUserAddRequest(name="carol", password="hers"), 10)
    told = refused(grpc.RpcError, w.rules.UserAdd, etcdrpc.AuthUserAddRequest(name="carol", password="hers"), 10)
    same((told.code(), told.details()), (grpc.StatusCode.FAILED_PRECONDITION, "etcdserver: user name already exists"))
    carol = w.client("nobody", user="carol", password="hers")
    denied(carol.get, "/alice/a")
    w.rules.UserGrantRole(etcdrpc.AuthUserGrantRoleRequest(user="carol", role="alice"), 10)
    same(carol.get("/alice/t")[0], b"2")
    w.rules.UserDelete(etcdrpc.AuthUserDeleteRequest(name="carol"), 10)
    told = refused(grpc.RpcError, carol.get, "/alice/t")
    same((told.code(), told.details()), (grpc.StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token"))


if __name__ == "__main__":
    host, port, ca, certificates, ours = sys.argv[1:]
    try:
        world = World(host, port, ca, json.loads(certificates), ours == "yes")
    except grpc.RpcError as error:
        print(f"FAIL etcd3 no client: {error.code()} {error.details()}")
        sys.exit(1)
    check.run(world)
