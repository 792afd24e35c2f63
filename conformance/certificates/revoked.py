"""Revocation at every door of both personalities, timed: what stands on a revoked certificate is cut, and no door opens for it.

What this is: a `Door` is a running member, the ports where its gRPC, its JSON gateway and its metrics are, and a way to revoke: `pki
revoke`, a revocation list of openssl with SIGHUP, or the same list and nothing else. At each door stand, with the certificate to be
revoked: a gRPC watch, gRPC keep-alives of a lease, the gateway's watch, a kept-alive connection of each HTTP listener, and a connection on
which nothing was ever said. Clients with another certificate put and get meanwhile, and lose nothing.
"""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from types import SimpleNamespace

from checks import run, unlike
from issued import CUT_SECONDS_MAX, Cluster, Stream
from load import b64
from member import Member
from pki import Issuer
from traffic import Traffic, ask, context
from up import Up
from working import CLIENTV3

# The files are looked at every two seconds where nobody sends SIGHUP.
LOOK_SECONDS = 2
HTTP, METRICS = 2581, 2582


class Standing:
    """A connection that has had its answer, or said nothing: when it was closed without being asked."""

    def __init__(self, port, files, path=None):
        certificate, key, root = files
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context(root, certificate, key))
        self.connection.connect()
        if path:
            self.connection.request("GET", path)
            answer = self.connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise AssertionError(f"{path}: {answer.status}")
        self.ended, self.sock = None, self.connection.sock
        threading.Thread(target=self.wait, daemon=True).start()

    def wait(self):
        try:
            while self.sock.recv(4096):
                pass
        except OSError as error:
            # A timeout is no cut.
            if isinstance(error, TimeoutError):
                return
        self.ended = time.monotonic()


