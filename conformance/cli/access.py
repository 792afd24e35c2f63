"""Users, roles and access control: made, granted, enforced, logged in for, mistyped, and typed at a terminal.

What this is: chapters like those of conformance/etcdctl/story.py, on a member of their own, since they turn its access control
on. They follow each other: a chapter uses the users of the one before. Tokens of the member end after two seconds (`ARGUMENTS`).

Passwords are written as `--user=name:password`, so that the words of a command stand where they always stand.
"""

import contextlib

# Hashes that cost no time, and logins that end while a command works.
ARGUMENTS = ["--bcrypt-cost=4", "--auth-token-ttl=2"]
KINDS = ("simple", "json", "fields", "table", "protobuf")
ROOT = "--user=root:pw"


@contextlib.contextmanager
def variables(s, **values):
    """With these variables in the environment of each command."""
    before = dict(s.environment)
    s.environment.update({"ETCDCTL_" + name: value for name, value in values.items()})
    yield
    s.environment.clear()
    s.environment.update(before)


def users(s):
    s.formats("auth", "status")
    s.formats("user", "list")
    for kind in KINDS:
        s.run("user", "add", f"u-{kind}:pw", "-w", kind, title=f"user add -w {kind}")
    for title, argv, stdin in (
        ("confirmed", ["al"], b"a\na\n"), ("no end of the line", ["bo"], b"b\nb"), ("with a return", ["cy"], b"c\r\nc\r\n"),
        ("spaces around", ["di"], b"  d d \nd d\n"), ("not confirmed", ["ed"], b"e\nf\n"), ("empty", ["ed"], b"\n\n"), ("no input", ["ed"], b""),
        ("one line", ["ed", "--interactive=false"], b"e\n"), ("one line without an end", ["fy", "--interactive=false"], b"f"),
        ("the second line is not read", ["gu", "--interactive=false"], b"g\nh\n"), ("spaces before", ["hy", "--interactive=false"], b"  h\n"),
        ("interactive", ["io", "--interactive"], b"i\ni\n"), ("interactive=true", ["jo", "--interactive=true"], b"j\nj\n"),
        ("again", ["al:x"], b""), ("no password", ["no", "--no-password"], b""), ("no password and one", ["nn", "--no-password", "--new-user-password=x"], b""),
        ("password option", ["ko", "--new-user-password=k"], b""), ("password option with a word of its own", ["lo", "--new-user-password", "-l"], b""),
        ("empty password option", ["mo", "--new-user-password="], b"m\nm\n"), ("colon and option", ["with:colon", "--new-user-password=w"], b""),
        ("colons in the password", ["oz:a:b"], b""), ("no name before the colon", [":x"], b""), ("an empty name", [""], b"x\nx\n"),
        ("an empty name without a password", ["", "--no-password"], b""), ("an odd name", ["ключ ä<&>\"\\"], b"x\nx\n"),
    ):
        s.run("user", "add", *argv, stdin=stdin, title=f"user add: {title}")
    for argv, stdin in (
        (["al"], b"aa\naa\n"), (["al"], b"aa\nbb\n"), (["al", "--interactive=false"], b"a\n"), (["nobody", "--interactive=false"], b"x\n"),
        (["no", "--interactive=false"], b"x\n"),
    ):
        s.run("user", "passwd", *argv, stdin=stdin, title="user passwd " + " ".join(argv))
    for kind in KINDS:
        s.run("user", "passwd", "al", "--interactive=false", "-w", kind, stdin=b"a\n", title=f"user passwd -w {kind}")
        s.run("user", "delete", f"u-{kind}", "-w", kind, title=f"user delete -w {kind}")
    s.run("user", "delete", "nobody")
    s.formats("user", "list")
    s.formats("user", "get", "al")
    s.run("user", "get", "nobody")
    s.run("user", "get", "al", "--detail", title="user get --detail without roles")
    s.run("user", "get", "nobody", "--detail", title="user get --detail of nobody")


