"""Certificates that other people's programs lay out: kubeadm's files, cert-manager's links, and openssl as a client.

What this is: kubeadm's names, subjects, purposes, key form (RSA, PKCS #1) and command line, made with openssl; `laid` is the same for
any directory. A file written over in place, one after another, and a link that is turned, both while clients put and get.
"""

import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request

from checks import run, unlike
from member import ROOT, TARGET, Member, tool
from traffic import Traffic, context
from up import Up

TAKEN_SECONDS_MAX = 5
KUBEADM = {
    "server": ("/CN=node", "serverAuth,clientAuth"),
    "peer": ("/CN=node", "serverAuth,clientAuth"),
    "healthcheck-client": ("/O=system:masters/CN=kube-etcd-healthcheck-client", "clientAuth"),
    "apiserver-etcd-client": ("/O=system:masters/CN=kube-apiserver-etcd-client", "clientAuth"),
}


def openssl(*words, cwd):
    done = subprocess.run(["openssl", *words], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(words)}: {done.stderr[-500:]}")


def authority(directory):
    """kubeadm's etcd/ca.crt and ca.key."""
    os.makedirs(directory, exist_ok=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=etcd-ca", "-addext", "keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign",
            "-out", "ca.crt", "-keyout", "ca.key", cwd=directory)


def leaf(directory, name, into=None):
    """One of kubeadm's pairs of the authority here, in another directory if named: (certificate, key)."""
    subject, usage = KUBEADM[name]
    into = into or directory
    names = "subjectAltName=DNS:node,DNS:localhost,IP:127.0.0.1\n" if "serverAuth" in usage else ""
    with open(os.path.join(directory, "leaf.ext"), "w") as out:
        out.write(f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage={usage}\n{names}")
    certificate, key = os.path.join(into, f"{name}.crt"), os.path.join(into, f"{name}.key")
    openssl("genrsa", "-traditional", "-out", key, "2048", cwd=directory)
    openssl("req", "-new", "-key", key, "-subj", subject, "-out", "leaf.csr", cwd=directory)
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "365", "-extfile", "leaf.ext", "-out", certificate, cwd=directory)
    os.chmod(key, 0o600)
    return certificate, key


class Kubeadm(Member):
    """The command line that kubeadm writes, and its probe."""

    def __init__(self, binary, directory, pki):
        self.pki = pki
        super().__init__(binary, directory, start=False)
        self.endpoint = "http://127.0.0.1:2381"
        self.start()

    @property
    def command(self):
        ca = os.path.join(self.pki, "ca.crt")
        return [
            self.program, "--advertise-client-urls=https://127.0.0.1:2379", f"--cert-file={self.pki}/server.crt", "--client-cert-auth=true",
            f"--data-dir={self.data_dir}", "--feature-gates=InitialCorruptCheck=true", "--initial-advertise-peer-urls=https://127.0.0.1:2380",
            "--initial-cluster=node=https://127.0.0.1:2380", f"--key-file={self.pki}/server.key", "--listen-client-urls=https://127.0.0.1:2379",
            "--listen-metrics-urls=http://127.0.0.1:2381", "--listen-peer-urls=https://127.0.0.1:2380", "--name=node",
            f"--peer-cert-file={self.pki}/peer.crt", "--peer-client-cert-auth=true", f"--peer-key-file={self.pki}/peer.key",
            f"--peer-trusted-ca-file={ca}", "--snapshot-count=10000", f"--trusted-ca-file={ca}", "--watch-progress-notify-interval=5s"]


