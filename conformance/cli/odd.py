"""Commands as people mistype them, and options that few use: what is missing, too much, contradictory, or not a number.

What this is: chapters like those of conformance/etcdctl/story.py, for the comparison of two programs with each other. A member
hardly hears of most of these: the answer is the program's own.
"""

from story import revision

KINDS = ("simple", "json", "fields", "table")


def reading(s):
    for key, value in (("o/a", "1"), ("o/b", "2"), ("o/c", "3"), ("o/\x01\x7fé", "\ttab")):
        s.run("put", key, value)
    for options in (
        ["o/a", "--order=ascend"], ["o/", "--prefix", "--order=descend"], ["o/", "--prefix", "--sort-by=version"], ["o/a", "--sort-by=NONE"],
        ["o/a", "--sort-by"], ["o/a", "--rev=-1"], ["o/a", "--rev", "-1"], ["o/a", "--rev=x"], ["o/a", "--rev="], ["o/a", "--limit=-1"],
        ["o/", "--prefix", "--limit=-5"], ["o/a", "--limit=99999999999999999999"], ["o/a", "--limit=0x1"], ["o/a", "--limit=1_0"],
        ["o/a", "o/c", "--prefix"], ["o/a", "o/c", "--from-key"], ["o/a", "--prefix=false"], ["o/", "--prefix=true"], ["o/", "--prefix=x"],
        ["o/", "--prefix", "true"], ["--", "o/a"], ["o/a", "--"], ["--prefix", "--", "o/"], ["o/", "--prefix", "--keys-only", "--count-only"],
        ["o/", "--prefix", "--keys-only", "--print-value-only"], ["o/a", "--count-only"], ["o/a", "--count-only", "-w", "json"],
        ["o/a", "--print-value-only", "-w", "json"], ["o/a", "--keys-only", "--print-value-only", "-w", "fields"], ["o/a", "--hex"],
        ["o/", "--prefix", "--hex", "-w", "json"], ["o/", "--prefix", "--hex", "-w", "fields"], ["o/", "--prefix", "--hex", "--keys-only"],
        ["o/", "--prefix", "-w", "fields"], ["o/", "--prefix", "-w", "json", "--keys-only"], ["o/a", "-w", "xml"], ["o/a", "-w"],
        ["o/a", "-w", "JSON"], ["o/a", "-wjson"], ["o/a", "--write-out", "json"], ["o/a", "--consistency="], ["o/a", "--consistency=S"],
        ["o/", "--prefix", "--min-mod-rev=5", "--max-mod-rev=2"], ["o/", "--prefix", "--min-create-rev=5", "--max-create-rev=2"],
        ["o/", "--prefix", "--min-mod-rev=-5"], ["o/", "--prefix", "--max-mod-rev=-1"], ["o/a", "--stream", "--order=DESCEND"],
        ["o/", "--prefix", "--stream", "--sort-by=VALUE", "--order=DESCEND"], ["o/", "--prefix", "--stream", "--count-only"],
        ["o/", "--prefix", "--stream", "--min-mod-rev=3"], ["o/", "--prefix", "--stream", "-w", "fields"], ["o/a", "--nonsense"], ["o/a", "-z"],
        ["o/a", "--command-timeout=x"], ["o/a", "--command-timeout=5"], ["o/a", "--dial-timeout=-1s"], ["o/a", "--command-timeout=0"],
        ["o/a", "--pref"], ["-prefix", "o/"],
    ):
        s.run("get", *options, title="get " + " ".join(options))


def writing(s):
    for options in (
        ["p/a"], ["p/a", "1", "2"], ["p/a", "1", "--lease=x"], ["p/a", "1", "--lease=-1"], ["p/a", "1", "--lease=0"], ["p/a", "1", "--lease="],
        ["p/a", "1", "--lease"], ["p/a", "--ignore-value", "1"], ["p/a", "1", "--ignore-value=false"], ["p/a", "--ignore-lease"],
        ["p/a", "-1"], ["p/a", "--", "-1"], ["--", "-p", "-v"], ["p/a", "--prev-kv", "2"], ["p/a", "1", "--prev-kv", "--hex"], ["p/a", ""],
        ["p/a", "--ignore-value", "--ignore-lease"], ["p/b", "3", "--ignore-lease", "--lease=1"], ["p/a", "1", "--lease=0x1"],
        ["p/a", "1", "--lease=7fffffffffffffff0"],
    ):
        s.run("put", *options, title="put " + " ".join(options))
    s.run("put", "p/in", stdin=b"", title="put from an empty input")
    s.run("put", "p/in", "--ignore-value", stdin=b"text", title="put with a value kept and an input")
    for kind in KINDS:
        s.run("put", "p/a", "again", "--prev-kv", "-w", kind, title=f"put --prev-kv -w {kind}")
        s.run("put", "p/a", "again", "--prev-kv", "--hex", "-w", kind, title=f"put --prev-kv --hex -w {kind}")


