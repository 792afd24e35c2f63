"""What the policy does: through the real etcdctl, by certificates, and held against `access explain`.

What this is: TABLE says of each user what decides each act: a role that allows, a role that denies, or nothing that allows. All
three have to say the same: this table, what `access explain` answers (the role too), and what the member does when etcdctl asks by a
certificate. Then what a table does not hold: ends, limits, and whose a certificate is.
"""

import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from house import FAR, NEAR
from member import tool

END_SECONDS = 2
LATE_SECONDS_MAX = 2
AT_ONCE = 8
# Cases of the table under way at once: half of the time goes by in starting programs.
ABREAST = 3

# What etcdctl is asked for each act; words behind the act are keys, as `access explain` takes them.
ACTS = {
    "get": ("get",), "put": ("put",), "delete": ("del",), "compact": ("compaction", "1"), "defragment": ("defrag",), "hash": ("endpoint", "hashkv"),
    "snapshot": ("snapshot", "save"), "membership": ("member", "remove", "1234"), "downgrade": ("downgrade", "cancel"),
}
RIGHTS = ("compact", "defragment", "hash", "snapshot", "membership", "downgrade")
KEYS = ("get app/a", "get app/ --prefix", "get app/secret/x", "get other", "get app/a app/c", "put app/a", "put app/fixed", "put app/secret/x", "put other",
        "delete app/a", "delete app/ --prefix", "delete app/secret/x")
SOME = ("get app/a", "get app/ --prefix", "put app/a", "get other", "compact")


def of(acts, *decided):
    """Acts with what decides each: the first of the pairs (pattern of acts, what decides) that fits; without one nothing allows."""
    return {act: next((who for pattern, who in decided if re.fullmatch(pattern, act)), "-") for act in acts}


# Whoever touches a key below app/secret/ meets the denial; so does a range that holds one.
WALLED = ((".* app/secret/x|.*--prefix|put app/fixed", "!walled"), (".* app/.*", "+walled"))
# By the label of a certificate, and where it comes from: the user, and what decides each act. `+role` allows, `!role` denies; `+` is
# allowed by several permissions together, `-` by none.
TABLE = {
    ("root", NEAR): ("root", of(SOME, (".*", "+root"))),
    ("reader", NEAR): ("reader", of((*KEYS, "hash"), ("get app/.*", "+reader"))),
    ("walled", NEAR): ("walled", of((*KEYS, *RIGHTS), *WALLED)),
    # One role grants what the other denies: the denial wins.
    ("both", NEAR): ("both", of(KEYS, *WALLED)),
    ("pieces", NEAR): ("pieces", of((*SOME, "get app/a app/c"), ("get app/a app/c", "+"), ("get app/a", "+pieces"))),
    ("ops", NEAR): ("ops", of(("get app/a", *RIGHTS), ("get .*", "-"), (".*", "+ops"))),
    ("idle", NEAR): ("idle", of(SOME)),
    ("far", FAR): ("far", of((*SOME, "hash"), (".* app/.*|compact", "+far"))),
    ("far", NEAR): ("far", of(SOME)),
    # A denial does not count either, where its role does not.
    ("half", FAR): ("half", of(SOME, (".* app/.*", "!fence"))),
    ("half", NEAR): ("half", of(SOME, ("get app/.*", "+reader"))),
    ("ended", NEAR): ("ended", of(SOME)),
    ("kube-apiserver-etcd-client", NEAR): ("kube-apiserver-etcd-client", of(("get app/a", *RIGHTS), ("compact", "+kubernetes"))),
    ("kube-etcd-healthcheck-client", NEAR): ("kube-etcd-healthcheck-client", of(("get app/a", *RIGHTS), ("membership", "+kubeadm"))),
    ("strongroom-backup", NEAR): ("strongroom-backup", of(("get app/a", *RIGHTS), ("hash|snapshot", "+backup"))),
    ("strongroom-metrics", NEAR): ("strongroom-metrics", of(("get app/a", "snapshot", "hash"))),
    ("boss", NEAR): ("boss", of(("put other", "snapshot"), (".*", "+root"))),
    # By an identity rule: the common name of none of these certificates is a user's.
    ("uri", NEAR): ("reader", of(SOME, ("get app/.*", "+reader"))),
    ("dns", NEAR): ("walled", of(("put app/secret/x", *SOME), *WALLED)),
    ("organization", NEAR): ("ops", of(("get app/a", "hash"), ("hash", "+ops"))),
}
POLICIES = {"kubernetes": "kube-apiserver-etcd-client", "kubeadm": "kube-etcd-healthcheck-client", "backup": "strongroom-backup", "metrics": "strongroom-metrics"}


