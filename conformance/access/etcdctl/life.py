"""The commands, in order: the life of users, roles, permissions, passwords, tokens and certificates at one member.

What this is: one function a chapter, each given `People`. Both servers hear exactly the same commands, so the answers, revisions
and the revision of the access rules have to come out the same. Chapters build on each other: `before` and `accounts` write the
rules with access control off, `enabled` turns it on, `disabled` turns it off again. Chapters of SIGNED have a member of their own
whose tokens are signed (JWT).

Passwords are random words to nobody; a person named by certificate has none, which also saves bcrypt's time.
"""

import base64
import json
import time

from people import People

TOKEN_TTL_SECONDS = 3
# Long enough for a chapter's commands on a busy machine.
SIGNED_TTL_SECONDS = 8


def before(p: People):
    """Access control off: it cannot be turned on without somebody who may turn it off."""
    s = p.nobody()
    p.gateway("auth/enable", "root is not there yet")
    s.formats("auth", "status")
    s.all("auth enable", "auth disable", "user list", "role list", "user get root", "role get root")
    s.run("put", "open", "to all")
    p.password("root", "x").run("get", "open")
    s.run("user", "add", "root:secret")
    # `auth enable` itself would give the role root and enable; without it the server says no.
    s.all("user grant-role root nothing", "user grant-role root root", "user get root", "role list", "role get root", "user get root --detail")
    s.all("user revoke-role root root", "role add root", "role get root", "role grant-permission root read k", "role delete root")
    s.all("auth", "auth nonsense", "auth enable x", "auth status x")


def accounts(p: People):
    """Users and roles by every command, in every output form, well and badly given."""
    s = p.nobody()
    for n, kind in enumerate(("simple", "json", "fields", "table", "protobuf")):
        s.run("user", "add", f"temporary{n}:x", "-w", kind)
        s.run("role", "add", f"temporary{n}", "-w", kind)
        s.run("user", "grant-role", f"temporary{n}", f"temporary{n}", "-w", kind)
        s.run("role", "grant-permission", f"temporary{n}", "readwrite", "k", "-w", kind)
        s.run("user", "get", f"temporary{n}", "-w", kind)
        s.run("role", "get", f"temporary{n}", "-w", kind)
        s.run("role", "revoke-permission", f"temporary{n}", "k", "-w", kind)
        s.run("user", "revoke-role", f"temporary{n}", f"temporary{n}", "-w", kind)
        s.run("user", "passwd", f"temporary{n}", "--interactive=false", "-w", kind, stdin=b"y\n")
        s.run("user", "list", "-w", kind)
        s.run("role", "list", "-w", kind)
        s.run("user", "delete", f"temporary{n}", "-w", kind)
        s.run("role", "delete", f"temporary{n}", "-w", kind)
    s.run("user", "add", "alice:alice's")
    s.run("user", "add", "bob", "--new-user-password=bob's")
    s.run("user", "add", "carol", "--interactive=false", stdin=b"carols\n")
    s.run("user", "add", "dave", "--no-password")
    s.all("user add alice:again", "user add dave --no-password", "user add :x", "user add", "user add a b", "user add colon:in:it")
    s.run("user", "add", "")
    s.run("user", "add", "", "--no-password")
    s.run("user", "add", "empty:")
    s.run("user", "add", "blank", "--interactive=false", stdin=b"\n")
    s.run("user", "add", "имя:пароль")
    s.run("user", "add", "with space", "--no-password")
    s.run("user", "get", "with space")
    s.all("user get nothing", "user get", "user delete nothing", "user delete", "user passwd nothing --interactive=false")
    s.run("user", "passwd", "dave", "--interactive=false", stdin=b"dave\n", title="password for who has none")
    s.run("user", "passwd", "alice", "--interactive=false", stdin=b"\n", title="empty password")
    s.run("user", "passwd", "alice", "--interactive=false", stdin=b"alice's\n")
    s.all("role add app", "role add app", "role add", "role get nothing", "role delete nothing", "role delete", "role get")
    s.run("role", "add", "")
    s.all("user grant-role alice nothing", "user grant-role nothing app", "user grant-role alice", "user grant-role alice app")
    s.all("user grant-role alice app", "user revoke-role bob app", "user revoke-role nothing app", "user revoke-role alice nothing")
    s.all("user get alice", "user list", "role list")
    for wrong in ("role grant-permission app", "role grant-permission app read", "role grant-permission app look k",
                  "role grant-permission nothing read k", "role grant-permission app READ upper", "role grant-permission app read a b c",
                  "role grant-permission app read b a", "role grant-permission app read a a", "role grant-permission app read k --prefix --from-key",
                  "role grant-permission app read k end --prefix", "role grant-permission app read k end --from-key",
                  "role revoke-permission app", "role revoke-permission app never", "role revoke-permission nothing k"):
        s.all(wrong)
    s.run("role", "grant-permission", "app", "read", "")
    s.run("role", "get", "app", title="role get after wrong grants")
    s.all("user delete empty", "user delete blank", "user delete colon")


