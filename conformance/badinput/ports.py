"""Garbage on the ports: the server lives, the connection ends, and who is served already notices nothing.

What this is: through every case a watch stays open on the same port, made before it; at the end it must have seen every put that
was made between the cases, each within a second.
"""

import os
import random
import socket
import ssl
import subprocess
import time

import wire
from checks import fault, run, unlike
from member import tool
from up import clean_environment

SEED = 20
PUT_SECONDS_MAX = 1.5


class Bystander:
    """A client that was there before: it watches a key and puts it, and must notice nothing."""

    def __init__(self, checks, name, server, flags):
        self.checks, self.name, self.server, self.puts = checks, name, server, 0
        self.etcdctl = [tool("etcdctl"), *flags]
        self.env = clean_environment(server.directory)
        self.path = os.path.join(server.directory, "watch.out")
        with open(self.path, "wb") as out:
            self.watch = subprocess.Popen(
                [*self.etcdctl, "watch", "bystander", "--rev=1"], stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=self.env
            )
        self.before = os.path.getsize(server.log_path)

    def look(self, what, expected="the server lives and others are served", *problems):
        """After a case: one more put goes through."""
        self.puts += 1
        code, text, seconds = run([*self.etcdctl, "put", "bystander", f"value-{self.puts}"], self.server.directory, within=5)
        self.checks.all(
            f"{self.name}: {what}",
            expected,
            *problems,
            None if code == 0 else f"a put of somebody else failed: {text[-500:]}",
            None if seconds < PUT_SECONDS_MAX else f"a put of somebody else took {seconds:.1f} s",
            None if self.server.process.poll() is None else f"the server ended with {self.server.process.poll()}",
            self.fault(),
        )

    def fault(self):
        with open(self.server.log_path, "rb") as log:
            log.seek(self.before)
            return fault(log.read().decode(errors="replace"))

    def end(self):
        """The watch saw every put."""

        def missing():
            seen = open(self.path, errors="replace").read().splitlines()
            return [n for n in range(1, self.puts + 1) if f"value-{n}" not in seen]

        until = time.monotonic() + 2
        while missing() and time.monotonic() < until:
            time.sleep(0.02)
        ended = self.watch.poll()
        self.watch.kill()
        self.watch.wait()
        self.checks.all(
            f"{self.name}: a watch that was open all the time",
            f"saw all {self.puts} puts",
            f"misses {missing()}" if missing() else None,
            f"its client ended with {ended}" if ended is not None else None,
        )


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def say(port, data, wait=0.0):
    """Sends bytes, reads a little, closes. Whatever the server does with the connection is fine."""
    try:
        with connect(port) as s:
            s.settimeout(wait or 0.05)
            s.sendall(data)
            return s.recv(4096)
    except OSError:
        return b""


def ended_within(connection, seconds):
    """Whether the server closes a connection in that time."""
    connection.settimeout(seconds)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            if not connection.recv(65536):
                return True
    except socket.timeout:
        return False
    except OSError:
        return True
    return False