def people(house):
    """Everybody in the table."""
    for key in ("app/a", "app/fixed", "app/secret/x", "other", "/registry/pods/a"):
        house.does("put", key, "there")
    house.add_role("reader", "read app/ --prefix")
    house.add_role("walled", "readwrite app/ --prefix")
    house.does("access", "deny", "walled", "readwrite", "app/secret/", "--prefix")
    house.does("access", "deny", "walled", "write", "app/fixed")
    house.add_role("key", "readwrite app/secret/ --prefix", "readwrite app/fixed")
    house.add_role("pieces", "read app/a app/b", "read app/b app/c")
    house.add_role("ops")
    house.does("access", "grant-right", "ops", *RIGHTS)
    house.add_role("far", "readwrite app/ --prefix")
    house.does("access", "grant-right", "far", "compact")
    house.does("access", "limit", "far", "--from", "10.9.0.0/16")
    house.add_role("fence")
    house.does("access", "deny", "fence", "readwrite", "app/", "--prefix")
    house.does("access", "limit", "fence", "--from", "10.9.8.7")
    house.add_role("ended", "readwrite app/ --prefix")
    house.does("access", "grant-right", "ended", "compact")
    house.does("access", "limit", "ended", "--until", "2020-01-01T00:00:00Z")
    for name, roles in {"reader": ["reader"], "walled": ["walled"], "both": ["walled", "key"], "pieces": ["pieces"], "ops": ["ops"], "idle": [],
                        "far": ["far"], "half": ["reader", "fence"], "ended": ["ended"]}.items():
        house.add_user(name, *roles)
        house.issue(name, name)
    for policy, user in POLICIES.items():
        house.does("access", "apply", policy)
        house.issue(user, user)
    house.does("access", "apply", "admin", "--for", "boss")
    house.issue("boss", "boss")
    house.issue("uri", "pod-1", "spiffe://c/ns/reader")
    house.issue("dns", "pod-2", "other.example.org", "Walled.example.org")
    house.issue_organization("organization", "pod-3", "operators")
    house.does("access", "identity", "add", "by-uri", "--uri", "spiffe://c/ns/reader", "--as", "reader")
    house.does("access", "identity", "add", "by-dns", "--dns", "walled.example.org", "--as", "walled")
    house.does("access", "identity", "add", "by-organization", "--organization", "operators", "--as", "ops")


def table(checks, house):
    people(house)
    cases = [(label, host, user, act, decides) for (label, host), (user, acts) in TABLE.items() for act, decides in acts.items()]
    with ThreadPoolExecutor(ABREAST) as pool:
        for (label, host, _, act, decides), problem in zip(cases, pool.map(lambda case: disagreement(house, *case), cases)):
            how = {"+": "allowed", "!": "denied", "-": "denied"}[decides[0]]
            checks.all(f"{label} from {host}: {act}", f"{how} by {decides[1:] or 'no single role'}", problem)


def disagreement(house, label, host, user, act, decides):
    """What the explanation or the member says otherwise than the table, or None."""
    operation, *keys = act.split()
    told = house.ours("access", "explain", user, operation, *keys, "--from", host, "-w", "json")
    done = house.etcdctl(*etcdctl_words(house, operation, keys), who=label, host=host)
    is_allowed, role = decides[0] == "+", decides[1:]
    answer = told.json() if told.out else {}
    if (told.code, answer.get("allowed"), answer.get("role", "")) != (0 if is_allowed else 1, is_allowed, role):
        return f"explain: {told}"
    if not names(answer["reasons"][0], user, role):
        return f"explain names something else: {told}"
    if done.is_denied == is_allowed or (not is_allowed and done.code == 0):
        return f"{' '.join(done.argv)} came to: {done}"
    # Of the acts that are let in, these have nothing else to fail by; history is forgotten once.
    if is_allowed and operation not in ("membership", "downgrade") and done.code != 0 and "has been compacted" not in done.err:
        return f"{' '.join(done.argv)} failed: {done}"
    return None


def names(reason, user, role):
    """Whether this is a reason that names who or what decides."""
    return f'role "{role}"' in reason or "holds the role root" in reason if role else f'"{user}"' in reason


def etcdctl_words(house, operation, keys):
    words = [*ACTS[operation], *keys]
    if operation == "put":
        words.append("there")
    if operation == "snapshot":
        words.append(os.path.join(house.directory, f"{time.monotonic_ns()}.db"))
    return words