def permissions(p: People):
    """Permissions of every shape and how they are shown, merged, replaced and taken back."""
    s = p.nobody()
    for grant in ("read one", "write one", "readwrite one", "read b d", "write b d", "read /p/ --prefix", "write /x --from-key", "read zz --from-key"):
        s.run("role", "grant-permission", "app", *grant.split())
        s.run("role", "get", "app", title=f"role get after {grant}")
    s.run("role", "grant-permission", "app", "write", "", "--prefix", title="everything by prefix")
    s.formats("role", "get", "app")
    for back in ("one", "b", "b d", "/p/", "/p/ --prefix", "/x", "/x --from-key", "zz --from-key", "b d", "b c"):
        s.run("role", "revoke-permission", "app", *back.split())
    s.run("role", "revoke-permission", "app", "", "--prefix", title="everything by prefix is taken back")
    s.run("role", "get", "app", title="role get after all was taken back")
    s.all("role delete app", "user get alice", "role add app", "user get alice")
    for name, grants in {
        "reads-one": ["read /m/one"], "writes-one": ["write /m/one"], "both-one": ["readwrite /m/one"], "reads-range": ["read /m/b /m/d"],
        "writes-prefix": ["write /m/ --prefix"], "both-prefix": ["readwrite /m/p/ --prefix"], "reads-from": ["read /m/x --from-key"],
        "both-parts": ["readwrite /m/a /m/c", "readwrite /m/c /m/e"], "reads-writes": ["read /m/ --prefix", "write /m/p/ --prefix"],
    }.items():
        s.all(f"user add {name} --no-password", f"role add {name}", f"user grant-role {name} {name}")
        for grant in grants:
            s.run("role", "grant-permission", name, *grant.split())
    for role, prefix in (("alices", "/alice/"), ("bobs", "/bob/"), ("carols", "/carol/"), ("daves", "/dave/"), ("shared", "/shared/")):
        s.all(f"role add {role}", f"role grant-permission {role} readwrite {prefix} --prefix")
    for user, role in (("alice", "alices"), ("bob", "bobs"), ("carol", "carols"), ("dave", "daves"), ("alice", "shared"), ("bob", "shared")):
        s.run("user", "grant-role", user, role)
    for key in ("one", "a", "b", "c", "d", "p/1", "p/2", "x", "y", "z"):
        s.run("put", f"/m/{key}", key)
    for key in ("/alice/a", "/bob/a", "/carol/a", "/dave/a", "/shared/a", "/root/a"):
        s.run("put", key, "of before")


def enabled(p: People):
    """Access control on: who is who, and who is nobody."""
    s = p.nobody()
    p.gateway("auth/enable", "root has no role yet")
    s.run("auth", "enable")
    p.must_be_enabled()
    everyday = ("get open", "put open x", "del open", "lease grant 60", "lease list", "user list", "role list", "auth status", "auth enable",
                "member list", "endpoint health", "watch open")
    for person in (s, p.certificate("stranger"), p.certificate("alice"), p.password("alice", "alice's")):
        person.all(*everyday)
    root = p.password("root", "secret")
    root.all("auth enable", "auth status", "get open", "put open x", "user list", "user get alice", "role get alices")
    root.formats("auth", "status")
    root = p.certificate("root")
    root.all("get open", "user list", "role get root", "role list", "user get alice --detail", "user get dave --detail")
    root.formats("user", "get", "alice")
    # Of two, the password says more than the certificate.
    p.password("bob", "bob's", certificate="alice").all("get /bob/a", "get /alice/a", "user get bob", "user get alice")
    p.password("alice", "wrong", certificate="root").all("get open")