def roles(s):
    for kind in KINDS:
        s.run("role", "add", f"r-{kind}", "-w", kind, title=f"role add -w {kind}")
        s.run("user", "grant-role", "bo", f"r-{kind}", "-w", kind, title=f"user grant-role -w {kind}")
        s.run("user", "revoke-role", "bo", f"r-{kind}", "-w", kind, title=f"user revoke-role -w {kind}")
        s.run("role", "delete", f"r-{kind}", "-w", kind, title=f"role delete -w {kind}")
    for name in ("app", "app", "", "spare", "ключ ä<&>\"\\"):
        s.run("role", "add", name)
    s.formats("role", "get", "app")
    for kind, permission in zip(KINDS, ("read", "write", "readwrite", "READ", "ReadWrite")):
        s.run("role", "grant-permission", "app", permission, f"app/{kind}", "-w", kind, title=f"role grant-permission -w {kind}")
    for words in (
        ["readwrite", "p/", "--prefix"], ["read", "f", "--from-key"], ["write", "a", "c"], ["read", "", "--prefix"], ["write", "", "--from-key"], ["read", ""],
        ["read", "\\xff", "--prefix"], ["read", "b", "a"], ["read", "b", "b"], ["read", "k\x01é\"<&>\n"], ["read", "a", ""], ["read", "a", "", "--prefix"],
        ["own", "k"], ["", "k"], ["read", "k", "e", "--prefix"], ["read", "k", "e", "--from-key"], ["read", "k", "--prefix", "--from-key"],
        ["read", "", "--prefix", "--from-key"], ["read", "k", "e", "--prefix", "--from-key"], ["read", "--prefix=false", "q"], ["read", "--", "-k"], ["read"], [],
    ):
        s.run("role", "grant-permission", "app", *words, title="role grant-permission " + " ".join(map(ascii, words)))
    s.formats("role", "get", "app")
    s.run("role", "get", "app", "--hex", "-w", "json", title="role get --hex -w json")
    s.run("role", "get", "app", "--hex", "-w", "fields", title="role get --hex -w fields")
    s.run("role", "grant-permission", "nothing", "read", "k")
    for kind in KINDS:
        s.run("role", "revoke-permission", "app", f"app/{kind}", "-w", kind, title=f"role revoke-permission -w {kind}")
    for words in (
        ["f", "--from-key"], ["a", "c"], ["", "--prefix"], ["", "--from-key"], [""], ["p/"], ["nothing"], ["k", "e", "--prefix"], ["k", "e", "--from-key"],
        ["k", "--prefix", "--from-key"], ["", "--prefix", "--from-key"], ["--", "-k"], [],
    ):
        s.run("role", "revoke-permission", "app", *words, title="role revoke-permission " + " ".join(map(ascii, words)))
    s.run("role", "revoke-permission", "nothing", "k")
    s.formats("role", "get", "app")
    s.formats("role", "list")
    s.run("role", "delete", "nothing")
    s.run("role", "get", "nothing")
    for words in (["al", "app"], ["al", "app"], ["al", "nothing"], ["nobody", "app"]):
        s.run("user", "grant-role", *words, title="user grant-role " + " ".join(words))
    for words in (["al", "spare"], ["al", "nothing"], ["nobody", "app"]):
        s.run("user", "revoke-role", *words, title="user revoke-role " + " ".join(words))
    s.run("user", "grant-role", "al", "spare")
    for kind in KINDS:
        s.run("user", "get", "al", "--detail", "-w", kind, title=f"user get --detail -w {kind}")
        s.run("user", "get", "al", "-w", kind, title=f"user get -w {kind} with roles")
    s.run("role", "delete", "spare")
    s.run("user", "get", "al", title="user get after its role was deleted")


def mistyped(s):
    """What is missing or too much; nothing of this reaches the member."""
    for command in (
        ["user"], ["user", "nonsense"], ["user", "add"], ["user", "add", "a", "b"], ["user", "add", "a", "--nonsense"], ["user", "add", "a", "--new-user-password"],
        ["user", "add", "a", "--interactive=x"], ["user", "delete"], ["user", "delete", "a", "b"], ["user", "get"], ["user", "get", "a", "b"],
        ["user", "get", "al", "--detail=false"], ["user", "list", "x"], ["user", "passwd"], ["user", "passwd", "a", "b"], ["user", "grant-role"],
        ["user", "grant-role", "a"], ["user", "grant-role", "a", "b", "c"], ["user", "revoke-role"], ["user", "revoke-role", "a", "b", "c"], ["user", "li"],
        ["role"], ["role", "nonsense"], ["role", "add"], ["role", "add", "a", "b"], ["role", "delete"], ["role", "delete", "a", "b"], ["role", "get"],
        ["role", "get", "a", "b"], ["role", "list", "x"], ["role", "grant-permission"], ["role", "grant-permission", "app"], ["role", "revoke-permission"],
        ["role", "revoke-permission", "app"], ["role", "grant"], ["role", "li"], ["auth"], ["auth", "nonsense"], ["auth", "enable", "x"], ["auth", "disable", "x"],
        ["auth", "status", "x"], ["auth", "status", "-w", "xml"], ["user", "list", "-w", "xml"], ["--user", "get", "k"], ["get", "k", "--user"],
    ):
        s.run(*command, title=" ".join(command), stdin=b"", within_seconds=8)


