"""Ordinary use of python etcd3gw (the JSON gateway over HTTP) against a server: HOST PORT [CA CERT KEY]."""

import sys
import threading
import time

from checks import Checks, refused, same, until
from etcd3gw import exceptions
from etcd3gw.client import Etcd3Client
from etcd3gw.utils import _encode

check = Checks("etcd3gw")


@check
def put_get_delete(c):
    same(c.get("gw/nothing"), [])
    same(c.put("gw/a", "1"), True)
    same(c.get("gw/a"), [b"1"])
    value, meta = c.get("gw/a", metadata=True)[0]
    same((value, meta["key"], meta["version"]), (b"1", b"gw/a", "1"))
    same(c.delete("gw/a"), True)
    same(c.delete("gw/a"), False)


@check
def prefix_order_and_all(c):
    for name, value in (("a", "3"), ("b", "1"), ("c", "2")):
        c.put("po/" + name, value)
    same([v for v, _ in c.get_prefix("po/")], [b"3", b"1", b"2"])
    same([v for v, _ in c.get_prefix("po/", sort_order="descend", sort_target="value")], [b"3", b"2", b"1"])
    same(len(c.get_all()) >= 3, True)
    same(c.delete_prefix("po/"), True)
    same(c.get_prefix("po/"), [])


@check
def create_and_replace(c):
    same(c.create("cr/a", "1"), True)
    same(c.create("cr/a", "2"), False)
    same(c.replace("cr/a", "1", "3"), True)
    same(c.replace("cr/a", "1", "4"), False)
    same(c.get("cr/a"), [b"3"])


@check
def transactions(c):
    c.put("tx/a", "1")
    answer = c.transaction({
        "compare": [{"key": _encode("tx/a"), "result": "EQUAL", "target": "VALUE", "value": _encode("1")}],
        "success": [{"request_put": {"key": _encode("tx/b"), "value": _encode("yes")}}, {"request_range": {"key": _encode("tx/a")}}],
        "failure": [{"request_delete_range": {"key": _encode("tx/a")}}]})
    same((answer["succeeded"], len(answer["responses"])), (True, 2))
    same(answer["responses"][1]["response_range"]["kvs"][0]["value"], _encode("1").decode() if isinstance(_encode("1"), bytes) else _encode("1"))
    same(c.get("tx/b"), [b"yes"])


@check
def leases(c):
    lease = c.lease(ttl=60)
    c.put("gle/a", "1", lease=lease)
    same((lease.keys(), 0 < lease.ttl() <= 60, lease.refresh()), ([b"gle/a"], True, 60))
    same(lease.revoke(), True)
    same((c.get("gle/a"), lease.ttl()), ([], -1))


@check
def lease_runs_out(c):
    lease = c.lease(ttl=1)
    c.put("glr/a", "1", lease=lease)
    until(lambda: c.get("glr/a") == [], 12)


@check
def locks(c):
    first, second = c.lock("gl", ttl=20), c.lock("gl", ttl=20)
    same((first.acquire(), second.acquire(), first.is_acquired()), (True, False, True))
    same((first.release(), second.acquire(), second.release()), (True, True, True))


@check
def watches(c):
    events, cancel = c.watch_prefix("gwa/")
    c.put("gwa/a", "1")
    c.delete("gwa/a")
    first, second = next(events), next(events)
    cancel()
    same((first["kv"]["key"], first["kv"]["value"]), (b"gwa/a", b"1"))
    same((second["type"], second["kv"]["key"]), ("DELETE", b"gwa/a"))


@check
def watch_once_and_history(c):
    c.put("gwo/a", "1")
    revision = int(c.get("gwo/a", metadata=True)[0][1]["mod_revision"])
    same(c.watch_once("gwo/a", timeout=10, start_revision=revision)["kv"]["value"], b"1")
    threading.Timer(0.3, lambda: c.put("gwo/b", "x")).start()
    same(c.watch_once("gwo/b", timeout=10)["kv"]["value"], b"x")
    refused(exceptions.WatchTimedOut, c.watch_once, "gwo/never", timeout=0.3)


@check
def status_and_members(c):
    same(c.status()["version"].split(".")[:2], ["3", "7"])
    same(len(c.members()), 1)


@check
def errors(c):
    refused(exceptions.Etcd3Exception, c.put, "", "1")
    told = refused(exceptions.Etcd3Exception, c.post, c.get_url("/kv/put"), json={"key": _encode("ge/a"), "value": _encode("1"), "lease": "999"})
    same("requested lease not found" in str(told) + str(getattr(told, "detail_text", "")), True)


if __name__ == "__main__":
    host, port, *files = sys.argv[1:]
    tls = dict(zip(("ca_cert", "cert_cert", "cert_key"), files))
    check.run(Etcd3Client(host=host, port=int(port), protocol="https" if tls else "http", api_path="/v3/", timeout=15, **tls))