def passwords(p: People):
    """Right, wrong, changed, and where there is none."""
    root = p.certificate("root")
    for name, password in (("alice", "alice's"), ("alice", "wrong"), ("alice", ""), ("carol", "carols"), ("dave", ""), ("dave", "dave"), ("nothing", "x"),
                           ("", "x"), ("alice", "ALICE'S"), ("имя", "пароль"), ("root", "alice's"), ("alice", "x" * 100)):
        p.password(name, password).run("get", "/alice/a", title=f"get with {password[:12]!r}")
    root.run("user", "passwd", "alice", "--interactive=false", stdin=b"new\n")
    p.password("alice", "alice's").run("get", "/alice/a", title="get with the old one")
    p.password("alice", "new").run("get", "/alice/a", title="get with the new one")
    p.password("alice", "new").run("user", "passwd", "alice", "--interactive=false", stdin=b"mine\n", title="her own")
    p.password("alice", "new").run("user", "passwd", "bob", "--interactive=false", stdin=b"hers\n", title="another's")
    p.certificate("dave").run("user", "passwd", "dave", "--interactive=false", stdin=b"x\n", title="his own, who has none")
    root.run("user", "passwd", "dave", "--interactive=false", stdin=b"now\n", title="one for who had none")
    p.password("dave", "now").run("get", "/dave/a", title="get with the first one")
    p.certificate("dave").run("get", "/dave/a")
    root.run("user", "passwd", "alice", "--interactive=false", stdin=b"alice's\n")


def matrix(p: People):
    """Each shape of permission against each shape of request."""
    probes = (
        "get /m/one", "get /m/b", "get /m/b /m/d", "get /m/a /m/e", "get /m/ --prefix --keys-only", "get /m/p/ --prefix", "get /m/x --from-key --keys-only",
        "get /m/y /m/z --keys-only", "put /m/one 1", "put /m/p/1 1", "put /m/one 2 --prev-kv", "put /m/p/1 2 --prev-kv", "put /n 1", "del /m/nothing", "del /m/p/none",
        "del /m/p/x /m/p/y --range --prev-kv", "del /m/q/ --prefix", "get /m/b --count-only", "get /m/c --rev=1000", "put /m/one --ignore-value",
    )
    for name in ("reads-one", "writes-one", "both-one", "reads-range", "writes-prefix", "both-prefix", "reads-from", "both-parts", "reads-writes", "stranger"):
        p.certificate(name).all(*probes)
    for name, watch in (("reads-one", "/m/one"), ("reads-one", "/m/b"), ("reads-one", "/m/one --from-key"), ("reads-range", "/m/b /m/d"), ("reads-range", "/m/b /m/e"),
                        ("writes-one", "/m/one"), ("both-prefix", "/m/p/ --prefix"), ("both-prefix", "/m/ --prefix"), ("reads-from", "/m/x --from-key")):
        # From the first revision on, so that what is let in has something to say.
        p.look(p.certificate(name), *watch.split(), "--rev=1", title=f"watch {watch}")
    dave = p.certificate("dave")
    w = dave.background("watch", "-i", title="two watches on one stream, one of them another's")
    w.say("watch /dave/a --rev=1\n")
    w.wait_lines(3)
    w.say("watch /bob/a --rev=1\n")
    w.finish(within_seconds=2)