def both(checks, secure, clear, long):
    """The port with TLS and the one without."""
    tls = Bystander(checks, "TLS port", secure, secure.client_flags())
    plain = Bystander(checks, "clear port", clear, ["--endpoints", clear.endpoint])
    chance = random.Random(SEED)
    for one, port in ((tls, secure.client_port), (plain, clear.client_port)):
        for n in range(30):
            say(port, chance.randbytes(chance.choice((1, 7, 100, 5000, 60000))))
        one.look(f"30 connections of random bytes (seed {SEED})")
        for opening in (
            b"\x16\x03\x01",
            b"\x16\x03\x01\xff\xff" + chance.randbytes(3000),
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
            b"SSH-2.0-OpenSSH_9\r\n",
            b"\x00" * 4096,
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET\r\n\r\n",
            b"POST /v3/kv/put HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        ):
            say(port, opening)
        one.look("beginnings of TLS, SSH and HTTP that are wrong")
        held = [connect(port) for _ in range(100)]
        one.look("100 connections that say nothing")
        for c in held:
            c.sendall(wire.PREFACE[:14])
        one.look("100 connections with half of HTTP/2's preface")
        for c in held:
            c.close()
        one.look("these 100 closed without a word")
    http2(plain, clear.client_port, chance)
    http2_tls(tls, secure, chance)
    headers(tls, plain, secure, clear)
    if long:
        slow(checks, secure, clear)
    tls.end()
    plain.end()


FRAME_SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def bad_frames(chance):
    """HTTP/2 that breaks the rules, after a right beginning."""

    def frame(kind, flags, stream, payload=b"", length=None):
        return (len(payload) if length is None else length).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    return (
        ("random bytes for frames", chance.randbytes(5000)),
        ("frame of 16 MB announced", frame(0, 0, 1, b"x" * 100, length=0xFFFFFF)),
        ("data on a stream that is not open", frame(0, 0, 5, b"x" * 100)),
        ("headers that cannot be decoded", frame(1, 4, 1, b"\xff" * 50)),
        ("headers on an even stream", frame(1, 4, 2, b"\x82")),
        ("headers that never end", frame(1, 0, 1, b"\x82") + b"".join(frame(9, 0, 1, b"\x00\x01a\x04" + b"b" * 4) for _ in range(3000))),
        ("window of zero", frame(8, 0, 0, b"\x00" * 4)),
        ("settings with impossible values", frame(4, 0, 0, b"\x00\x04\xff\xff\xff\xff\x00\x05\x00\x00\x00\x01")),
        ("ping of the wrong size", frame(6, 0, 0, b"abc")),
        ("2,000 settings", FRAME_SETTINGS * 2000),
        (
            "5,000 streams opened and reset",
            b"".join(frame(1, 4, n, b"\x82\x86\x84") + frame(3, 0, n, b"\x00\x00\x00\x08") for n in range(1, 10001, 2)),
        ),
    )


def http2(one, port, chance):
    for what, bytes_ in bad_frames(chance):
        say(port, wire.PREFACE + FRAME_SETTINGS + bytes_, wait=0.2)
        one.look(f"HTTP/2: {what}")
    held = [connect(port) for _ in range(50)]
    for c in held:
        c.sendall(wire.PREFACE)
    one.look("50 connections that stop after HTTP/2's preface")
    for c in held:
        c.close()


def secure_context(server):
    """The administrator's own, speaking HTTP/2."""
    context = ssl.create_default_context(cafile=os.path.join(server.pki_dir, "root.crt"))
    context.load_cert_chain(os.path.join(server.pki_dir, "administrator.crt"), os.path.join(server.pki_dir, "administrator.key"))
    context.set_alpn_protocols(["h2"])
    return context


def http2_tls(one, server, chance):
    """The same inside TLS, with a certificate that is let in."""
    context = secure_context(server)
    for what, bytes_ in bad_frames(chance)[:6]:
        try:
            with context.wrap_socket(connect(server.client_port), server_hostname="127.0.0.1") as s:
                s.settimeout(0.2)
                s.sendall(wire.PREFACE + FRAME_SETTINGS + bytes_)
                s.recv(4096)
        except OSError:
            pass
        one.look(f"HTTP/2 inside TLS: {what}")


def headers(tls, plain, secure, clear):
    """Headers of 200 kB, in both HTTPs."""
    pki = [
        "--cacert",
        os.path.join(secure.pki_dir, "root.crt"),
        "--cert",
        os.path.join(secure.pki_dir, "administrator.crt"),
        "--key",
        os.path.join(secure.pki_dir, "administrator.key"),
    ]
    path = os.path.join(clear.directory, "header.txt")
    with open(path, "w") as out:
        out.write("x-large: " + "a" * 90_000 + "\n" + "x-larger: " + "b" * 90_000 + "\n")
    for one, url, version, more in (
        (plain, f"{clear.endpoint}/version", "--http1.1", []),
        (plain, f"{clear.endpoint}/version", "--http2-prior-knowledge", []),
        (tls, f"{secure.endpoint}/version", "--http1.1", pki),
        (tls, f"{secure.endpoint}/version", "--http2", pki),
    ):
        code, text, seconds = run(
            [
                "curl",
                "--silent",
                "--show-error",
                "--max-time",
                "4",
                version,
                *more,
                "--header",
                f"@{path}",
                "--write-out",
                " status=%{http_code}",
                url,
            ],
            clear.directory,
        )
        one.look(
            f"headers of 180 kB, {version[2:]}",
            "refused in under a second (431, or the stream or connection ended); others are served",
            None if "status=431" in text or code not in (0, 28) else f"curl {code}: {text[-300:]}",
            None if seconds < 1 else f"took {seconds:.1f} s",
        )


def slow(checks, secure, clear):
    """Connections that hold on without ever finishing: ended in time. Only with --long, because the bounds are 10 and 30 s."""
    idle = connect(secure.client_port)
    began = time.monotonic()
    drip = connect(secure.client_port)
    drip.sendall(b"\x16\x03\x01\x02\x00")
    closed = ended_within(idle, 16)
    took = time.monotonic() - began
    checks.all(
        "TLS port: connection that says nothing",
        "closed after 5 to 15 s",
        None if closed and 5 <= took <= 15 else f"closed: {closed}, after {took:.1f} s",
    )
    drip_closed = ended_within(drip, 5)
    checks.all("TLS port: handshake that stops in its first record", "closed too", None if drip_closed else "still open")
    said = open(secure.log_path, errors="replace").read()
    checks.all("TLS port: handshakes that do not end", "the log says so with a hint", unlike(said, "handshake not finished.*hint"))
    http = connect(clear.client_port)
    http.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\nx-slow: ")
    began = time.monotonic()
    closed = ended_within(http, 40)
    checks.all(
        "clear port: headers that do not end",
        "closed or answered 408 after at most 35 s",
        None if closed and time.monotonic() - began < 35 else "still open",
    )
