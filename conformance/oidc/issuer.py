"""The issuer of issuer.js, started on loopback with a certificate of its own: tokens with any claims, keys that change on request.

What this is: `Issuer` starts and ends it, gets tokens from it and turns its keys. `issuer.url` is what a server is told,
`issuer.ca` the root of its certificate.

Never: verifies a token; that is for those who are tested with it.
"""

import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import member
import pki

AUDIENCE = "urn:strongroom"


class Issuer:
    """One running issuer."""

    def __init__(self, directory, port=None):
        self.port = port or member.free_port()
        self.url = f"https://localhost:{self.port}"
        authority = pki.Issuer(os.path.join(directory, "issuer-pki"))
        self.ca = authority.certificate
        certificate, key = authority.leaf("issuer", "localhost", usage="serverAuth", names=("DNS:localhost", "IP:127.0.0.1"))
        self.context = ssl.create_default_context(cafile=self.ca)
        self.log_path = os.path.join(directory, "issuer.log")
        home = os.path.join(member.TARGET, "oidc")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(["node", os.path.join(home, "issuer.js"), str(self.port), certificate, key], cwd=home,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + 20
        while self.get("/.well-known/openid-configuration") is None:
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise SystemExit(f"the issuer did not start; its log:\n{open(self.log_path, errors='replace').read()[-2000:]}")
            time.sleep(0.05)

    def get(self, path):
        """A document of its, or None."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5, context=self.context) as answer:
                return json.load(answer)
        except OSError:
            return None

    def post(self, path, **form):
        try:
            with urllib.request.urlopen(self.url + path, urllib.parse.urlencode(form).encode(), timeout=5, context=self.context) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as told:
            raise RuntimeError(f"{path}: {told.code} {told.read().decode(errors='replace')[:300]}") from told

    def token(self, alg="ES256", **claims):
        """A signed token with these claims over the usual ones; None leaves one out."""
        answer = self.post("/token", grant_type="client_credentials", client_id="conformance", client_secret="conformance", resource=AUDIENCE, alg=alg,
                           claims=json.dumps(claims))
        return answer["access_token"]

    def turn(self, how):
        """rotate, retire or replace its keys."""
        return self.post(f"/control/{how}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