def ready_policies(checks, house):
    """What the users of ready policies came for."""
    for who, words, is_allowed in (
        ("kube-apiserver-etcd-client", ("put", "/registry/pods/b", "v"), True), ("kube-apiserver-etcd-client", ("get", "/registry/", "--prefix"), True),
        ("kube-apiserver-etcd-client", ("put", "compact_rev_key", "1"), True), ("kube-apiserver-etcd-client", ("get", "/registrz"), False),
        ("kube-apiserver-etcd-client", ("get", "", "--prefix"), False), ("kube-apiserver-etcd-client", ("user", "list"), False),
        ("kube-etcd-healthcheck-client", ("member", "list"), True), ("kube-etcd-healthcheck-client", ("endpoint", "status"), True),
        ("kube-etcd-healthcheck-client", ("get", "health"), False), ("strongroom-metrics", ("endpoint", "status"), True),
        ("strongroom-metrics", ("alarm", "list"), True), ("strongroom-metrics", ("snapshot", "save", f"{house.directory}/no.db"), False),
        ("strongroom-backup", ("role", "get", "backup"), True), ("strongroom-backup", ("role", "get", "kubeadm"), False),
        ("boss", ("user", "list"), True), ("idle", ("endpoint", "status"), True), ("idle", ("user", "get", "idle"), True), ("idle", ("user", "get", "boss"), False),
    ):
        done = house.etcdctl(*words, who=who)
        checks.all(f"{who}: etcdctl {' '.join(words)}", "is let do it" if is_allowed else "permission denied",
                   None if done.is_denied != is_allowed and (done.code == 0) == is_allowed else f"{done}")


def denials(checks, house):
    """A denial hides a key in a transaction and on a watch too, counts from the moment it is there, and goes alone."""
    done = house.etcdctl("txn", who="both", stdin="\nget app/a\nput app/secret/x v\n\n\n")
    checks.all("a transaction that touches what is denied", "permission denied", None if done.is_denied else f"{done}")
    done = house.etcdctl("watch", "app/secret/x", who="both")
    checks.all("a watch of what is denied", "permission denied, at once", None if done.is_denied and done.code else f"{done}")
    done = house.etcdctl("put", "app/b", "v", who="both")
    checks.all("before the denial", "the key is written", None if done.code == 0 else f"{done}")
    house.does("access", "deny", "key", "write", "app/b")
    done = house.etcdctl("put", "app/b", "v", who="both")
    read = house.etcdctl("get", "app/b", who="both")
    checks.all("a denial to write, in the role that has nothing to do with the grant", "the next write is refused, reading goes on",
               None if done.is_denied else f"{done}", None if read.code == 0 else f"{read}")
    house.does("access", "allow-again", "key", "app/b")
    house.does("access", "allow-again", "walled", "app/secret/", "--prefix")
    taken = house.etcdctl("put", "app/secret/x", "v", who="both")
    kept = house.etcdctl("put", "app/fixed", "v", who="both")
    checks.all("a denial that is taken back", "opens its keys, and leaves the other denial", None if taken.code == 0 else f"{taken}", None if kept.is_denied else f"{kept}")


def conditions(checks, house):
    """A role that ends while its holder goes on asking."""
    first = house.etcdctl("get", "app/a", who="walled")
    house.does("access", "limit", "walled", "--until", f"+{END_SECONDS}s")
    began = time.monotonic()
    while not (said := house.etcdctl("get", "app/a", who="walled")).is_denied and time.monotonic() - began < END_SECONDS + LATE_SECONDS_MAX:
        if said.code != 0:
            break
    took = time.monotonic() - began
    # The end is a whole second of the clock: up to one of the two is gone when it is set.
    checks.all("a role that ends", f"gives its right until then and no longer ({END_SECONDS} s)", None if first.code == 0 else f"{first}",
               None if said.is_denied and END_SECONDS - 1.1 < took < END_SECONDS + LATE_SECONDS_MAX else f"after {took:.1f} s: {said}", seconds=took)
    told = house.ours("access", "explain", "walled", "get", "app/a", "--from", NEAR)
    checks.all("a role that has ended, explained", "says so", None if told.code == 1 and 'role "walled" does not count any more: it has ended' in told.out else f"{told}")
    house.does("access", "limit", "walled", "--clear", "until")
    said = house.etcdctl("get", "app/a", who="walled")
    checks.all("its end taken away", "it counts again", None if said.code == 0 else f"{said}")
    told = house.ours("access", "explain", "far", "get", "app/a", "--from", NEAR)
    checks.all("a role for elsewhere, explained", "names its networks", None if 'role "far" does not count: it is for 10.9.0.0/16 only' in told.out else f"{told}")


