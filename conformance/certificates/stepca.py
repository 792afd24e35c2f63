"""Leaves of a real step-ca, which live 24 hours: a member serves with them and lets in by them, and takes renewed ones under traffic.

What this is: smallstep's step-ca and step, built from their Go modules into target/pki-tools, started on loopback with an authority of
its own. Once as `etcd`, once as `strongroom` with its clients' CA being step-ca's. `leaves` renews with `step ca renew`; `acme` orders the
server's by ACME (RFC 8555), each time anew, and step-ca comes to port 80 for the proof (http-01). Files are written over in place.
"""

import os
import signal
import subprocess
import time

from brought import taken
from checks import run, unlike
from member import TARGET, Member, tool
from traffic import Traffic
from up import Up, clean_environment

TOOLS = os.path.join(TARGET, "pki-tools")
URL = "https://localhost:8443"


class StepCa:
    """A step-ca that serves, and the commands of its clients."""

    def __init__(self, directory):
        self.directory = directory
        self.env = dict(clean_environment(directory), STEPPATH=os.path.join(directory, "step"))
        self.password = os.path.join(directory, "password")
        with open(self.password, "w") as out:
            out.write("a password of the test")
        self.step("ca", "init", "--name", "site", "--dns", "localhost", "--address", "127.0.0.1:8443", "--provisioner", "admin",
                  "--password-file", self.password, "--deployment-type", "standalone")
        self.step("ca", "provisioner", "add", "acme", "--type", "ACME", "--challenge", "http-01", "--ca-config", os.path.join(directory, "step", "config", "ca.json"))
        self.root = os.path.join(directory, "step", "certs", "root_ca.crt")
        self.log_path = os.path.join(directory, "step-ca.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([os.path.join(TOOLS, "step-ca"), "--password-file", self.password, os.path.join(directory, "step", "config", "ca.json")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        until = time.monotonic() + 20
        while run([os.path.join(TOOLS, "step"), "ca", "health", "--ca-url", URL, "--root", self.root], directory, self.env)[0] != 0:
            if time.monotonic() > until or self.process.poll() is not None:
                self.stop()
                raise AssertionError(open(self.log_path).read()[-1000:])
            time.sleep(0.1)

    def step(self, *words):
        """A command of step, which has to succeed: its output."""
        code, text, _ = run([os.path.join(TOOLS, "step"), *words], self.directory, self.env, within=20)
        if code != 0:
            raise AssertionError(f"step {' '.join(words)}: {text[-600:]}")
        return text

    def leaf(self, name, *names):
        """(certificate, key) for this common name."""
        pair = [os.path.join(self.directory, f"{name}.{ending}") for ending in ("crt", "key")]
        more = [word for each in names for word in ("--san", each)]
        self.step("ca", "certificate", name, *pair, *more, "--provisioner", "admin", "--provisioner-password-file", self.password, "--ca-url", URL,
                  "--root", self.root, "--not-after", "24h", "--force")
        os.chmod(pair[1], 0o600)
        return pair

    def ordered(self, name):
        """(certificate, key) for localhost and its address, by ACME."""
        pair = [os.path.join(self.directory, f"{name}.{ending}") for ending in ("crt", "key")]
        self.order(pair)
        os.chmod(pair[1], 0o600)
        return pair

    def order(self, pair):
        """Another order, over what is there."""
        self.step("ca", "certificate", "localhost", *pair, "--san", "localhost", "--san", "127.0.0.1", "--provisioner", "acme", "--standalone",
                  "--ca-url", URL, "--root", self.root, "--force")

    def renew(self, pair):
        self.step("ca", "renew", *pair, "--force", "--ca-url", URL, "--root", self.root)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def leaves(checks, binary, directory):
    """Both names of the binary with step-ca's leaves."""
    ca = StepCa(directory)
    try:
        as_etcd(checks, binary, ca, os.path.join(directory, "etcd"), server_of(ca), ca.renew)
        as_strongroom(checks, binary, ca, os.path.join(directory, "strongroom"), server_of(ca), ca.renew)
    finally:
        ca.stop()


def acme(checks, binary, directory):
    """Both names of the binary with servers' leaves that an ACME client ordered."""
    ca = StepCa(directory)
    try:
        server = ca.ordered("server")
        said = ca.step("certificate", "inspect", server[0])
        checks.all("a server's leaf by ACME", "is of the ACME provisioner, for localhost and 127.0.0.1", unlike(said, "Type: ACME", "DNS:localhost", "IP Address:127.0.0.1"))
        as_etcd(checks, binary, ca, os.path.join(directory, "etcd"), server, ca.order)
        as_strongroom(checks, binary, ca, os.path.join(directory, "strongroom"), ca.ordered("server"), ca.order)
    finally:
        ca.stop()


def server_of(ca):
    return ca.leaf("localhost", "localhost", "127.0.0.1")


def as_etcd(checks, binary, ca, directory, server, renew):
    client = ca.leaf("app", "app")
    url = "https://127.0.0.1:2479"
    flags = [f"--listen-client-urls=http://127.0.0.1:2379,{url}", f"--cert-file={server[0]}", f"--key-file={server[1]}", "--client-cert-auth", f"--trusted-ca-file={ca.root}"]
    with Member(binary, directory, *flags):
        renewed(checks, "etcd", ca, 2479, server, client, renew)


def as_strongroom(checks, binary, ca, directory, server, renew):
    client = ca.leaf("app", "app")
    # A site's certificates make no administrator: the user is made while the member's own authority is the clients'.
    with Up(binary, directory) as own:
        for words in (["user", "add", "app", "--no-password"], ["role", "add", "app"], ["user", "grant-role", "app", "app"],
                      ["role", "grant-permission", "app", "readwrite", "app/", "--prefix"]):
            code, text, _ = run([binary, *own.client_flags(), *words], own.home, within=8)
            if code != 0:
                raise AssertionError(text)
    with Up(binary, directory, "--gateway", "--tls-cert", server[0], "--tls-key", server[1], "--tls-client-ca", ca.root):
        renewed(checks, "strongroom", ca, 2379, server, client, renew)


def renewed(checks, personality, ca, port, server, client, renew):
    """Serves with step-ca's leaves; both sides' are renewed while clients put and get."""
    etcdctl = [tool("etcdctl"), "--endpoints", f"https://127.0.0.1:{port}", "--cacert", ca.root, "--cert", client[0], "--key", client[1]]
    code, text, _ = run([*etcdctl, "put", "app/x", "1"], ca.directory, within=8)
    checks.all(f"{personality} with step-ca's leaves", "etcdctl puts", None if code == 0 else text[-500:])
    traffic = Traffic(port, ("site", ca.root, *client))
    time.sleep(0.5)
    for n in range(3):
        renew(server)
        problem, seconds = taken(port, ca.root, client, server[0])
        checks.all(f"{personality}: {'step ca renew' if renew == ca.renew else 'another order'}, {n + 1}", "the new leaf is shown within 5 s", problem, seconds=seconds)
    kept = traffic.stop()
    checks.all(f"{personality}: three renewals", "no request is lost, old connections live on", kept)
    ca.renew(client)
    code, text, _ = run([*etcdctl, "get", "app/x"], ca.directory, within=8)
    checks.all(f"{personality}: a client's renewed leaf", "reads", unlike(text, "app/x\n1"))
