"""Command lines that end before a member serves: ours beside the real etcd's at the time of the run.

What this is: the same mistake given to both. Compared are the exit code, which stream is used, and the text that says what is
wrong: the first line where etcd prints its usage, else level, message and error of the last line that is more than information.
Our `hint` comes on top and is asked for. Where we differ on purpose the row says in what.
"""

import json
import os
import shutil
import subprocess

from checks import fault
from up import clean_environment

PEERS = ("--data-dir=data", "--listen-peer-urls=http://127.0.0.1:4380")
CLIENT = ("--listen-client-urls={0}", "--advertise-client-urls={0}")
FILES = {
    "broken.yml": "name: [1\n",
    "wrong.yml": "quota-backend-bytes: abc\n",
    "url.yml": "initial-cluster-state: odd\n",
}


def client(url):
    return tuple(flag.format(url) for flag in CLIENT)


# Name, arguments, variables, and what of the comparison does not hold on purpose.
ROWS = [
    ("unknown flag", ("--nope",), {}, ()),
    ("unknown flag with a value", ("--nope=1", "--name=a"), {}, ()),
    ("old flag that is gone", ("--proxy=on",), {}, ()),
    ("too many dashes", ("---name=a",), {}, ()),
    ("flag without its value", ("--name",), {}, ()),
    ("number that is none", ("--quota-backend-bytes=abc",), {}, ()),
    ("number out of range", ("--snapshot-count=99999999999999999999",), {}, ()),
    ("negative number", ("--max-concurrent-streams=-1",), {}, ()),
    ("boolean that is none", ("--pre-vote=maybe",), {}, ()),
    ("duration that is none", ("--grpc-keepalive-timeout=5",), {}, ()),
    ("word that is not one of", ("--initial-cluster-state=odd",), {}, ()),
    ("one of several words wrong", ("--v2-deprecation=gone,odd",), {}, ()),
    ("unknown feature gate", ("--feature-gates=Odd=true",), {}, ()),
    ("URL without a scheme", ("--listen-client-urls=127.0.0.1:1",), {}, ()),
    ("URL without a port", ("--listen-client-urls=http://127.0.0.1",), {}, ()),
    ("URL with a path", ("--listen-client-urls=http://127.0.0.1:1/x",), {}, ()),
    ("URL of another scheme", ("--listen-client-urls=ftp://127.0.0.1:1",), {}, ()),
    ("word that is no flag", ("serve",), {}, ()),
    ("word after a boolean", ("--pre-vote", "false"), {}, ()),
    ("flag and its variable", ("--name=b",), {"ETCD_NAME": "a"}, ()),
    ("variable with a wrong value", (), {"ETCD_SNAPSHOT_COUNT": "abc"}, ()),
    ("file that is not there", ("--config-file=nowhere.yml",), {}, ()),
    ("file that is not there, by variable", (), {"ETCD_CONFIG_FILE": "nowhere.yml"}, ()),
    ("file that is no YAML", ("--config-file=broken.yml",), {}, ("text",)),
    ("file with a wrong type", ("--config-file=wrong.yml",), {}, ()),
    ("file with a word that is not one of", ("--config-file=url.yml",), {}, ()),
    ("name where an address belongs", (*PEERS, *client("http://a.example:4379")), {}, ()),
    ("listen URL without an advertised one", (*PEERS, "--listen-client-urls=http://127.0.0.1:4379"), {}, ()),
    ("no heartbeat", (*PEERS, "--heartbeat-interval=0"), {}, ()),
    ("election too soon", (*PEERS, "--heartbeat-interval=300"), {}, ()),
    ("election too late", (*PEERS, "--election-timeout=60000"), {}, ()),
    ("unknown form of the log", (*PEERS, "--log-format=odd"), {}, ()),
    ("unknown logger", (*PEERS, "--logger=odd"), {}, ()),
    ("unknown level of the log", (*PEERS, "--log-level=odd"), {}, ("code", "text")),  # the real one panics
    ("log file in no directory", (*PEERS, "--log-outputs=nowhere/log"), {}, ("text",)),
    ("unknown mode of compaction", (*PEERS, "--auto-compaction-mode=odd"), {}, ()),
    ("unknown TLS version", (*PEERS, "--tls-min-version=TLS1.1"), {}, ()),
    ("unknown cipher suite", (*PEERS, "--cipher-suites=ODD"), {}, ()),
    ("unknown kind of token", (*PEERS, "--auth-token=odd"), {}, ()),
    ("https without a certificate", (*PEERS, *client("https://127.0.0.1:4379")), {}, ()),
    ("initial cluster without this member", (*PEERS, "--initial-cluster=a=http://127.0.0.1:4380"), {}, ()),
    ("no name", (*PEERS, "--name="), {}, ()),
    ("version", ("--version",), {}, ()),
    ("help", ("--help",), {}, ()),
]


def outcome(program, arguments, variables, home):
    """(exit code, streams that were used, what is wrong, our hint)."""
    shutil.rmtree(os.path.join(home, "data"), ignore_errors=True)
    done = subprocess.run(
        ["timeout", "5", program, *arguments],
        env=dict(clean_environment(home), **variables),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    streams = [name for name, text in (("stdout", done.stdout), ("stderr", done.stderr)) if text]
    return done.returncode, streams, *said(done.stdout, done.stderr), done.stdout + done.stderr


def said(stdout, stderr):
    """What a text says is wrong, and the hint with it."""
    first = (stdout or stderr).strip().splitlines()[:1]
    severe = []
    for line in stderr.splitlines():
        try:
            line = json.loads(line)
        except ValueError:
            continue
        if line["level"] != "info" and ("error" in line or "environment-variable" in line):
            severe.append(line)
    if not severe:
        return (first, "-")
    # Ours reports all mistakes, etcd's own first; etcd repeats the one it found, and a fatal line is the last.
    fatal = [line for line in severe if line["level"] == "fatal"]
    line = severe[0] if "hint" in severe[0] or not fatal else fatal[-1]
    wrong = {k: line.get(k) for k in ("level", "msg", "error", "environment-variable") if k in line}
    return (wrong, line.get("hint"))


def compared(checks, etcd, reference, home):
    for name, text in FILES.items():
        with open(os.path.join(home, name), "w") as out:
            out.write(text)
    for name, arguments, variables, apart in ROWS:
        theirs = outcome(reference, arguments, variables, home)
        ours = outcome(etcd, arguments, variables, home)
        same = f"exit code {theirs[0]}, on {' and '.join(theirs[1])}: {theirs[2]}"
        checks.all(
            f"etcd: {name}",
            same + (f" (apart from {' and '.join(apart)})" if apart else ""),
            None if ours[0] == theirs[0] or "code" in apart else f"exit code {ours[0]}",
            None if ours[0] in (theirs[0], 1, 2) else f"exit code {ours[0]} is none of a mistake",
            None if ours[1] == theirs[1] else f"on {ours[1]}",
            None if ours[2] == theirs[2] or "text" in apart else f"{ours[2]}",
            None if ours[3] else f"no hint: {ours[4][-500:]}",
            fault(ours[4]),
        )