def transactions(p: People):
    """Every part of a transaction needs its right, taken or not."""
    alice = p.certificate("alice")
    cases = {
        "hers": 'val("/alice/a") = "x"\n\nput /alice/b 1\n\nget /alice/b\n\n',
        "a compare of another's": 'val("/bob/a") = "x"\n\nput /alice/b 1\n\nget /alice/b\n\n',
        "a version of another's": 'ver("/bob/a") = "0"\n\nput /alice/b 1\n\n\n',
        "a put of another's, taken": '\nput /bob/a 1\n\n\n',
        "a put of another's, not taken": 'ver("/alice/nothing") = "1"\n\nput /bob/a 1\n\nget /alice/a\n\n',
        "a get of another's": '\nget /bob/a\n\n\n',
        "a get of another's, not taken": '\nget /alice/a\n\nget /bob/a\n\n',
        "a delete of another's": '\ndel /bob/a\n\n\n',
        "a range that reaches into another's": '\nget /alice/ /b\n\n\n',
        "two of hers": '\nput /alice/c 1\nput /shared/c 1\nget /alice/ --prefix\n\n\n',
        "one of hers, one of another's": '\nput /alice/d 1\nput /bob/d 1\n\n\n',
        "a value before of hers": '\nput /alice/c 2 --prev-kv\ndel /alice/b --prev-kv\n\n\n',
        "nothing": '\n\n\n',
    }
    for title, text in cases.items():
        alice.run("txn", stdin=text.encode(), title=f"txn: {title}")
    for title, text in {"a value before, unreadable": '\nput /m/one 3 --prev-kv\n\n\n', "a deletion's value before, unreadable": '\ndel /m/q --prev-kv\n\n\n',
                        "a blind write": '\nput /m/one 4\n\n\n', "a compare, unreadable": 'ver("/m/one") > "0"\n\nput /m/one 5\n\n\n'}.items():
        p.certificate("writes-prefix").run("txn", stdin=text.encode(), title=f"txn: {title}")
    p.certificate("stranger").run("txn", stdin=b"\n\n\n", title="txn: nothing")
    p.nobody().run("txn", stdin=b"\n\n\n", title="txn: nothing")
    alice.run("get", "/bob/d", title="get another's after all that")
    p.certificate("root").run("get", "/bob/", "--prefix", title="nothing of another's was changed")


def leases(p: People):
    """A lease is whose keys it holds."""
    alice, bob, root = p.certificate("alice"), p.certificate("bob"), p.certificate("root")
    lease = alice.run("lease", "grant", "600").split()[1]
    for person in (bob, p.certificate("stranger")):
        person.run("lease", "timetolive", lease, more="ttl", title="timetolive of an empty lease")
        person.run("lease", "timetolive", lease, "--keys", more="ttl", title="timetolive of an empty lease with keys")
    alice.run("put", "/alice/leased", "1", f"--lease={lease}", title="put with her lease")
    # While it holds one key: etcd names several in any order.
    alice.run("lease", "timetolive", lease, "--keys", more="ttl", title="timetolive of her lease with keys")
    alice.run("put", "/shared/leased", "1", f"--lease={lease}", title="put of a shared key with her lease")
    bob.run("put", "/bob/leased", "1", f"--lease={lease}", title="attach to a lease with another's keys")
    bob.run("txn", stdin=f"\nput /bob/leased 1 --lease={lease}\n\n\n".encode(), title="attach in a transaction")
    bob.run("put", "/shared/leased", "2", "--ignore-lease", title="put a shared key that holds another's lease")
    bob.run("lease", "timetolive", lease, more="ttl", title="timetolive of another's lease")
    bob.run("lease", "timetolive", lease, "--keys", more="ttl", title="timetolive of another's lease with keys")
    bob.run("lease", "keep-alive", lease, "--once", title="keep-alive of another's lease")
    alice.run("lease", "keep-alive", lease, "--once", title="keep-alive of her lease")
    p.certificate("stranger").run("lease", "keep-alive", lease, "--once", title="keep-alive of another's lease")
    bob.run("lease", "revoke", lease, title="revoke of another's lease")
    for person in (bob, alice, p.certificate("stranger"), p.nobody()):
        person.run("lease", "list")
    mixed = root.run("lease", "grant", "600").split()[1]
    root.run("put", "/alice/mixed", "1", f"--lease={mixed}", title="put with a lease of two")
    root.run("put", "/bob/mixed", "1", f"--lease={mixed}", title="put another with a lease of two")
    alice.run("put", "/alice/mixed", "2", f"--lease={mixed}", title="put with a lease of two")
    alice.run("lease", "revoke", mixed, title="revoke of a lease of two")
    alice.run("del", "/alice/mixed", title="delete of her key of a lease of two")
    alice.run("lease", "revoke", mixed, title="revoke of a lease that holds another's alone")
    bob.run("lease", "revoke", mixed, title="revoke of a lease that holds his alone")
    alice.run("lease", "revoke", lease, title="revoke of her lease")
    alice.run("get", "/alice/leased", title="nothing is left of it")
    root.run("lease", "list")
    bob.run("lease", "revoke", "7fffffff", title="revoke of a lease that is not")
    bob.run("lease", "timetolive", "7fffffff", title="timetolive of a lease that is not")
    bob.run("put", "/bob/a", "1", "--lease=7fffffff", title="put with a lease that is not")
    bob.run("put", "/alice/a", "1", "--lease=7fffffff", title="put of another's key with a lease that is not")