def limits(checks, house):
    """How much, and how often."""
    house.does("access", "limit", "walled", "--write-bytes", "20")
    most = house.etcdctl("put", "app/a", "v" * 15, who="walled")
    over = house.etcdctl("put", "app/a", "v" * 16, who="walled")
    checks.all("a write of as many bytes as may be", "is taken", None if most.code == 0 else f"{most}")
    checks.all("a write of one byte more", "is refused, and the value is the one before",
               None if over.code == 1 and "a write of more than 20 bytes, which a role of \"walled\" limits" in over.err else f"{over}",
               None if house.etcdctl("get", "app/a", "--print-value-only", who="walled").out.strip() == "v" * 15 else "another value is there")
    done = house.etcdctl("txn", who="walled", stdin="\nput app/b 01234\nput app/c 012345\n\n\n")
    checks.all("a transaction of as many bytes together", "is refused", None if "more than 20 bytes" in done.err else f"{done}")
    other = house.etcdctl("put", "app/a", "v" * 16, who="boss")
    checks.all("the same write by an administrator", "is taken", None if other.code == 0 else f"{other}")
    house.does("access", "limit", "walled", "--clear", "write-bytes", "--requests-per-second", "1")
    began = time.monotonic()
    asked = [subprocess.Popen([tool("etcdctl"), "get", "app/a", *house.flags("walled", NEAR)], env=house.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
             for _ in range(AT_ONCE)]
    said = [(process.communicate(timeout=10), process.returncode) for process in asked]
    took = time.monotonic() - began
    passed, refused = sum(code == 0 for _, code in said), sum("more than 1 requests a second, which a role of \"walled\" limits" in err for (_, err), _ in said)
    checks.all(f"{AT_ONCE} requests at once where one a second is the limit", "one a second passes, the others are refused with the reason",
               None if 1 <= passed <= 1 + int(took) and passed + refused == AT_ONCE else f"{passed} passed, {refused} were refused in {took:.1f} s: {said}")
    others = [house.etcdctl("get", "app/a", who="reader") for _ in range(3)]
    checks.all("somebody else meanwhile", "is not limited", *(None if each.code == 0 else f"{each}" for each in others))
    house.does("access", "limit", "walled", "--clear", "requests-per-second")
    others = [house.etcdctl("get", "app/a", who="walled") for _ in range(3)]
    checks.all("the limit taken away", "everything passes", *(None if each.code == 0 else f"{each}" for each in others))


def identities(checks, house):
    """Whose a certificate is: by a rule, the first by name that fits, else by its common name."""
    for label, rule, user, how in (("uri", "by-uri", "reader", 'a certificate of "pod-1" (spiffe://c/ns/reader)'), ("dns", "by-dns", "walled", 'a certificate of "pod-2"'),
                                   ("organization", "by-organization", "ops", 'a certificate of "pod-3"')):
        said = house.ours("access", "whoami", "-w", "json", who=label).json()
        checks.all(f"whoami by a certificate that a rule is about: {rule}", f"is {user}, and names the rule",
                   None if (said["user"], said["rule"], said["recognizedBy"]) == (user, rule, how) else f"{said}")
    ways = [f"{what} makes its holder this user; certificates in force that were issued here: 1"
            for what in ('identity rule "by-uri" (uri = "spiffe://c/ns/reader")', "the common name")]
    for who in ("reader", "uri=spiffe://c/ns/reader"):
        told = house.ours("access", "explain", who, "get", "app/a", "-w", "json").json()
        checks.all(f"access explain {who}", "says by which rule and which name somebody is this user, and how many certificates are",
                   None if told["reasons"][1:] == ways and told.get("user", "reader") == "reader" else f"{told}")
    told = house.ours("get", "other", who="uri")
    checks.all("a refusal to who is known by a rule", "does not call the common name the user, and says how to learn who it is",
               None if told.is_denied and "the certificate reads pod-1: that user is asking, unless an identity rule" in told.err and "access whoami" in told.err
               else f"{told}")
    house.does("access", "identity", "add", "a-first", "--uri", "spiffe://c/ns/reader", "--as", "idle")
    said = house.etcdctl("get", "app/a", who="uri")
    checks.all("a second rule that fits, before the other by name", "counts", None if said.is_denied else f"{said}")
    house.does("access", "identity", "remove", "a-first")
    said = house.etcdctl("get", "app/a", who="uri")
    checks.all("that rule taken away", "the other counts again", None if said.code == 0 else f"{said}")
    house.does("access", "identity", "remove", "by-uri")
    said = house.etcdctl("get", "app/a", who="uri")
    house.add_user("pod-1")
    told = house.ours("access", "whoami", who="uri")
    checks.all("no rule fits any more", "the certificate is its common name's", None if said.is_denied else f"{said}",
               None if "User: pod-1\n" in told.out and "identity rule" not in told.out else f"{told}")
    house.issue("false", "pod-4", "spiffe://c/ns/reader/else")
    house.does("access", "identity", "add", "by-uri", "--uri", "spiffe://c/ns/reader", "--as", "reader")
    said = house.etcdctl("get", "app/a", who="false")
    checks.all("a URI that begins with a rule's", "is another one", None if said.is_denied else f"{said}")


def part(checks, house):
    for title, function in (("who may do what: the table, the explanation and etcdctl", table), ("ready policies", ready_policies), ("denials", denials),
                            ("conditions", conditions), ("limits", limits), ("identity rules", identities)):
        checks.group(title, function, house)
