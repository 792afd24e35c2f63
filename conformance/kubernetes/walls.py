"""What the certificates of Kubernetes may not do, each refused with etcd's code and text to the real etcdctl, and what they may.

What this is: with the apiserver's certificate everything beside its grant; with the health check's all data; with a certificate of the
same authority that is nobody's (kubeadm's server.crt, for an etcd), everything.

Never: believes a refusal alone: keys and users are as before, afterwards.
"""

from checks import unlike
from stores import APISERVER, HEALTH, SOMEBODY

DENIED = "code = PermissionDenied desc = etcdserver: permission denied"
UNKNOWN = "code = FailedPrecondition desc = etcdserver: user name not found"
KEPT = "/other/kept"
CROSSING = "\nput /registry/crossing x\nput /other/crossing x\n\n\n"
SECRET = "/registry/secrets/w5/s"
APISERVER_REFUSED = (
    ["get", KEPT], ["get", "--prefix", "/"], ["get", "--prefix", ""], ["get", "--from-key", "/registry/"], ["get", "/registry"],
    ["get", "compact_rev_key", "compact_rev_keyz"], ["get", "--prefix", "--keys-only", "/other/"], ["get", "--prefix", "--count-only", "-w", "fields", "/"],
    ["put", "/other/mine", "x"], ["put", "/registry", "x"], ["put", "/registry0", "x"], ["put", "compact_rev_key2", "x"],
    ["del", KEPT], ["del", "--prefix", "/"], ["txn"], ["watch", "--prefix", "/"], ["watch", KEPT],
    ["user", "list"], ["user", "get", "root"], ["user", "add", "mine", "--no-password"], ["user", "grant-role", "kube-apiserver-etcd-client", "root"],
    ["role", "list"], ["role", "get", "root"], ["role", "grant-permission", "kubernetes", "readwrite", "", "--prefix"], ["auth", "disable"],
    ["snapshot", "save", "refused.db"], ["endpoint", "hashkv"], ["defrag"], ["member", "add", "two", "--peer-urls=https://127.0.0.1:2390"])
HEALTH_REFUSED = (
    ["get", SECRET], ["get", "--prefix", "/registry/"], ["get", "--prefix", "--count-only", "-w", "fields", "/registry/"], ["get", KEPT], ["get", "compact_rev_key"],
    ["put", SECRET, "x"], ["put", "x", "x"], ["del", "--prefix", "/registry/"], ["txn"], ["watch", "--prefix", "/registry/"],
    ["compact", "2"], ["snapshot", "save", "refused.db"], ["endpoint", "hashkv"], ["user", "list"], ["role", "list"], ["auth", "disable"])
NOBODY_DENIED = (["get", SECRET], ["get", "--prefix", "/registry/"], ["put", "/registry/x", "x"], ["watch", "--prefix", "/registry/"])
NOBODY_UNKNOWN = (["user", "list"], ["snapshot", "save", "refused.db"])


def all_of_them(checks, store):
    store.administrate("put", KEPT, "kept")
    before = state(store)
    denied = store.metric("strongroom_requests_denied_total") or 0
    count = sum(refused(checks, store, client, cases, says) for client, cases, says in (
        (APISERVER, APISERVER_REFUSED, DENIED), (HEALTH, HEALTH_REFUSED, DENIED), (SOMEBODY, NOBODY_DENIED, DENIED), (SOMEBODY, NOBODY_UNKNOWN, UNKNOWN)))
    if store.ours:
        more = store.metric("strongroom_requests_denied_total") - denied
        checks.all("the counter of denied requests", "has counted them", None if more >= count - len(NOBODY_UNKNOWN) else f"{more:.0f} more, after {count} refusals")
    after = state(store)
    checks.all("keys, users and roles", "are as before the refusals", *(f"{name}: {was!r}, then {after[name]!r}" for name, was in before.items() if after[name] != was))
    for client in (APISERVER, HEALTH):
        let_in(checks, store, client, "3\\.7\\.", "endpoint", "status")
        let_in(checks, store, client, "started", "member", "list")
        let_in(checks, store, client, "is healthy", "endpoint", "health")
    if store.ours:
        said = store.strongroom("access", "explain", "kube-etcd-healthcheck-client", "membership")
        checks.all(f"{HEALTH}: membership, for kubeadm join", "is its right", unlike(said, "^allowed"))
    let_in(checks, store, APISERVER, SECRET, "get", SECRET, "--keys-only")
    let_in(checks, store, APISERVER, "compact_rev_key", "get", "compact_rev_key")
    let_in(checks, store, APISERVER, "OK", "put", "/registry/mine", "x")
    let_in(checks, store, APISERVER, "1", "del", "/registry/mine")


def state(store):
    """What a refused request could have changed, and the running control plane does not."""
    keys = store.administrate("get", "--from-key", "", "--keys-only").split()
    outside = {key: store.value(key) for key in keys if not key.startswith("/registry/") and key != "compact_rev_key"}
    return {
        "keys outside": outside, "the secret": store.value(SECRET), "a crossing key": store.value("/registry/crossing"),
        "users": store.administrate("user", "list"), "roles": store.administrate("role", "list"), "role kubernetes": store.administrate("role", "get", "kubernetes"),
        "role kubeadm": store.administrate("role", "get", "kubeadm"), "the apiserver's roles": store.administrate("user", "get", "kube-apiserver-etcd-client"),
        "access control": store.administrate("auth", "status").splitlines()[0], "members": store.administrate("member", "list")}


def refused(checks, store, client, commands, says):
    """Tries these and holds each to its refusal: how many there were."""
    for words in commands:
        code, said = store.etcdctl(client, *words, stdin=CROSSING if words == ["txn"] else "")
        checks.all(f"{client}: {' '.join(word or repr(word) for word in words)}", f"refused, {says.removeprefix('code = ').replace(' desc =', ':')}",
                   None if code else f"exit code {code}", None if says in said else said[-600:])
    return len(commands)


def let_in(checks, store, client, wanted, *words):
    code, said = store.etcdctl(client, *words)
    checks.all(f"{client}: {' '.join(words)}", "is answered", None if code == 0 else f"exit code {code}: {said[-300:]}", unlike(said, wanted))