def locks(p: People):
    """Locks and elections are keys below a name."""
    alice = p.password("alice", "alice's")
    alice.run("lock", "/alice/lock", "echo", "held")
    alice.run("lock", "/bob/lock", "echo", "held", within_seconds=10)
    # Longer than a token lives: the client library logs in again.
    alice.run("lock", "/shared/lock", "--", "sleep", str(TOKEN_TTL_SECONDS + 2), title="a lock held longer than a token lives")
    alice.run("elect", "-l", "/bob/chief", within_seconds=10)
    leader = alice.background("elect", "/alice/chief", "me", title="elect alice")
    leader.wait_lines(2)
    leader.interrupt()
    p.certificate("root").run("get", "/alice/chief", "--prefix", title="nothing is left of the election")


ADMINISTRATION = (
    "member add x --peer-urls=http://127.0.0.1:9999", "member remove 1", "member update 1 --peer-urls=http://127.0.0.1:9999", "member promote 1",
    "endpoint hashkv", "alarm disarm", "defrag", "snapshot save stolen.db", "compaction 1", "move-leader 1", "downgrade validate 3.6.0", "downgrade enable 3.6.0",
    "downgrade cancel", "user add x:y", "user add x --no-password", "user delete bob", "user list", "user get bob", "user get bob --detail",
    "user grant-role alice root", "user grant-role stranger root", "user revoke-role bob bobs", "role add x", "role delete bobs", "role list", "role get bobs",
    "role grant-permission alices read /bob/ --prefix", "role revoke-permission bobs /bob/ --prefix", "auth enable", "auth disable",
)
OPEN_TO_USERS = ("member list", "endpoint status", "endpoint health", "alarm list", "auth status", "user get alice", "user get alice --detail", "role get alices", "role get shared")


def administration(p: People):
    """What is the administrator's, asked for by others."""
    by_token = p.bearer("alice's token", p.token("alice", "alice's"))
    for person in (p.certificate("alice"), by_token, p.certificate("stranger"), p.nobody()):
        for command in (*OPEN_TO_USERS, *ADMINISTRATION):
            person.run(*command.split(), more="status" if command.startswith("endpoint") else None)
    root = p.certificate("root")
    for command in ("member list", "endpoint status", "endpoint health", "alarm list", "alarm disarm", "defrag", "move-leader 1", "downgrade cancel"):
        root.run(*command.split(), more="status" if command.startswith("endpoint") else None)
    root.run("get", "", "--prefix", "--keys-only", title="nothing was changed")
    root.all("user list", "role list", "user get alice", "role get alices", "role get bobs")


def root_rules(p: People):
    """Nobody saws off the branch that all sit on; and other administrators are possible."""
    root = p.certificate("root")
    root.all("user delete root", "user revoke-role root root", "role delete root", "role grant-permission root read k", "role get root",
             "role revoke-permission root k", "role grant-permission nothing read k")
    root.all("user add second --no-password", "user grant-role second root", "user get second")
    second = p.certificate("second")
    second.all("get open", "user list", "user add third:x", "user revoke-role second root", "user list", "get open")
    root.all("user grant-role second root", "user delete third", "user delete second")
    second.all("get open", "user list")
    root.all("auth status", "user delete root")


