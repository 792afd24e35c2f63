"""Mistakes in flags, variables, files and addresses: found before anything is made.

What this is: both names of the program, `etcd` and `strongroom up`, are started with one mistake each. Where etcd knows the
mistake, its exit code and first line are taken from the real one at the time of the run.
"""

import os
import re
import socket
import time

from checks import PLAIN_USER, absent, fault, refused, run, unlike
from up import Up

HINT = r'"hint":"[^"]{10,}"|hint: .{10}'
NEXT = r"next: .{10}"


def as_etcd(checks, etcd, reference, directory):
    data = os.path.join(directory, "etcd-data")
    nothing = absent(data)

    def file(name, text):
        path = os.path.join(directory, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def case(name, *arguments, code=1, cause, step=HINT, env=None, prefix=()):
        return refused(checks, f"etcd: {name}", [*prefix, etcd, *arguments], directory, code, cause, step, env=env, after=nothing)

    for name, flag in (("unknown flag", "--no-such-flag"), ("flag with a value it cannot take", "--quota-backend-bytes=abc")):
        theirs = run([reference, flag], directory)
        ours = run([etcd, flag], directory)
        first = theirs[1].strip().splitlines()[0]
        checks.all(
            f"etcd: {name}",
            f"exit code {theirs[0]} and etcd's first line: {first}",
            None if ours[0] == theirs[0] else f"exit code {ours[0]}",
            None if ours[1].strip().splitlines()[:1] == [first] else f"first line: {ours[1].strip().splitlines()[:1]}",
            unlike(ours[1], "Usage"),
            fault(ours[1]),
            seconds=ours[2],
        )
    case(
        "flag and its variable both set",
        "--name=b",
        f"--data-dir={data}",
        cause="conflicting environment variable.*ETCD_NAME",
        env={"ETCD_NAME": "a"},
    )
    case("config file missing", f"--config-file={directory}/nothere.yml", cause=r"open .*nothere\.yml: no such file or directory")
    case("config file that is a directory", f"--config-file={directory}", cause="(?i)is a directory")
    secret = file("unreadable.yml", "name: one\n")
    os.chmod(secret, 0)
    case(
        "config file that this user cannot read",
        f"--config-file={secret}",
        cause=r"open .*unreadable\.yml: permission denied",
        prefix=PLAIN_USER,
    )
    broken = file("broken.yml", "name: [1\n")
    case("config file that is no YAML", f"--config-file={broken}", cause="error converting YAML to JSON: yaml: ")
    wrong = file("wrong.yml", f"data-dir: {data}\nquota-backend-bytes: abc\n")
    theirs = run([reference, f"--config-file={wrong}"], directory)[1]
    known = re.search(r'"error":"([^"]*cannot unmarshal[^"]*)"', theirs)
    case("config file with a value of a wrong type", f"--config-file={wrong}", cause=re.escape(known.group(1)) if known else "cannot unmarshal")
    case(
        "clear text beyond loopback",
        f"--data-dir={data}",
        "--listen-client-urls=http://0.0.0.0:4379",
        "--advertise-client-urls=http://127.0.0.1:4379",
        cause="http://0.0.0.0:4379 in clear text",
        step="--insecure-clear-text.*ETCD_INSECURE_CLEAR_TEXT",
    )
    case(
        "clear text for members beyond loopback",
        f"--data-dir={data}",
        "--listen-peer-urls=http://0.0.0.0:4380",
        "--name=one",
        "--initial-advertise-peer-urls=http://127.0.0.1:4380",
        "--initial-cluster=one=http://127.0.0.1:4380",
        cause="http://0.0.0.0:4380 in clear text",
        step="--insecure-clear-text",
    )
    case(
        "https without a certificate",
        f"--data-dir={data}",
        "--listen-client-urls=https://127.0.0.1:4379",
        "--advertise-client-urls=https://127.0.0.1:4379",
        cause="https://127.0.0.1:4379",
        step="cert-file",
    )
    case(
        "certificate that is not there",
        f"--data-dir={data}",
        "--listen-client-urls=https://127.0.0.1:4379",
        "--advertise-client-urls=https://127.0.0.1:4379",
        f"--cert-file={directory}/no.crt",
        f"--key-file={directory}/no.key",
        cause=r"no\.crt.*no such file|no\.crt.*No such file",
    )
    client = ("--listen-client-urls=http://127.0.0.1:{0}", "--advertise-client-urls=http://127.0.0.1:{0}")
    peers = ("--listen-peer-urls=http://127.0.0.1:4380",)
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 4379))
        holder.listen()
        case(
            "port in use",
            f"--data-dir={data}",
            *(c.format(4379) for c in client),
            *peers,
            cause=r"127\.0\.0\.1:4379: (bind: )?address already in use",
        )
    case(
        "port below 1024 without the right",
        f"--data-dir={data}",
        *(c.format(80) for c in client),
        *peers,
        cause=r"127\.0\.0\.1:80: (bind: )?permission denied",
        prefix=PLAIN_USER,
    )
    case(
        "another machine's address",
        f"--data-dir={data}",
        "--listen-client-urls=http://192.0.2.1:4379",
        "--advertise-client-urls=http://192.0.2.1:4379",
        "--insecure-clear-text",
        *peers,
        cause=r"192\.0\.2\.1:4379.*(no such address|cannot assign)",
    )
    unknown_key(checks, etcd, file, os.path.join(directory, "unknown-key"))


