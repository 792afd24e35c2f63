"""A member whose policy is tried: made by `strongroom up`, reached over two networks, with certificates that it issued.

What this is: `House` is one member with access control on and an administrator. `ours` gives it a command of `strongroom`, `etcdctl`
one of the stock client, each by whom a certificate names and from the address that the check is about. Its clients' issuer is one
whose key the test has too (pki.open_authority), because `pki issue` writes no organization into a certificate.

Never: asks without a certificate; who logs in with a password has one too.
"""

import json
import os
import subprocess

from member import tool
from pki import open_authority
from up import Up

NEAR = "127.0.0.1"
# On the loopback of the script's own network namespace: who asks for it comes from it.
FAR = "10.9.8.7"
WITHIN_SECONDS = 10


class Said:
    """What a command came to."""

    def __init__(self, argv, done):
        self.argv, self.code, self.out, self.err = argv, done.returncode, done.stdout, done.stderr

    def __str__(self):
        return f"exit code {self.code}\n{self.out}{self.err}"

    @property
    def is_denied(self):
        return "permission denied" in self.out + self.err

    def json(self):
        return json.loads(self.out)


class House(Up):
    """One member, and everybody who comes to it."""

    def __init__(self, binary, directory):
        self.binary = os.path.abspath(binary)
        self.issuer = open_authority(os.path.join(directory, "data-pki"))
        self.pairs = {}
        super().__init__(binary, directory, "--listen", f"{FAR}:2379", "--certificate-name", FAR)
        self.pairs["root"] = tuple(os.path.join(self.pki_dir, f"administrator.{end}") for end in ("crt", "key"))
        self.root = os.path.join(self.pki_dir, "root.crt")

    def issue(self, label, name, *sans):
        """A client's certificate by `pki issue`, for whoever is called `label` here."""
        place = os.path.join(self.directory, f"issued-{label}")
        self.does("pki", "issue", "--role", "client", "--name", name, "--dir", place, *(word for san in sans for word in ("--san", san)))
        self.pairs[label] = tuple(os.path.join(place, f"{name}.{end}") for end in ("crt", "key"))

    def issue_organization(self, label, name, organization):
        """One with an organization, signed with the issuer's key."""
        self.pairs[label] = self.issuer.leaf(label, name, organization=organization)

    def flags(self, who, host):
        certificate, key = self.pairs[who]
        return ["--endpoints", f"https://{host}:{self.client_port}", "--cacert", self.root, "--cert", certificate, "--key", key]

    def run(self, program, words, who, host, stdin):
        done = subprocess.run([program, *words, *self.flags(who, host)], env=self.env, cwd=self.directory, input=stdin, capture_output=True, text=True,
                              timeout=WITHIN_SECONDS)
        return Said([os.path.basename(program), *words], done)

    def ours(self, *words, who="root", host=NEAR, stdin=""):
        return self.run(self.binary, words, who, host, stdin)

    def etcdctl(self, *words, who, host=NEAR, stdin=""):
        return self.run(tool("etcdctl"), words, who, host, stdin)

    def does(self, *words):
        """What the administrator does so that there is something to try: it has to succeed."""
        said = self.ours(*words)
        if said.code != 0:
            raise AssertionError(f"strongroom {' '.join(words)}: {said}")
        return said

    def add_user(self, name, *roles):
        """A user without a password who holds these roles."""
        self.does("user", "add", name, "--no-password")
        for role in roles:
            self.does("user", "grant-role", name, role)

    def add_role(self, name, *permissions):
        """A role with these permissions, each written as `role grant-permission` takes it."""
        self.does("role", "add", name)
        for permission in permissions:
            self.does("role", "grant-permission", name, *permission.split())

    def policy(self):
        """The whole policy, as `access show` tells it to programs."""
        return self.does("access", "show", "-w", "json").json()