def live(p: People):
    """Rights that end while they are used. etcd's watches go on; ours are cut (see DELIBERATE in `run`)."""
    root = p.certificate("root")
    n = [0]

    def put(key):
        n[0] += 1
        return json.loads(root.quiet("put", key, str(n[0]), "-w", "json"))["header"]["revision"]

    def prepared(name):
        root.all(f"user add {name} --no-password", f"role add {name}s", f"role grant-permission {name}s read /live/ --prefix", f"user grant-role {name} {name}s")
        return p.certificate(name)

    cases = [(title, prepared(name), f"/live/{name}", lambda words=revoke: root.run(*words)) for name, title, revoke in (
        ("w1", "watch while its permission is revoked", ["role", "revoke-permission", "w1s", "/live/", "--prefix"]),
        ("w2", "watch while its role is revoked", ["user", "revoke-role", "w2", "w2s"]),
        ("w3", "watch while its role is deleted", ["role", "delete", "w3s"]),
        ("w4", "watch while its user is deleted", ["user", "delete", "w4"]),
    )]
    p.cut(cases, put)
    for title, person, _, _ in cases:
        person.run("get", "/live/none", title=f"get after the {title}")
    root.all("user get w3", "role get w3s", "role add w3s", "user get w3")
    p.certificate("w3").run("get", "/live/none", title="get after a role of that name is there again")
    # Another right to the same keys: the watch goes on, here and there.
    person = prepared("w5")
    root.all("role add wider", "role grant-permission wider read /l --prefix", "user grant-role w5 wider")
    watch = person.background("watch", "/live/other", title="watch while one of two roles is revoked")
    # What was revoked must not be what keeps it, and the put has to come after the watch is there.
    time.sleep(0.7)
    root.all("user revoke-role w5 w5s", "put /live/other 1")
    watch.wait_lines(3)
    watch.interrupt()
    root.all("user add w4 --no-password", "user get w4")
    p.certificate("w4").run("get", "/live/none", title="get by a user of the name of a deleted one")


def tokens(p: People):
    """A token is its user, while it lives."""
    root = p.certificate("root")
    first = p.token("alice", "alice's")
    # By way of JSON, which etcd answers as its own client: it takes nobody's name from a certificate there.
    for key, title in (("/alice/a", "hers"), ("/bob/a", "not hers")):
        wanted = {"key": base64.b64encode(key.encode()).decode()}
        p.json("nobody", "kv/range", f"a key, {title}, without a token", **wanted)
        p.json("nobody", "kv/range", f"a key, {title}, by alice's token", token=first, **wanted)
        p.json("alice", "kv/range", f"a key, {title}, without a token", **wanted)
    alice = p.bearer("alice's token", first)
    alice.all("get /alice/a", "get /bob/a", "put /alice/t 1", "user get alice", "user list", "auth status")
    p.bearer("alice's token over root's certificate", first, certificate="root").all("get /alice/a", "get /bob/a", "user list")
    p.bearer("Bearer and alice's token", "Bearer " + first).all("get /alice/a")
    wrong = ("nonsense", "x.1", first + "x", first[:-1], ".", first.split(".")[0], "Bearer")
    for token, title in zip(wrong, ("a word", "one that never was", "one letter more", "one letter less", "a dot", "half of one", "a scheme alone")):
        p.bearer("a wrong token", token).run("get", "/alice/a", "--command-timeout=2s", title=f"get with {title}")
    p.bearer("a token of the future", first.split(".")[0] + ".99999999").run("get", "/alice/a", "--command-timeout=1s", title="get")
    # Rights change under a token; the token stays.
    root.all("role add late", "role grant-permission late read /late/ --prefix", "user grant-role alice late")
    alice.run("get", "/late/a", title="get what was just granted")
    root.run("user", "revoke-role", "alice", "late")
    alice.run("get", "/late/a", title="get what was just revoked")
    # A use each second keeps it; without one it ends.
    for _ in range(TOKEN_TTL_SECONDS + 1):
        time.sleep(1)
        alice.quiet("get", "/alice/a")
    alice.run("get", "/alice/a", title="get with a token that was used all the time")
    time.sleep(TOKEN_TTL_SECONDS + 2)
    alice.run("get", "/alice/a", title="get with a token that was not used for longer than it lives")
    changed, gone, off = p.token("carol", "carols"), p.token("имя", "пароль"), p.token("bob", "bob's")
    p.bearer("carol's token", changed).run("get", "/carol/a", title="get before the password changes")
    root.run("user", "passwd", "carol", "--interactive=false", stdin=b"carols\n")
    p.bearer("carol's token", changed).run("get", "/carol/a", title="get after the password was changed")
    root.run("user", "delete", "имя")
    p.bearer("a deleted user's token", gone).run("get", "/alice/a")
    p.bearer("bob's token", off).run("get", "/bob/a", title="get before access control goes off")
    root.run("auth", "disable")
    p.bearer("bob's token", off).run("get", "/alice/a", title="get while access control is off")
    root.run("auth", "enable")
    p.bearer("bob's token", off).run("get", "/bob/a", title="get after it came back")


