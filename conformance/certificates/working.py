"""Certificates that came by token, in the hands of real clients: the real etcdctl and etcd's Go client.

What this is: a member by `strongroom up`, and a member called `etcd` that serves with the certificate of a server that enrolled.
Each client has a key that was made by `enroll` and nothing else: puts, reads, watches, leases and locks, and what its user may not.
"""

import os
import subprocess
import time

from checks import run, unlike
from issued import Cluster
from member import TARGET, Member, tool

CLIENTV3 = os.path.join(TARGET, "pki-tools", "clientv3")
NEED_CLIENTV3 = ("clients", "doors", "half")
WATCH_SECONDS_MAX = 5
EVENTS = 20


def clients(checks, binary, directory):
    """Both personalities, each with clients that came by token."""
    with Cluster(binary, directory) as cluster:
        cluster.add_user("app")
        place = cluster.came("app")
        files = [os.path.join(place, name) for name in ("root.crt", "client.crt", "client.key")]
        etcdctl(checks, "strongroom", cluster.client_port, files, directory)
        clientv3(checks, "strongroom", cluster.client_port, files, directory)
        command = etcdctl_with(cluster.client_port, files)
        for words in (["put", "elsewhere/x", "1"], ["get", "elsewhere/x"], ["watch", "elsewhere/x"], ["user", "list"]):
            code, text, _ = run([*command, *words], directory, within=8)
            checks.all(f"strongroom, etcdctl {' '.join(words)}", "its user may not", None if code else text, unlike(text, "permission denied|PermissionDenied"))
        server = cluster.came("two", "--role", "member", "--san", "localhost", "--san", "127.0.0.1")
    pair = [os.path.join(server, f"server.{ending}") for ending in ("crt", "key")]
    flags = [f"--listen-client-urls=http://127.0.0.1:2379,https://127.0.0.1:2479", f"--cert-file={pair[0]}", f"--key-file={pair[1]}", "--client-cert-auth",
             f"--trusted-ca-file={os.path.join(cluster.pki_dir, 'clients.crt')}"]
    with Member(binary, os.path.join(directory, "etcd"), *flags):
        etcdctl(checks, "etcd", 2479, files, directory)
        clientv3(checks, "etcd", 2479, files, directory)


def etcdctl_with(port, files):
    return [tool("etcdctl"), "--endpoints", f"https://127.0.0.1:{port}", "--cacert", files[0], "--cert", files[1], "--key", files[2]]


def etcdctl(checks, personality, port, files, directory):
    """Puts, reads, and a watch that tells of each put."""
    command = etcdctl_with(port, files)
    path = os.path.join(directory, f"{personality}-watch")
    with open(path, "wb") as out:
        watch = subprocess.Popen([*command, "watch", "app/", "--prefix", "--rev", "1"], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    problems = []
    try:
        for n in range(EVENTS):
            code, text, _ = run([*command, "put", f"app/{n:02}", f"value {n}"], directory, within=8)
            problems += [] if code == 0 else [text]
        code, text, _ = run([*command, "get", "app/", "--prefix"], directory, within=8)
        whole = "".join(f"app/{n:02}\nvalue {n}\n" for n in range(EVENTS))
        checks.all(f"{personality}, etcdctl with what enroll brought", f"{EVENTS} puts, and a read of them", *problems, None if text == whole else text)
        told = "".join(f"PUT\napp/{n:02}\nvalue {n}\n" for n in range(EVENTS))
        until = time.monotonic() + WATCH_SECONDS_MAX
        while (seen := open(path).read()) != told and time.monotonic() < until:
            time.sleep(0.05)
        checks.all(f"{personality}, etcdctl watch", "tells of each put, in order", None if seen == told else seen)
    finally:
        watch.kill()
        watch.wait()


def clientv3(checks, personality, port, files, directory):
    """What the Go client's program checks, line by line."""
    code, text, _ = run([CLIENTV3, "use", f"127.0.0.1:{port}", *files, "app/go/"], directory, within=20)
    lines = text.strip().splitlines()
    if code != 0 or len(lines) < 5:
        checks.line(f"{personality}, clientv3", "runs", f"exit code {code}: {text[-500:]}")
    for line in lines:
        good, what = line.startswith("pass "), line[5:]
        checks.line(f"{personality}, clientv3", what, None if good else line)