def terminal(s):
    """Passwords typed by a person: what is asked, that it is not shown, and that the terminal shows again what is typed afterwards."""
    for title, argv, answers in (
        ("user add", ["user", "add", "ty"], [b"t\n", b"t\n"]), ("user add not confirmed", ["user", "add", "tz"], [b"t\n", b"u\n"]),
        ("user add empty", ["user", "add", "tz"], [b"\n"]), ("user add ended", ["user", "add", "tz"], [b"\x04"]),
        ("user add corrected", ["user", "add", "tx"], [b"x\x7fok\n", b"ok\n"]), ("user passwd", ["user", "passwd", "ty"], [b"tt\n", b"tt\n"]),
        ("get", ["--user=ty", "get", "k"], [b"tt\n"]), ("user passwd with a login", ["--user=ty", "user", "passwd", "ty"], [b"t\n", b"t\n", b"tt\n"]),
    ):
        s.terminal(*argv, answers=answers, title="at a terminal: " + title)


def enabling(s):
    s.run("auth", "enable", title="auth enable without root")
    s.run("--user=al:a", "get", "k", title="a login before access control is on")
    s.run("--user=al:wrong", "get", "k", title="a wrong login before access control is on")
    s.run("auth", "disable", title="auth disable while off")
    s.run("user", "add", "root:pw")
    s.run("role", "add", "root")
    s.formats("role", "get", "root")
    s.run("auth", "enable", title="auth enable with a role that root lacks")
    s.run("role", "delete", "root")
    s.run("auth", "enable", title="auth enable that makes the role")
    s.formats(ROOT, "auth", "status")
    s.run("auth", "status", title="auth status of nobody")
    for kind in KINDS:
        s.run(ROOT, "auth", "enable", "-w", kind, title=f"auth enable again -w {kind}")
    s.run("auth", "enable", title="auth enable by nobody")
    s.run("user", "list", title="user list by nobody")
    s.run(ROOT, "user", "get", "root", "--detail", title="root in detail")
    s.formats(ROOT, "role", "get", "root")


def logging_in(s):
    for title, argv, stdin in (
        ("nobody", [], b""), ("root", [ROOT], b""), ("words apart", ["--user", "root", "--password", "pw"], b""), ("asked", ["--user=root"], b"pw\n"),
        ("asked with a return", ["--user=root"], b"pw\r\n"), ("asked with spaces around", ["--user=root"], b"  pw  \n"), ("asked, wrong", ["--user=root"], b"wrong\n"),
        ("wrong password", ["--user=root:wrong"], b""), ("unknown user", ["--user=nobody:pw"], b""), ("a user without a password", ["--user=no:x"], b""),
        ("a name with a colon", ["--user=with:colon", "--password=w"], b""), ("a password with colons", ["--user=oz:a:b"], b""),
        ("a password with spaces", ["--user=di:d d"], b""), ("a made-up token", ["--auth-jwt-token=nonsense"], b""), ("an empty user", ["--user="], b""),
        ("an empty password option", ["--user=root:pw", "--password="], b""), ("an empty token", ["--user=root:pw", "--auth-jwt-token="], b""),
    ):
        s.run("get", "k", *argv, stdin=stdin, title=f"log in: {title}")
    with variables(s, USER="root:pw"):
        s.run("get", "k", title="log in: variable")
        s.run("get", "k", "-w", "json", title="log in: variable, as json")
    with variables(s, USER="root", PASSWORD="pw"):
        s.run("get", "k", title="log in: two variables")
    with variables(s, USER="root"):
        s.run("get", "k", stdin=b"pw\n", title="log in: variable, asked")
    with variables(s, AUTH_JWT_TOKEN="nonsense"):
        s.run("get", "k", title="log in: token in a variable")
    s.run("--user=root", "txn", stdin=b"pw\n\nget k\n\n\n", title="log in: the password before the transaction")
    s.run("--user=root", "txn", "-i", stdin=b"pw\n\nget k\n\n\n", title="log in: the password before the transaction typed")
    s.run("--user=root", "user", "add", "zz", stdin=b"z\nz\npw\n", title="log in: the new password first")
    s.run("--user=root", "watch", "-i", stdin=b"pw\nnonsense\n", title="log in: the rest of the input is watches", within_seconds=8)