def deleting(s):
    for n in range(9):
        s.run("put", f"d/{n}", "v")
    for options in (
        ["d/0", "--prefix", "--from-key"], ["d/0", "d/2", "--prefix"], ["d/0", "d/2", "--from-key"], ["d/0", "d/2", "--range"],
        ["d/2", "--range"], ["d/2", "--range=false"], ["d/0", "d/1", "d/2"], ["d/3", "--prev-kv", "--hex"], ["d/4", "--prev-kv=false"],
        ["d/5", "--prev-kv", "--hex", "-w", "json"], ["d/5", "--rev=1"], ["d/9", "d/6", "--range"], ["", "--prefix=false"],
    ):
        s.run("del", *options, title="del " + " ".join(options))
    s.run("del", "d/", "--prefix", "--range", title="del --prefix --range")


def transactions(s):
    s.run("put", "t/a", "1")
    for title, stdin in (
        ("empty", b""), ("one empty line", b"\n"), ("two empty lines", b"\n\n"), ("no last line", b"\n\n\nget t/a"),
        ("unknown target", b'foo("t/a") = "1"\n\n\n\n'), ("unknown operator", b'mod("t/a") == "1"\n\n\n\n'), ("no value", b'mod("t/a") = \n\n\n\n'),
        ("no quotes", b"mod(t/a) = 1\n\n\n\n"), ("bad number", b'mod("t/a") = "x"\n\n\n\n'), ("no bracket", b"mod\n\n\n\n"),
        ("spaces", b'  mod("t/a")   >   "0"  \n\n  get   t/a  \n\n\n'), ("bad quote in a key", b'mod("t/a) > "0"\n\n\n\n'),
        ("words behind", b'mod("t/a") > "0" and more\n\nget t/a\n\n\n'), ("get without a key", b"\nget\n\n\n"),
        ("put without a value", b"\nput t/b\n\n\n"), ("unknown request", b"\nwatch t/a\n\n\n"), ("unknown option", b"\nget t/a --nonsense\n\n\n"),
        ("options", b"\nget t/ --prefix --keys-only --order=DESCEND\nput t/b \"two words\" --prev-kv\ndel t/b --prev-kv\n\n\n"),
        ("escapes", b'\nput t/e "a\\tb\\x41\\u00e9"\nget t/e\n\n\n'), ("single quotes", b"\nput t/s 'it is'\nget t/s\n\n\n"),
        ("bad escape", b'\nput t/e "\\q"\n\n\n'), ("prefix and from-key", b"\nget t/ --prefix --from-key\n\n\n"),
        ("rev", b"\nget t/a --rev=2\n\n\n"), ("many keys", b"\nget t/a t/c t/d\n\n\n"), ("put in the else branch", b'mod("t/a") = "0"\n\n\nput t/x 1\n\n'),
        ("comparison of an empty value", b'value("t/a") = ""\n\nget t/a\n\ndel t/a\n\n'), ("carriage returns", b'mod("t/a") > "0"\r\n\r\nget t/a\r\n\r\n\r\n'),
        ("negative", b'mod("t/a") > "-1"\n\nget t/a\n\n\n'), ("more than three", b"\n\n\nget t/a\n\n"),
    ):
        s.run("txn", stdin=stdin, title="txn: " + title)
    s.run("txn", "extra", title="txn with an argument")
    s.run("txn", "--interactive", stdin=b"\n\n\n", title="txn --interactive")
    s.run("txn", "-i", stdin=b"", title="txn -i with nothing")
    s.run("txn", "-i", stdin=b"nonsense\n", title="txn -i with nonsense")
    for kind in KINDS:
        s.run("txn", "--hex", "-w", kind, stdin=b"\nput t/h h --prev-kv\nget t/ --prefix\ndel t/h --prev-kv\n\n\n", title=f"txn --hex -w {kind}")


