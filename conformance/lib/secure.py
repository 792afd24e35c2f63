"""A member with mutual TLS whose clients are who their certificates say: `etcd --client-cert-auth`, the real one and ours alike.

What this is: `Secure` is a `Member` that listens with TLS only and has an authority of its own; `certificate` makes one for a
client, by common name, which is a user's name once access control is on. `administrate` is etcdctl as the user root.

Never: knows which server it is; makes a certificate that outlives the test's directory.
"""

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request

from member import Member, tool
from pki import Issuer

# The certificate without a common name: who has only this is nobody, unless a token or password says more.
NOBODY = "nobody"


class Secure(Member):
    """One member on https, and the authority that its clients' certificates are of."""

    def __init__(self, binary, directory, *arguments, **named):
        self.issuer = Issuer(os.path.join(directory, "pki"))
        self.made = {NOBODY: self.issuer.leaf(NOBODY, None)}
        certificate, key = self.issuer.leaf("server", "server", usage="serverAuth,clientAuth", names=("DNS:localhost", "IP:127.0.0.1"))
        super().__init__(
            binary, directory, "--cert-file", certificate, "--key-file", key, "--trusted-ca-file", self.issuer.certificate,
            "--client-cert-auth", *arguments, start=False, **named)
        self.endpoint = f"https://127.0.0.1:{self.client_port}"
        self.start()

    def certificate(self, common_name):
        """(certificate, key) of this common name."""
        if common_name not in self.made:
            self.made[common_name] = self.issuer.leaf(f"client-{len(self.made)}", common_name)
        return self.made[common_name]

    def healthy(self, tls=None):
        return super().healthy(self.tls(NOBODY))

    def tls(self, common_name):
        """What Python's http and ssl take for a client of this name."""
        context = ssl.create_default_context(cafile=self.issuer.certificate)
        context.load_cert_chain(*self.certificate(common_name))
        return context

    def variables(self, common_name):
        """etcdctl's variables for a client of this name."""
        certificate, key = self.certificate(common_name)
        return {
            "ETCDCTL_ENDPOINTS": self.endpoint, "ETCDCTL_CACERT": self.issuer.certificate, "ETCDCTL_CERT": certificate, "ETCDCTL_KEY": key}

    def etcdctl(self, common_name, *argv, stdin="", within_seconds=20, **more):
        """One etcdctl command by a client of this name: the finished process."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("ETCDCTL_")}
        return subprocess.run([tool("etcdctl"), *argv], env={**env, **self.variables(common_name), **more}, input=stdin,
                              capture_output=True, text=True, timeout=within_seconds)

    def administrate(self, *argv):
        """etcdctl as root, which has to succeed: its output."""
        done = self.etcdctl("root", *argv)
        if done.returncode != 0:
            raise Refused(f"etcdctl {' '.join(argv)}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
        return done.stdout

    def enable_access_control(self):
        """From here on every client is who its certificate or token says; root is."""
        self.administrate("user", "add", "root:root's password")
        self.administrate("user", "grant-role", "root", "root")
        self.administrate("auth", "enable")

    def add_user(self, name, *prefixes, password=None):
        """A user with a role of the same name that may read and write below these prefixes."""
        self.administrate("user", "add", *([f"{name}:{password}"] if password else [name, "--no-password"]))
        self.administrate("role", "add", name)
        for prefix in prefixes:
            self.administrate("role", "grant-permission", name, "readwrite", prefix, "--prefix")
        self.administrate("user", "grant-role", name, name)

    def ask(self, common_name, path, token=None, **body):
        """One request to the JSON gateway: (HTTP status, parsed answer or its text)."""
        headers = {"Content-Type": "application/json", **({"Authorization": token} if token else {})}
        request = urllib.request.Request(f"{self.endpoint}/v3/{path}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self.tls(common_name)) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as told:
            return told.code, told.read().decode(errors="replace")
        except OSError as error:
            return 0, str(error)


class Refused(Exception):
    """What had to succeed and did not."""
