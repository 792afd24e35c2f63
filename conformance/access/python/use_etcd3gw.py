"""Python etcd3gw (the JSON gateway over HTTPS) as users with and without rights: HOST PORT CA CERTIFICATES WAY.

CERTIFICATES is a JSON object, common name to [certificate, key]. WAY is `certificate`: a certificate alone says who it is, which
etcd refuses; or `token`: everybody shows the certificate without a name and a token in the header, which etcd takes too.
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "clients", "python"))
from checks import Checks, refused, same, until  # noqa: E402
from etcd3gw import exceptions  # noqa: E402
from etcd3gw.client import Etcd3Client  # noqa: E402
from etcd3gw.utils import _encode  # noqa: E402

check = Checks("etcd3gw")
PASSWORDS = {"root": "root's password", "alice": "alice's", "bob": "bob's"}


class World:
    """Everybody's client."""

    def __init__(self, host, port, ca, certificates, way):
        self.host, self.port, self.ca, self.certificates, self.way = host, int(port), ca, certificates, way
        self.nobody = self.client("nobody")
        self.alice, self.bob, self.root = (self.person(name) for name in ("alice", "bob", "root"))

    def client(self, certificate, token=None):
        cert, key = self.certificates[certificate]
        made = Etcd3Client(host=self.host, port=self.port, protocol="https", api_path="/v3/", timeout=15, ca_cert=self.ca, cert_cert=cert, cert_key=key)
        if token:
            made.session.headers["Authorization"] = token
        return made

    def token(self, name):
        return self.nobody.post(self.nobody.get_url("/auth/authenticate"), json={"name": name, "password": PASSWORDS[name]})["token"]

    def person(self, name):
        return self.client(name) if self.way == "certificate" else self.client("nobody", self.token(name))


def denied(action, *arguments, **named):
    told = refused(exceptions.Etcd3Exception, action, *arguments, **named)
    text = f"{told} {getattr(told, 'detail_text', '')} {told.args}"
    # To etcd whoever comes through the gateway without a token has an empty name.
    if "permission denied" not in text and "user name is empty" not in text:
        raise AssertionError(f"not permission denied: {text[:300]}")


@check
def own_keys(w):
    same(w.alice.put("/alice/gw", "1"), True)
    same(w.alice.get("/alice/gw"), [b"1"])
    same([v for v, _ in w.alice.get_prefix("/alice/gw")], [b"1"])
    same((w.alice.create("/alice/gw", "2"), w.alice.replace("/alice/gw", "1", "2")), (False, True))
    same(w.alice.delete("/alice/gw"), True)


@check
def others_keys(w):
    w.root.put("/bob/a", "bob's")
    for c in (w.alice, w.nobody):
        denied(c.get, "/bob/a")
        denied(c.put, "/bob/a", "x")
        denied(c.delete, "/bob/a")
        denied(c.get_prefix, "/")
        denied(c.create, "/bob/new", "x")
    denied(w.alice.transaction, {"success": [{"request_put": {"key": _encode("/alice/gwt"), "value": _encode("1")}}],
                                 "failure": [{"request_range": {"key": _encode("/bob/a")}}]})
    same((w.alice.get("/alice/gwt"), w.bob.get("/bob/a")), ([], [b"bob's"]))


@check
def the_http_answer(w):
    """What a client without a library sees."""
    answer = w.alice.session.post(w.alice.get_url("/kv/range"), json={"key": _encode("/bob/a")}, timeout=10)
    same((answer.status_code, answer.json()["code"], answer.json()["message"]), (403, 7, "etcdserver: permission denied"))
    wrong = w.client("nobody", "never.1").session.post(w.alice.get_url("/kv/range"), json={"key": _encode("/alice/a")}, timeout=10)
    same((wrong.status_code, wrong.json()["code"], wrong.json()["message"]), (401, 16, "etcdserver: invalid auth token"))
    told = w.nobody.session.post(w.nobody.get_url("/auth/authenticate"), json={"name": "alice", "password": "wrong"}, timeout=10)
    same((told.status_code, told.json()["message"]), (400, "etcdserver: authentication failed, invalid user ID or password"))


@check
def leases_and_locks(w):
    lease = w.alice.lease(ttl=60)
    w.alice.put("/alice/leased", "1", lease=lease)
    same((lease.keys(), lease.refresh()), ([b"/alice/leased"], 60))
    denied(w.bob.put, "/bob/leased", "1", lease=lease)
    same(lease.revoke(), True)
    same(w.alice.get("/alice/leased"), [])


@check
def watches(w):
    events, cancel = w.alice.watch_prefix("/alice/w")
    w.alice.put("/alice/w", "1")
    same(next(events)["kv"]["value"], b"1")
    cancel()


@check
def administration(w):
    c = w.root
    same(w.alice.status()["version"].split(".")[:2], ["3", "7"])
    same(len(w.alice.members()), 1)
    # By code: whoever is refused for having no name was not taken for alice.
    same(w.alice.session.post(w.alice.get_url("/auth/user/list"), json={}, timeout=10).json()["code"], 7)
    for path, body in (("auth/user/list", {}), ("auth/user/add", {"name": "x", "password": "y"}), ("auth/disable", {}), ("maintenance/defragment", {}),
                       ("auth/user/grant", {"user": "alice", "role": "root"}), ("kv/compaction", {"revision": "1"}), ("maintenance/hash", {})):
        denied(w.alice.post, w.alice.get_url("/" + path), json=body)
    c.post(c.get_url("/auth/role/add"), json={"name": "late"})
    c.post(c.get_url("/auth/role/grant"), json={"name": "late", "perm": {"permType": "READ", "key": _encode("/late/"), "range_end": _encode("/late0")}})
    denied(w.alice.get, "/late/a")
    c.post(c.get_url("/auth/user/grant"), json={"user": "alice", "role": "late"})
    same(w.alice.get("/late/a"), [])
    same(c.post(c.get_url("/auth/user/get"), json={"name": "alice"})["roles"], ["alice", "late"])
    same(c.post(c.get_url("/auth/role/get"), json={"role": "late"})["perm"], [{"key": _encode("/late/"), "range_end": _encode("/late0")}])
    c.post(c.get_url("/auth/role/delete"), json={"role": "late"})
    until(lambda: "late" not in c.post(c.get_url("/auth/user/get"), json={"name": "alice"})["roles"])
    denied(w.alice.get, "/late/a")


if __name__ == "__main__":
    host, port, ca, certificates, way = sys.argv[1:]
    try:
        world = World(host, port, ca, json.loads(certificates), way)
    except exceptions.Etcd3Exception as error:
        print(f"FAIL etcd3gw no client: {getattr(error, 'detail_text', error)}")
        sys.exit(1)
    check.run(world)