def watching(s):
    first = revision(s) + 1
    s.run("put", "w/a", "1")
    s.run("put", "w/b", "2")
    s.run("del", "w/a")
    for options in (
        [], ["w/a", "w/b", "w/c"], ["w/a", "w/b", "--prefix"], ["w/a", "--"], ["--"], ["-i", "--", "echo"], ["w/a", "--rev=x"], ["--prefix"],
        ["w/a", "--nonsense"],
    ):
        s.run("watch", *options, title="watch " + " ".join(options), within_seconds=5)
    for title, lines in (
        ("nothing", b""), ("an empty line", b"\n"), ("nonsense", b"nonsense\n"), ("watch alone", b"watch\n"), ("an unknown option", b"watch w/a --nonsense\n"),
        ("progress", b"progress\n"), ("three keys", b"watch w/a w/b w/c\n"), ("a separator alone", b"watch w/a --\n"), ("get", b"get w/a\n"),
        ("a bad escape", b'watch "\\q"\n'), ("prefix and end", b"watch w/a w/b --prefix\n"),
    ):
        s.run("watch", "-i", stdin=lines, title="watch -i: " + title, within_seconds=5)
    for kind in KINDS:
        w = s.background("watch", "w/", "--prefix", f"--rev={first}", "--hex", "-w", kind, title=f"watch --hex -w {kind}")
        w.wait_lines(1 if kind in ("json", "table") else 9)
        w.interrupt()
    w = s.background("watch", "w/b", f"--rev={first}", "--", "sh", "-c", "exit 7", title="watch with a program that fails")
    w.wait_lines(3)
    w.finish()
    w = s.background("watch", "w/b", f"--rev={first}", "--", "/no/such/program", title="watch with a program that is not there")
    w.wait_lines(3)
    w.finish()


def leases(s):
    for options in (
        ["grant"], ["grant", "text"], ["grant", "1", "2"], ["grant", "-1"], ["grant", "--", "-1"], ["grant", "1.5"], ["grant", "0x10"], ["grant", ""],
        ["grant", "99999999999999999999"], ["grant", "60s"], ["revoke"], ["revoke", "xyz"], ["revoke", "1", "2"], ["revoke", "7fffffffffffffff"],
        ["revoke", "0"], ["revoke", "-1"], ["revoke", "--", "-1"], ["timetolive"], ["timetolive", "xyz"], ["timetolive", "1", "2"], ["timetolive", "0"],
        ["keep-alive"], ["keep-alive", "xyz"], ["keep-alive", "1", "2"], ["keep-alive", "--once"], ["keep-alive", "7f"], ["keep-alive", "7f", "-w", "json"],
        ["list", "extra"], [], ["nonsense"],
    ):
        s.run("lease", *options, title="lease " + " ".join(options), within_seconds=8)
    for kind in KINDS:
        s.run("lease", "timetolive", "7f", "-w", kind, title=f"lease timetolive of none -w {kind}")
        s.run("lease", "timetolive", "7f", "--keys", "-w", kind, title=f"lease timetolive --keys of none -w {kind}")


def others(s):
    for command in (
        ["compaction"], ["compaction", "1", "2"], ["compaction", ""], ["compaction", "99999999999999999999"], ["compaction", "--", "-5"],
        ["compaction", "1.5"], ["endpoint"], ["endpoint", "nonsense"], ["endpoint", "health", "extra"], ["endpoint", "status", "extra"],
        ["endpoint", "hashkv", "--rev=x"], ["endpoint", "hashkv", "--rev=-1"], ["alarm"], ["alarm", "list", "extra"], ["alarm", "disarm", "extra"],
        ["alarm", "nonsense"], ["member"], ["member", "list", "extra"], ["member", "list", "--consistency=x"], ["member", "list", "--consistency=s"],
        ["member", "add"], ["member", "add", "x"], ["member", "add", "x", "http://127.0.0.1:1"], ["member", "add", "x", "y"],
        ["member", "add", "x", "--peer-urls="], ["member", "add", "x", "--peer-urls=nonsense"], ["member", "remove"], ["member", "remove", "xyz"],
        ["member", "remove", "1", "2"], ["member", "update"], ["member", "update", "1"], ["member", "update", "xyz", "--peer-urls=http://127.0.0.1:1"],
        ["member", "promote"], ["member", "promote", "xyz"], ["defrag", "extra"], ["move-leader", "1", "2"], ["move-leader", "xyz"], ["lock"],
        ["lock", "l", "/no/such/program"], ["lock", "l", "no-such-program"], ["lock", "l", "--ttl=x", "true"], ["lock", "l", "--ttl=-1", "true"],
        ["elect"], ["elect", "e"], ["elect", "-l", "e", "p"], ["elect", "e", "p", "more"], ["downgrade"], ["downgrade", "enable"],
        ["downgrade", "validate"], ["downgrade", "validate", "3.6", "3.5"], ["downgrade", "cancel", "extra"], ["nonsense"], ["ge", "a"],
        ["--nonsense", "get", "a"],
    ):
        s.run(*command, title=" ".join(command), within_seconds=8)
    for kind in KINDS:
        s.run("endpoint", "health", "--hex", "-w", kind, title=f"endpoint health --hex -w {kind}", more="status")
        s.run("member", "list", "--hex", "-w", kind, title=f"member list --hex -w {kind}")


CHAPTERS = [reading, writing, deleting, transactions, watching, leases, others]