def enforced(s):
    al = "--user=al:a"
    for argv in (
        ["get", "p/1"], ["get", "p/", "--prefix"], ["get", "k"], ["get", "", "--prefix"], ["put", "p/1", "v"], ["put", "k", "v"], ["del", "p/1"], ["del", "k"],
        ["watch", "k"], ["lease", "grant", "x"], ["lease", "list"], ["member", "list", "-w", "json"], ["alarm", "list"], ["compaction", "1"], ["defrag"],
        ["endpoint", "health"], ["endpoint", "hashkv"], ["move-leader", "abc"], ["member", "add", "x", "--peer-urls=http://127.0.0.1:1"], ["user", "list"],
        ["user", "get", "al"], ["user", "get", "al", "--detail"], ["user", "get", "root"], ["user", "add", "new:pw"], ["user", "delete", "al"],
        ["user", "grant-role", "al", "root"], ["user", "revoke-role", "al", "app"], ["role", "list"], ["role", "get", "app"], ["role", "get", "root"],
        ["role", "add", "new"], ["role", "delete", "app"], ["role", "grant-permission", "app", "read", "k"], ["role", "revoke-permission", "app", "p/", "--prefix"],
        ["auth", "status"], ["auth", "enable"], ["auth", "disable"], ["lock", "p/lock", "true"], ["lock", "elsewhere", "true"], ["elect", "elsewhere", "x"],
    ):
        for who, options in (("al", [al]), ("nobody", []), ("a stranger", ["--auth-jwt-token=nonsense"])):
            more = "status" if argv[0] == "endpoint" else None
            s.run(*argv, *options, title=f"{who}: {' '.join(argv)}", within_seconds=8, more=more)
    s.run("txn", al, stdin=b"\nget p/1\nput p/2 x\n\n\n", title="al: txn within")
    s.run("txn", al, stdin=b"\nget p/1\nput k x\n\n\n", title="al: txn beyond")
    s.run("user", "passwd", "al", "--interactive=false", al, stdin=b"new\n", title="al: user passwd of itself")
    for argv in (["user", "delete", "root"], ["role", "delete", "root"], ["user", "revoke-role", "root", "root"]):
        s.run(*argv, ROOT, title="root: " + " ".join(argv))


def endings(s):
    """A login ends while a command works; rights end while a stream stands."""
    s.run("lock", "late", "sleep", "4", ROOT, title="a login that ends while a lock is held")
    s.run(ROOT, "role", "revoke-permission", "app", "p/", "--prefix", title="a right is revoked")
    s.run("--user=al:a", "get", "p/1", title="after a right is revoked")
    s.run(ROOT, "user", "delete", "al")
    s.run("--user=al:a", "get", "p/1", title="after the user is deleted")
    for kind in KINDS:
        s.run("auth", "disable", ROOT, "-w", kind, title=f"auth disable -w {kind}")
    s.run("get", "p/1", title="after access control is off")


def differently(s):
    """Where etcdctl does what nobody means, each with its reason in DELIBERATE. Last, since the members part here."""
    s.run("auth", "enable")
    for title, argv, stdin in (
        ("an empty password", ["--user=root:"], b""), ("nothing typed", ["--user=root"], b""), ("no name", ["--user=:pw"], b""),
        ("a token that cannot be sent", ["--auth-jwt-token=\x01"], b""), ("a password alone", ["--password=pw"], b""),
        ("a user and a token", [ROOT, "--auth-jwt-token=x"], b""),
    ):
        s.run("get", "k", *argv, stdin=stdin, title=f"log in: {title}")
    s.run("--user=root", "lock", "l", "cat", stdin=b"pw\nfor the program\n", title="the rest of the input is the program's")
    i = s.background("watch", "-i", ROOT, title="a watch added after the login of its stream ended")
    i.say("watch p/1\n")
    s.run("put", "p/1", "one", ROOT)
    i.wait_lines(3)
    s.pause(4)
    i.say("watch p/2\n")
    s.pause(1)
    s.run("put", "p/2", "two", ROOT)
    i.wait_lines(3, within_seconds=3)
    i.interrupt()
    s.run("auth", "disable", ROOT)
    for title, argv, stdin in (
        ("an empty password behind the colon", ["empty:"], b""), ("an empty line", ["emptied", "--interactive=false"], b"\n"),
        ("no line", ["emptier", "--interactive=false"], b""),
    ):
        s.run("user", "add", *argv, stdin=stdin, title=f"user add: {title}")
    s.run("user", "passwd", "bo", "--interactive=false", stdin=b"\n", title="user passwd: an empty line")
    s.run("user", "add", "wo", "--interactive=false", stdin=b"w o\n", title="user add: words on a line")
    s.run("auth", "enable")
    s.run("get", "k", "--user=wo:w o", title="log in: words on a line")
    s.run("auth", "disable", ROOT)
    for words in (["grant-permission", "app", "read", "", "e"], ["grant-permission", "app", "read", "k", "e", "more"], ["revoke-permission", "app", "", "e"],
                  ["revoke-permission", "app", "k", "e", "more"]):
        s.run("role", *words, title=f"role {words[0]} " + " ".join(map(ascii, words[1:])))
    s.terminal("user", "add", "tz", answers=[b"t\x03"], title="at a terminal: user add interrupted")


CHAPTERS = [users, roles, mistyped, terminal, enabling, logging_in, enforced, endings, differently]