class Hold:
    """The Go program with its watch and its keep-alives: when each ended, and with which status."""

    def __init__(self, port, files):
        certificate, key, root = files
        self.process = subprocess.Popen([CLIENTV3, "hold", f"127.0.0.1:{port}", root, certificate, key, "app/held/"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        first = self.process.stdout.readline()
        if first.strip() != "standing":
            raise AssertionError(f"{first}{self.process.communicate()[0]}")

    def ends(self):
        """{name: (Unix seconds, status)} of those that have ended."""
        try:
            text = self.process.communicate(timeout=5)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            text = self.process.communicate()[0]
        words = [line.split(" ", 2) for line in text.splitlines()]
        return {name: (int(at) / 1000, status) for name, at, status in words}


def everywhere(checks, binary, directory):
    """Each personality with each arrangement of its listeners, and each way to revoke."""
    as_strongroom(checks, binary, os.path.join(directory, "own"))
    for name, split in (("one port", False), ("HTTP on a port of its own", True)):
        as_etcd(checks, binary, os.path.join(directory, f"etcd-{split}"), name, split)
    with_brought(checks, binary, os.path.join(directory, "brought"))


def as_strongroom(checks, binary, directory):
    """The own authority, and `pki revoke`."""
    with Cluster(binary, directory) as cluster:
        cluster.add_user("app")
        bad, good = cluster.issue("app"), cluster.issue("app")
        serial = run(["openssl", "x509", "-noout", "-serial", "-in", bad[0]], cluster.home)[1].strip().split("=")[1].lower()
        door = SimpleNamespace(name="strongroom, pki revoke", grpc=cluster.client_port, http=cluster.client_port, probes=["/version"], metrics=None,
                               log=cluster.log, revoke=lambda: cluster.does("pki", "revoke", serial), within=CUT_SECONDS_MAX)
        cut_off(checks, door, bad, good, directory)


class Site:
    """An authority of openssl with clients of its own, and a list that is in place from the start."""

    def __init__(self, directory):
        self.issuer = Issuer(os.path.join(directory, "ca"))
        self.root, self.list, self.number = self.issuer.certificate, os.path.join(directory, "clients.crl"), 1
        self.issuer.revocations(number=1, path=self.list)
        self.server = self.issuer.leaf("server", "server", "serverAuth", ("DNS:localhost", "IP:127.0.0.1"))

    def client(self, name):
        """A certificate of the user app."""
        return (*self.issuer.leaf(name, "app"), self.root)

    def revoke(self, name, process=None):
        """Puts a list in place that names it too; a process is told by SIGHUP."""
        self.number += 1
        made = self.issuer.revocations(name, number=self.number, path=self.list + ".made")
        began = time.monotonic()
        os.rename(made, self.list)
        if process:
            process.send_signal(signal.SIGHUP)
        return began


def as_etcd(checks, binary, directory, arrangement, split):
    """`--client-crl-file`, taken at SIGHUP and without it, on listeners of gRPC, HTTP and metrics."""
    site = Site(directory)
    clients, probes = "https://127.0.0.1:2479", "http://127.0.0.1:2381"
    # One listener in the clear tells that the member is healthy, and is with HTTP, wherever that is.
    urls = [f"--listen-client-urls={clients}", f"--listen-client-http-urls=https://127.0.0.1:{HTTP},{probes}"] if split else [f"--listen-client-urls={clients},{probes}"]
    flags = [f"--cert-file={site.server[0]}", f"--key-file={site.server[1]}", "--client-cert-auth", f"--trusted-ca-file={site.root}",
             f"--client-crl-file={site.list}", f"--listen-metrics-urls=https://127.0.0.1:{METRICS}"]
    server = Member(binary, os.path.join(directory, "member"), *urls, *flags, start=False)
    server.endpoint = probes
    server.start()
    good = site.client("good")
    with server:
        for way in ("SIGHUP", "its own look"):
            name = f"revoked by {way}".replace(" ", "-")
            bad, told = site.client(name), server.process if way == "SIGHUP" else None
            door = SimpleNamespace(name=f"etcd, {arrangement}, {way}", grpc=2479, http=HTTP if split else 2479, probes=["/version"], metrics=METRICS,
                                   log=lambda: open(server.log_path, errors="replace").read(), revoke=lambda name=name, told=told: site.revoke(name, told),
                                   within=CUT_SECONDS_MAX + (0 if told else LOOK_SECONDS))
            cut_off(checks, door, bad, good, directory)


def with_brought(checks, binary, directory):
    """`strongroom` whose clients' CA and list are a site's."""
    site = Site(directory)
    with Cluster(binary, os.path.join(directory, "member")) as own:
        own.add_user("app")
    flags = ["--gateway", "--tls-cert", site.server[0], "--tls-key", site.server[1], "--tls-client-ca", site.root, "--tls-client-crl", site.list]
    with Up(binary, os.path.join(directory, "member"), *flags) as server:
        door = SimpleNamespace(name="strongroom, --tls-client-crl, SIGHUP", grpc=2379, http=2379, probes=["/version"], metrics=None, log=server.log,
                               revoke=lambda: site.revoke("bad", server.process), within=CUT_SECONDS_MAX)
        cut_off(checks, door, site.client("bad"), site.client("good"), directory)


def cut_off(checks, door, bad, good, directory):
    """Everything that stands, then the revocation, then every door."""
    held = Hold(door.grpc, bad)
    http_door = SimpleNamespace(client_port=door.http)
    standing = {"the gateway's watch": Stream(http_door, bad, "watch", {"create_request": {"key": b64("app/"), "range_end": b64("app0")}})}
    standing |= {f"a kept-alive connection, {path}": Standing(door.http, bad, path) for path in door.probes}
    for what, port in {"gRPC": door.grpc, "HTTP": door.http}.items():
        standing[f"a connection to {what} on which nothing was said"] = Standing(port, bad)
    if door.metrics:
        standing["a scraper's kept-alive connection"] = Standing(door.metrics, bad, "/metrics")
    others = {"kept": Standing(door.http, good, "/version"), "watch": Stream(http_door, good, "watch", {"create_request": {"key": b64("app/none")}})}
    traffic = Traffic(door.http, ("good", good[2], good[0], good[1]))
    until = time.monotonic() + 5
    while "created" not in standing["the gateway's watch"].text and time.monotonic() < until:
        time.sleep(0.01)
    early = [what for what, each in (standing | others).items() if each.ended]
    wall, began = time.time(), time.monotonic()
    # Making the list is openssl's time; a command's is the member's too.
    placed = door.revoke()
    if isinstance(placed, float):
        wall, began = wall + placed - began, placed
    time.sleep(max(0, began + door.within + 0.1 - time.monotonic()))
    ends = {f"gRPC {name}": (at - wall, status) for name, (at, status) in held.ends().items()}
    for name in ("gRPC watch", "gRPC keep-alive"):
        seconds, status = ends.get(name, (None, "it goes on"))
        late = status if seconds is None else None if seconds < door.within else f"after {seconds:.2f} s"
        checks.all(f"{door.name}: {name}", f"cut within {door.within:g} s, with the reason{after(seconds)}", late, unlike(status, "(?i)Unauthenticated.*revoked"))
    for name, each in standing.items():
        seconds = each.ended and each.ended - began
        late = "it goes on" if not seconds else None if seconds < door.within else f"after {seconds:.2f} s"
        checks.all(f"{door.name}: {name}", f"cut within {door.within:g} s{after(seconds)}", f"ended before: {early}" if early else None, late)
    doors = {"gRPC": door.grpc, "HTTP": door.http} | ({"metrics": door.metrics} if door.metrics else {})
    for name, port in doors.items():
        let_in = None if list(anew(port, good)) else "another certificate does not get further"
        checks.all(f"{door.name}: {name} anew", "refused, and another certificate is not", *anew(port, bad), let_in)
    code, text, _ = run([CLIENTV3, "hold", f"127.0.0.1:{door.grpc}", bad[2], bad[0], bad[1], "app/held/"], directory, within=15)
    checks.all(f"{door.name}: clientv3 anew", "gets nothing", None if code else text, unlike(text, "(?i)revoked|certificate|deadline"))
    checks.all(f"{door.name}: the log", "names the reason", unlike(door.log(), "(?i)revoked"))
    gone = [what for what, each in others.items() if each.ended]
    checks.all(f"{door.name}: another certificate", "loses no request and no connection", traffic.stop(), f"cut: {gone}" if gone else None)


def after(seconds):
    return f": after {seconds * 1000:.0f} ms" if seconds else ""


def anew(port, files):
    """Problems of a new connection: it must not reach what it asks for."""
    certificate, key, root = files
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context(root, certificate, key))
    try:
        for path, body in (("/metrics", None), ("/v3/kv/range", '{"key":"YQ=="}')):
            connection.request("POST" if body else "GET", path, body)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            if answer.status == 200 or "revoked" not in text:
                yield f"{path}: {answer.status} {text[:200]}"
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, TimeoutError):
            yield f"no answer and no end: {error}"
    finally:
        connection.close()