def shown(port, ca, pair, tls=context):
    """The certificate that the server shows now, as DER."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw, tls(ca, *pair).wrap_socket(raw, server_hostname="localhost") as s:
        return s.getpeercert(binary_form=True)


def der(path):
    text = open(path).read()
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)])


def taken(port, ca, pair, certificate):
    """(problem or None, seconds) until the server shows what is in this file."""
    began, wanted = time.monotonic(), der(certificate)
    while time.monotonic() - began < TAKEN_SECONDS_MAX:
        if shown(port, ca, pair) == wanted:
            return None, time.monotonic() - began
        time.sleep(0.05)
    return f"still the old one after {TAKEN_SECONDS_MAX} s", time.monotonic() - began


def kubeadm(checks, binary, directory):
    """kubeadm's layout: every pair is a client's too, and files written over one by one are taken over."""
    pki = os.path.join(directory, "pki")
    authority(pki)
    pairs = {name: leaf(pki, name) for name in KUBEADM}
    ca = os.path.join(pki, "ca.crt")
    with Kubeadm(binary, os.path.join(directory, "member"), pki) as server:
        etcdctl = [tool("etcdctl"), "--endpoints", "https://127.0.0.1:2379", "--cacert", ca]
        for name, (certificate, key) in pairs.items():
            code, text, seconds = run([*etcdctl, "--cert", certificate, "--key", key, "put", f"app/{name}", "x"], directory, within=8)
            checks.all(f"kubeadm's {name}.crt as a client's", "puts", None if code == 0 else text[-500:], seconds=seconds)
        stranger = os.path.join(directory, "stranger")
        authority(stranger)
        certificate, key = leaf(stranger, "healthcheck-client")
        code, text, _ = run([*etcdctl, "--cert", certificate, "--key", key, "--command-timeout=2s", "get", "a"], directory, within=8)
        checks.all("the same of another etcd-ca", "is refused", None if code else "it is let in")
        for path in ("livez", "readyz", "health"):
            with urllib.request.urlopen(f"http://127.0.0.1:2381/{path}", timeout=5) as answer:
                checks.all(f"kubelet's probe /{path}", "is answered without a certificate", None if answer.status == 200 else answer.status)
        client = pairs["apiserver-etcd-client"]
        traffic = Traffic(2379, ("apiserver", ca, *client))
        new = os.path.join(directory, "new")
        os.makedirs(new)
        for name in ("server", "peer"):
            certificate, key = leaf(pki, name, new)
            before = shown(2379, ca, client)
            shutil.copyfile(certificate, os.path.join(pki, f"{name}.crt"))
            # kubeadm writes one file, then the other: in between they are of two pairs.
            time.sleep(2.5)
            between = shown(2379, ca, client)
            shutil.copyfile(key, os.path.join(pki, f"{name}.key"))
            if name == "server":
                problem, seconds = taken(2379, ca, client, certificate)
                checks.all("server.crt, then server.key, written over", "the old pair serves meanwhile, the new one within 5 s",
                           None if between == before else "half a pair was taken", problem, seconds=seconds)
        checks.all("files written over", "no request is lost", traffic.stop())
        code, text, _ = run([*etcdctl, "--cert", f"{pki}/server.crt", "--key", f"{pki}/server.key", "get", "app/peer"], directory, within=8)
        checks.all("the new server.crt as a client's", "reads what was put", unlike(text, "app/peer"))


def links(checks, binary, directory):
    """A mounted secret: files are links into `..data`, which is turned in one act."""
    pki, secret = os.path.join(directory, "pki"), os.path.join(directory, "secret")
    authority(pki)
    client = leaf(pki, "apiserver-etcd-client")

    def lay(version):
        place = os.path.join(secret, version)
        os.makedirs(place)
        certificate, key = leaf(pki, "server", place)
        os.rename(certificate, os.path.join(place, "tls.crt"))
        os.rename(key, os.path.join(place, "tls.key"))
        shutil.copy(os.path.join(pki, "ca.crt"), os.path.join(place, "ca.crt"))
        os.symlink(version, os.path.join(secret, "..data_tmp"))
        os.rename(os.path.join(secret, "..data_tmp"), os.path.join(secret, "..data"))

    lay("..2026_01")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        os.symlink(f"..data/{name}", os.path.join(secret, name))
    url = "https://127.0.0.1:4443"
    flags = [f"--listen-client-urls=http://127.0.0.1:2379,{url}", f"--cert-file={secret}/tls.crt", f"--key-file={secret}/tls.key",
             "--client-cert-auth", f"--trusted-ca-file={secret}/ca.crt"]
    with Member(binary, os.path.join(directory, "member"), *flags):
        traffic = Traffic(4443, ("mounted", os.path.join(pki, "ca.crt"), *client))
        for version in ("..2026_02", "..2026_03"):
            lay(version)
            shutil.rmtree(os.path.join(secret, "..2026_01"), ignore_errors=True)
            problem, seconds = taken(4443, os.path.join(pki, "ca.crt"), client, os.path.join(secret, version, "tls.crt"))
            checks.all(f"..data turned to {version}", "the new pair is shown within 5 s", problem, seconds=seconds)
        checks.all("..data turned twice", "no request is lost", traffic.stop())


def openssl_client(checks, binary, directory):
    """What a listener speaks, with an RSA key, so that every old suite would be possible; the hybrid group by a Go client."""
    pki = os.path.join(directory, "pki")
    authority(pki)
    certificate, key = leaf(pki, "server")
    client = leaf(pki, "apiserver-etcd-client")
    ca = os.path.join(pki, "ca.crt")
    url = "https://127.0.0.1:4443"
    flags = [f"--listen-client-urls=http://127.0.0.1:2379,{url}", f"--cert-file={certificate}", f"--key-file={key}", "--client-cert-auth", f"--trusted-ca-file={ca}"]
    curve = built_curve()
    base = ["openssl", "s_client", "-connect", "127.0.0.1:4443", "-CAfile", ca, "-cert", client[0], "-key", client[1], "-verify_return_error", "-brief"]
    old = ["--tls-min-version=TLS1.3"]
    cases = (
        ("TLS 1.3", old, ["-tls1_3"], "TLSv1.3"),
        ("TLS 1.3 with P-256 alone", old, ["-tls1_3", "-groups", "P-256"], "TLSv1.3"),
        ("TLS 1.2 where 1.3 is the oldest", old, ["-tls1_2"], None),
        ("TLS 1.2 by etcd's default", [], ["-tls1_2"], "ECDHE-RSA-(AES|CHACHA)[A-Z0-9-]*(GCM|POLY1305)"),
        ("TLS 1.2 with CBC alone", [], ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA384:@SECLEVEL=0"], None),
        ("TLS 1.2 with RSA key exchange alone", [], ["-tls1_2", "-cipher", "AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0"], None),
        ("TLS 1.1", [], ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], None),
    )
    for n, more in enumerate((old, [])):
        with Member(binary, os.path.join(directory, f"member{n}"), *flags, *more):
            for name, needs, words, wanted in cases:
                if needs == more:
                    spoken(checks, f"openssl, etcd: {name}", [*base, *words], directory, wanted)
            code, text, _ = run([curve, "127.0.0.1:4443", ca, *client], directory, within=8)
            checks.all(f"Go's crypto/tls {' '.join(more)}", "agrees on X25519MLKEM768 over TLS 1.3", None if code == 0 else text[-300:], unlike(text, "^TLS 1.3 X25519MLKEM768"))
    for n, (more, wanted) in enumerate((([], None), (["--tls-min-version", "1.2"], "ECDHE-ECDSA-[A-Z0-9-]*(GCM|POLY1305)"))):
        with Up(binary, os.path.join(directory, f"up{n}"), *more) as server:
            own = [os.path.join(server.pki_dir, name) for name in ("root.crt", "administrator.crt", "administrator.key")]
            ask = ["openssl", "s_client", "-connect", "127.0.0.1:2379", "-CAfile", own[0], "-cert", own[1], "-key", own[2], "-verify_return_error", "-brief"]
            spoken(checks, f"openssl, strongroom {' '.join(more)}: TLS 1.2", [*ask, "-tls1_2"], directory, wanted)


def spoken(checks, name, command, directory, wanted):
    """A handshake that ends as it must: as wanted, or with the server's alert."""
    code, text, _ = run(command, directory, within=8)
    if wanted:
        checks.all(name, "a handshake", None if code == 0 else f"exit code {code}: {text[-300:]}", unlike(text, wanted))
    else:
        checks.all(name, "refused by the server", None if code else f"it was let in: {text[-300:]}", unlike(text, "(?i)alert"))


def built_curve():
    """A Go program of the standard library alone that tells what a handshake agreed on."""
    out = os.path.join(TARGET, "pki-tools", "curve")
    source = os.path.join(ROOT, "conformance", "certificates", "curve.go")
    if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(out), exist_ok=True)
        subprocess.run(["go", "build", "-o", out, source], check=True, env=dict(os.environ, GOTOOLCHAIN="local", CGO_ENABLED="0", GOWORK="off"))
    return out