def unknown_key(checks, etcd, file, data):
    """etcd starts with a key it does not know, so ours has to; but whoever mistyped it should hear of it."""
    peer = "http://127.0.0.1:4380"
    path = file(
        "unknown.yml",
        f"name: one\ndata-dir: {data}\nno-such-key: 1\nlisten-client-urls: http://127.0.0.1:4379\nadvertise-client-urls: http://127.0.0.1:4379\n"
        f"listen-peer-urls: {peer}\ninitial-advertise-peer-urls: {peer}\ninitial-cluster: one={peer}\n",
    )
    _, text, _ = run([etcd, f"--config-file={path}"], os.path.dirname(path), within=1.5)
    checks.all(
        "etcd: config file with an unknown key",
        "starts as etcd does, with a warning that names the key",
        unlike(text, "ready to serve client requests"),
        unlike(text, r'"level":"warn"[^\n]*no-such-key'),
        fault(text),
    )


def as_strongroom(checks, binary, directory):
    data = os.path.join(directory, "up-data")
    nothing = absent(data)
    up = [binary, "up", "--data-dir", data]

    def file(name, text):
        path = os.path.join(directory, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def case(name, *arguments, code=1, cause, step=NEXT, env=None, prefix=(), base=up):
        return refused(checks, f"strongroom: {name}", [*prefix, *base, *arguments], directory, code, cause, step, env=env, after=nothing)

    case("unknown flag", "--no-such-flag", code=128, cause="--no-such-flag", step=r"--help")
    case("flag with a value it cannot take", "--quota", "much", cause="quota")
    for kind, unknown, wrong, broken in (
        ("toml", "no-such-key = 1\n", "quota = [1]\n", "name = \n"),
        ("yaml", "no-such-key: 1\n", "quota: [1]\n", "name: [1\n"),
    ):
        kind_name = kind.upper()
        case(f"{kind_name} file with an unknown key", "--config", file(f"unknown.{kind}", unknown), cause=rf"no-such-key.*unknown\.{kind}")
        case(f"{kind_name} file with a value of a wrong type", "--config", file(f"wrong.{kind}", wrong), cause=rf"quota.*wrong\.{kind}")
        case(f"file that is no {kind_name}", "--config", file(f"broken.{kind}", broken), cause=rf"broken\.{kind} is no {kind_name}.*line 1")
    case("file of an unknown kind", "--config", file("settings.ini", "name=x\n"), cause=r"settings\.ini", step="(?i)next: .*(toml|yaml)")
    case("file missing", "--config", f"{directory}/nothere.toml", cause=r"nothere\.toml: No such file")
    secret = file("unreadable.toml", 'name = "x"\n')
    os.chmod(secret, 0)
    case("file that this user cannot read", "--config", secret, cause=r"unreadable\.toml: Permission denied", prefix=PLAIN_USER)
    both = case("two mistakes at once", "--config", file("two.toml", 'no-such-key = 1\nquota = "much"\n'), cause="no-such-key")
    checks.all("strongroom: two mistakes at once", "both are named", unlike(both, "no-such-key", "quota"))
    case("clear-text metrics beyond loopback", "--listen-metrics", "0.0.0.0:4381", cause=r"0\.0\.0\.0:4381", step="--insecure-clear-text")
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 4379))
        holder.listen()
        case("port in use", "--listen", "127.0.0.1:4379", cause=r"127\.0\.0\.1:4379: address already in use", step=r"next: .*4379")
    case("port below 1024 without the right", "--listen", "127.0.0.1:80", cause=r"127\.0\.0\.1:80: permission denied", prefix=PLAIN_USER)
    case("another machine's address", "--listen", "192.0.2.1:4379", cause=r"192\.0\.2\.1:4379")
    case("address that is none", "--listen", "localhost", cause="localhost")
    closed = os.path.join(directory, "closed")
    os.makedirs(closed, exist_ok=True)
    os.chmod(closed, 0o500)
    case(
        "place for the data that this user cannot write",
        base=[binary, "up", "--listen", "127.0.0.1:4379", "--data-dir", f"{closed}/data"],
        cause="(?i)closed.*permission denied",
        prefix=PLAIN_USER,
    )
    a_file = file("not-a-directory", "something\n")
    case(
        "data directory that is a file",
        base=[binary, "up", "--listen", "127.0.0.1:4379", "--data-dir", a_file],
        cause="(?i)not-a-directory.*directory",
    )
    garbage, key = file("garbage.crt", "no certificate\n"), file("garbage.key", "no key\n")
    os.chmod(key, 0o600)
    case("certificate file that is none", "--listen", "127.0.0.1:4379", "--tls-cert", garbage, "--tls-key", key, cause=r"garbage\.crt")
    both_set(checks, binary, directory)


def both_set(checks, binary, directory):
    """A flag is said for this start, a variable for all: the flag counts. (As `etcd` both set is an error, as etcd has it.)"""
    with Up(binary, os.path.join(directory, "both-set"), "--name", "from-flag", client_port=4379, peer_port=4380, start=False) as server:
        server.env["STRONGROOM_NAME"] = "from-variable"
        server.start()
        # The name stands in the words for people, which follow the line that says it is ready.
        until = time.monotonic() + 2
        while "serves as member" not in server.log() and time.monotonic() < until:
            time.sleep(0.02)
        said = server.log()
        checks.all("strongroom: flag and its variable both set", "the flag counts", unlike(said, "member from-flag "), fault(said))
