"""The member under the control plane, in its two shapes, and the clients that it knows.

What this is: `AsEtcd` is started with kubeadm's flags and files and is open until `turn_on`; `AsStrongroom` has made everything itself,
access control with it, and gives out the certificates: the apiserver's by `pki issue`, the health check's by a token. Both then have the
ready policies `kubernetes` and `kubeadm`. For both, `clients` are (certificate, key) by what the client is.

Never: gives a client of Kubernetes more than the ready policies do.
"""

import base64
import json
import os
import re
import subprocess
import urllib.request

import brought
from checks import run
from member import tool
from up import Up

APISERVER, HEALTH, ROOT, SOMEBODY = "the apiserver's certificate", "the health check's certificate", "the administrator's certificate", "a certificate without a user"
METRICS = "http://127.0.0.1:2381/metrics"
ENDPOINT = "https://127.0.0.1:2379"


class Clients:
    """What can be asked of a member, by whom."""

    def etcdctl(self, client, *words, stdin="", within=15):
        """The real etcdctl: (exit code, output of both kinds)."""
        certificate, key = self.clients[client]
        env = {k: v for k, v in os.environ.items() if not k.startswith("ETCDCTL_")}
        flags = ["--endpoints", ENDPOINT, "--cacert", self.ca, "--cert", certificate, "--key", key]
        try:
            done = subprocess.run([tool("etcdctl"), *flags, *words], env=env, input=stdin, cwd=self.directory,
                                  capture_output=True, text=True, errors="replace", timeout=within)
            return done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as late:
            return None, f"no end after {within} s: {(late.stdout or b'').decode(errors='replace')}"

    def administrate(self, *words, **named):
        """etcdctl as the administrator, which has to succeed: its output."""
        code, text = self.etcdctl(ROOT, *words, **named)
        if code != 0:
            raise RuntimeError(f"etcdctl {' '.join(words)}: {text[-500:]}")
        return text

    def strongroom(self, *words, client=ROOT, env=None):
        """A command of ours, which has to succeed: its output."""
        certificate, key = self.clients[client]
        flags = ["--endpoints", ENDPOINT, "--cacert", self.ca, "--cert", certificate, "--key", key]
        code, text, _ = run([self.binary, *flags, *words], self.directory, env, within=15)
        if code != 0:
            raise RuntimeError(f"strongroom {' '.join(words)}: {text[-500:]}")
        return text

    @property
    def ours(self):
        """Whether it has our own commands and metrics: the real etcd has not."""
        return os.path.basename(os.path.realpath(self.binary)) != "etcd"

    def apply_policies(self):
        if not self.ours:
            self.grant_as_etcd()
            return
        for policy in ("kubernetes", "kubeadm"):
            self.strongroom("access", "apply", policy)

    def grant_as_etcd(self):
        """The nearest that etcd's roles come to the policies."""
        for role, user in (("kubernetes", "kube-apiserver-etcd-client"), ("kubeadm", "kube-etcd-healthcheck-client")):
            for words in (["role", "add", role], ["user", "add", user, "--no-password"], ["user", "grant-role", user, role]):
                self.administrate(*words)
        self.administrate("role", "grant-permission", "kubernetes", "readwrite", "/registry/", "--prefix")
        self.administrate("role", "grant-permission", "kubernetes", "readwrite", "compact_rev_key")

    def metric(self, name):
        """A number of /metrics, or None."""
        with urllib.request.urlopen(METRICS, timeout=5) as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.M)
        return float(found.group(1)) if found else None

    def value(self, key):
        """What a key holds, as bytes the administrator reads; empty where it is not."""
        answer = json.loads(self.administrate("get", key, "-w", "json"))
        return b"".join(base64.b64decode(kv.get("value", "")) for kv in answer.get("kvs", []))


class AsEtcd(Clients, brought.Kubeadm):
    """Called etcd, as kubeadm's static pod calls it."""

    def __init__(self, binary, directory, pki):
        pki.etcd()
        self.ca = pki.path("etcd/ca.crt")
        self.clients = {APISERVER: pki.pair("apiserver-etcd-client"), HEALTH: pki.pair("etcd/healthcheck-client"),
                        ROOT: pki.pair("etcd/root"), SOMEBODY: pki.pair("etcd/server")}
        super().__init__(binary, directory, pki.path("etcd"))

    def turn_on(self):
        """Access control, as one turns it on for a cluster that serves: the rights first, so that nobody is without for a moment."""
        self.apply_policies()
        self.administrate("user", "add", "root", "--no-password")
        self.administrate("auth", "enable")


class AsStrongroom(Clients, Up):
    """By its own name, with its own authority; kubeadm's progress interval and a listener for /metrics are all that is set."""

    def __init__(self, binary, directory):
        self.binary = os.path.abspath(binary)
        super().__init__(binary, directory, "--listen-metrics", "127.0.0.1:2381", "--watch-progress", "5s")
        self.ca = os.path.join(self.pki_dir, "root.crt")
        self.clients = {ROOT: (os.path.join(self.pki_dir, "administrator.crt"), os.path.join(self.pki_dir, "administrator.key"))}
        self.clients[APISERVER] = self.issued("kube-apiserver-etcd-client")
        self.clients[HEALTH] = self.enrolled("kube-etcd-healthcheck-client")
        self.clients[SOMEBODY] = self.issued("somebody")
        self.apply_policies()

    def issued(self, name):
        place = os.path.join(self.directory, name)
        self.strongroom("pki", "issue", "--role", "client", "--name", name, "--dir", place)
        return os.path.join(place, f"{name}.crt"), os.path.join(place, f"{name}.key")

    def renew(self, client):
        """Another certificate in the files of this client, got by showing the one before, which is then revoked."""
        before = subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", self.clients[client][0]], capture_output=True, text=True, check=True).stdout
        self.strongroom("pki", "renew", client=client)
        self.strongroom("pki", "revoke", before.strip().split("=")[1].lower())

    def enrolled(self, name):
        """As on another machine: all that it has is the token."""
        place = os.path.join(self.directory, name)
        token = json.loads(self.strongroom("pki", "token", "--role", "client", "--name", name, "-w", "json"))["token"]
        code, text, _ = run([self.binary, "--endpoints", ENDPOINT, "enroll", "--dir", place], self.home, {"STRONGROOM_TOKEN": token}, within=15)
        if code != 0:
            raise RuntimeError(f"strongroom enroll: {text[-500:]}")
        return os.path.join(place, "client.crt"), os.path.join(place, "client.key")