def disabled(p: People):
    """Off again: all is open, and what was written down is still there."""
    alice, root = p.certificate("alice"), p.certificate("root")
    alice.run("auth", "disable")
    root.run("auth", "disable")
    root.all("auth disable", "auth status")
    for person in (alice, p.certificate("stranger"), p.nobody(), p.password("alice", "alice's")):
        person.all("get /bob/a", "put /bob/a 2", "user get alice", "role get alices", "member list")
    s = p.nobody()
    s.run("get", "", "--prefix", title="everything")
    s.all("user list", "role list", "auth enable", "auth status")
    alice.all("get /alice/a", "get /bob/a")
    root.all("auth disable", "user delete root", "auth enable", "user list", "role delete root", "role list", "auth status")
    s.run("get", "", "--prefix", "-w", "json", title="everything, with revisions")


def signed(p: People):
    """At a member of its own whose tokens are signed: one is good for the policy of its day, until its end, and no other is."""
    s = p.nobody()
    s.all("user add root:secret", "user grant-role root root", "put /alice/a 1", "put open 1")
    s.run("user", "add", "alice:alice's")
    s.all("role add alices", "role grant-permission alices readwrite /alice/ --prefix", "user grant-role alice alices", "auth enable")
    alice, root = p.bearer("alice's token", p.token("alice", "alice's")), p.bearer("root's token", p.token("root", "secret"))
    # A certificate is asked for no token; the token says more than it where both are there.
    keeper = p.certificate("root")
    alice.all("get /alice/a", "put /alice/a 2", "get open", "user get alice", "user list", "member list", "auth status", "lease list")
    root.all("get open", "user list", "compact 2")
    # One change of the policy, whatever it is about: what was signed before is of another policy.
    keeper.all("role add unrelated", "auth status")
    alice.all("get /alice/a", "put /alice/a 3", "user get alice", "member list", "get open")
    alice.run("txn", stdin=b'mod("/alice/a") > "0"\n\nget /alice/a\n\nput open 2\n\n', title="txn with a key that is not hers")
    root.all("get open")
    root.run("user", "list", title="administer by the policy of before")
    p.bearer("root's new token", p.token("root", "secret")).all("get open", "user list")
    anew = p.token("alice", "alice's")
    p.bearer("alice's new token", anew).all("get /alice/a", "get open")
    head, body, signature = anew.split(".")
    wrong = {"without its signature": f"{head}.{body}.", "with another's": f"{head}.{body}.{signature[:-8]}AAAAAAAA", "half of it": f"{head}.{body}",
             "a simple one": "abcdefghijklmnop.7", "a dot": "."}
    for title, token in wrong.items():
        p.bearer("a wrong token", token).run("get", "/alice/a", "--command-timeout=2s", title=f"get with {title}")
    # Two administrators may not both saw off the branch: nothing of the rules depends on how tokens are made.
    keeper.all("user revoke-role root root", "user delete root", "auth status")
    keeper.run("user", "passwd", "alice", "--interactive=false", stdin=b"alice's\n")
    p.bearer("alice's new token", anew).run("get", "/alice/a", title="get after her password was set anew")
    last = p.token("alice", "alice's")
    p.bearer("alice's last token", last).run("get", "/alice/a", title="get in its time")
    time.sleep(SIGNED_TTL_SECONDS + 1)
    p.bearer("alice's last token", last).run("get", "/alice/a", title="get after its end")


CHAPTERS = [before, accounts, permissions, enabled, passwords, matrix, transactions, leases, locks, administration, root_rules, live, tokens, disabled]
# On a member of their own that signs tokens.
SIGNED = [signed]
