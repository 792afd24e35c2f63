"""Certificates of a member's own authority: by token, rolled over, revoked, ended.

What this is: a member by `strongroom up`, and the commands of an operator. From nothing to working certificates; tokens and
requests that are not good; new issuers and a new root under traffic; a revocation that cuts what is open; a certificate that ends.
"""

import base64
import http.client
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

from checks import PLAIN_USER, run, unlike
from load import b64
from member import tool
from traffic import Traffic, ask, context
from up import Up

REFUSED_SECONDS_MAX = 0.5
CUT_SECONDS_MAX = 1.0


class Cluster(Up):
    """A member with the gateway, whose commands are one method."""

    def __init__(self, binary, directory, *arguments, **named):
        self.binary = os.path.abspath(binary)
        super().__init__(binary, directory, "--gateway", *arguments, **named)

    def flags(self, pair=None, root=None):
        certificate, key = pair or (os.path.join(self.pki_dir, "administrator.crt"), os.path.join(self.pki_dir, "administrator.key"))
        return ["--endpoints", self.endpoint, "--cacert", root or os.path.join(self.pki_dir, "root.crt"), "--cert", certificate, "--key", key]

    def try_command(self, *words, pair=None, root=None, env=None):
        return run([self.binary, *self.flags(pair, root), *words], self.home, env, within=10)

    def does(self, *words, **named):
        """A command of the administrator, which has to succeed: its output."""
        code, text, _ = self.try_command(*words, **named)
        if code != 0:
            raise AssertionError(f"strongroom {' '.join(words)}: {text[-500:]}")
        return text

    def add_user(self, name):
        for words in (["user", "add", name, "--no-password"], ["role", "add", name], ["user", "grant-role", name, name],
                      ["role", "grant-permission", name, "readwrite", "app/", "--prefix"]):
            self.does(*words)

    def token(self, *words):
        return json.loads(self.does("pki", "token", *words, "-w", "json"))["token"]

    def enroll(self, token, name, env=None, prefix=()):
        """(code, text, seconds) of coming with a token; the files are in a directory of this name."""
        words = ["enroll", "--dir", os.path.join(self.directory, name)]
        # Who comes with a token speaks TLS in any case, so that the address alone is enough.
        return run([*prefix, self.binary, "--endpoints", f"127.0.0.1:{self.client_port}", *words], self.home, {"STRONGROOM_TOKEN": token, **(env or {})}, within=10)

    def came(self, name, *words):
        """Where the files lie that a token of this name brought."""
        code, text, _ = self.enroll(self.token("--name", name, *words), name)
        if code != 0:
            raise AssertionError(text)
        return os.path.join(self.directory, name)

    def issue(self, name, *words):
        """(certificate, key, root) of a client of this name, in a directory of its own."""
        place = os.path.join(self.directory, f"issued-{name}-{len(os.listdir(self.directory))}")
        self.does("pki", "issue", "--role", "client", "--name", name, "--dir", place, *words)
        return tuple(os.path.join(place, file) for file in (f"{name}.crt", f"{name}.key", "root.crt"))

    def metric(self, name):
        root, certificate, key = (os.path.join(self.pki_dir, n) for n in ("root.crt", "administrator.crt", "administrator.key"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.client_port, timeout=5, context=context(root, certificate, key))
        connection.request("GET", "/metrics")
        found = re.search(rf"^{re.escape(name)} (\S+)$", connection.getresponse().read().decode(), re.M)
        connection.close()
        return float(found.group(1)) if found else None


def from_nothing(checks, binary, directory):
    """A server, a peer and two clients get working certificates by commands alone, with no other program in reach."""
    bare = {"PATH": os.path.join(directory, "nothing")}
    began = time.monotonic()
    with Cluster(binary, directory) as cluster:
        for name in ("app", "other"):
            cluster.add_user(name)
        member = cluster.token("--role", "member", "--name", "two", "--san", "localhost", "--san", "127.0.0.1")
        said = [cluster.enroll(member, "two", bare)]
        said += [cluster.enroll(cluster.token("--role", "client", "--name", name), name, bare) for name in ("app", "other")]
        problems = [text for code, text, _ in said if code != 0]
        client = {name: [os.path.join(directory, name, file) for file in ("client.crt", "client.key", "root.crt")] for name in ("app", "other")}
        for name, (certificate, key, root) in client.items():
            cluster.does("put", f"app/{name}", name, pair=(certificate, key), root=root)
        seconds = time.monotonic() - began
        checks.all("from nothing to two clients, a server and a peer", "by eleven commands, no openssl, in under a minute", *problems,
                   None if seconds < 60 else f"took {seconds:.0f} s", seconds=seconds)
        two = os.path.join(directory, "two")
        for side, root in (("server", "root.crt"), ("peer", "peers.crt")):
            checks.all(f"the {side}'s certificate that was given", "serves a client that trusts what came with it, and a client's server is no peer", *shakes(two, side, root))
        modes = [f"{p} {os.stat(p).st_mode & 0o777:o}" for p in (f"{two}/server.key", f"{two}/peer.key", client["app"][1]) if os.stat(p).st_mode & 0o077]
        checks.all("keys that were made", "are their user's alone", f"readable by others: {modes}" if modes else None)
        not_good(checks, cluster, member)


def shakes(directory, side, root):
    """Problems of a handshake, in this process, with a certificate that was enrolled."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(os.path.join(directory, f"{side}.crt"), os.path.join(directory, f"{side}.key"))
    yield handshake(server, os.path.join(directory, root))
    if side == "server" and handshake(server, os.path.join(directory, "peers.crt")) is None:
        yield "the peers' issuer vouches for a server too"


def handshake(server, root):
    near, far = socket.socketpair()
    said = []

    def serve():
        try:
            server.wrap_socket(near, server_side=True).close()
        except OSError as error:
            said.append(str(error))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        trusting = ssl.create_default_context(cafile=root)
        # The peers' anchor is their issuer, which is no root; members take it as one, and so does openssl if asked.
        trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        with trusting.wrap_socket(far, server_hostname="localhost"):
            return None
    except OSError as error:
        return str(error)
    finally:
        far.close()
        thread.join(5)


def field(number, data):
    """A field of bytes in protobuf's form."""
    length, n = b"", len(data)
    while n > 127:
        length, n = length + bytes([n & 127 | 128]), n >> 7
    return bytes([number << 3 | 2]) + length + bytes([n]) + data


def raw(cluster, body):
    path = os.path.join(cluster.directory, "request.bin")
    with open(path, "wb") as out:
        out.write(b"\0" + struct.pack(">I", len(body)) + body)
    began = time.monotonic()
    done = subprocess.run(
        ["curl", "--silent", "--http2", "--max-time", "5", "--cacert", os.path.join(cluster.pki_dir, "root.crt"), "--dump-header", "-",
         "--header", "content-type: application/grpc", "--header", "te: trailers", "--data-binary", f"@{path}", "--output", "/dev/null",
         f"{cluster.endpoint}/strongroom.v1.Pki/Enroll"], capture_output=True, text=True, errors="replace")
    seconds = time.monotonic() - began
    status = re.search(r"grpc-status: (\d+)", done.stdout)
    return status and int(status.group(1)), done.stdout, seconds


def signing_request(directory, forged):
    """A PKCS #10 request, DER; forged: signed by another key than it is for."""
    path = os.path.join(directory, "request.der")
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-keyout",
                    os.path.join(directory, "request.key"), "-outform", "DER", "-out", path], check=True, capture_output=True)
    der = bytearray(open(path, "rb").read())
    if forged:
        der[-3] ^= 1
    return bytes(der)


def not_good(checks, cluster, used):
    """Tokens and requests that must get nothing, each at once."""
    before = cluster.metric("strongroom_enrolments_refused_total")
    code, text, seconds = cluster.enroll(used, "again")
    told(checks, "token that was used", code, text, seconds, "token .*used", r"pki token")
    late = cluster.token("--role", "client", "--name", "app", "--valid", "1s")
    time.sleep(2.1)
    code, text, seconds = cluster.enroll(late, "late")
    told(checks, "token that has ended", code, text, seconds, "token .*ended", r"pki token")
    with Cluster(cluster.binary, os.path.join(cluster.directory, "another"), client_port=4379, peer_port=4380) as another:
        foreign = another.token("--role", "client", "--name", "app")
    code, text, seconds = cluster.enroll(foreign, "foreign")
    told(checks, "token of another cluster", code, text, seconds, "(?i)root|pin", r"next:")
    shut, token = os.path.join(cluster.directory, "shut"), cluster.token("--role", "client", "--name", "app")
    os.makedirs(shut, mode=0o500)
    code, text, seconds = cluster.enroll(token, "shut", prefix=PLAIN_USER)
    told(checks, "a directory in which nothing can be written", code, text, seconds, "shut", "next:")
    os.chmod(shut, 0o700)
    code, text, _ = cluster.enroll(token, "shut")
    checks.all("a directory in which nothing can be written", "the token is still good", None if code == 0 else text)
    left = [name for name in ("again", "late", "foreign") if os.path.lexists(os.path.join(cluster.directory, name))]
    checks.all("the three that were refused", "leave no directory and no root behind", f"there is {left}" if left else None)
    good = signing_request(cluster.directory, forged=False)
    for name, role, request, wanted in (
        ("request of a role that the token does not give", "administrator", good, "(?i:token)"),
        ("request whose signature is another key's", "client", signing_request(cluster.directory, forged=True), "(?i:request|sign)"),
        ("request of a megabyte", "client", b"\x30\x82" + b"\0" * 1_000_000, "(?i:large|long|request|bytes)"),
    ):
        token = json.loads(cluster.does("pki", "token", "--role", "client", "--name", "app", "-w", "json"))
        secret = secret_of(token["token"])
        body = field(1, token["id"].encode()) + field(2, secret) + field(3, field(1, role.encode()) + field(2, request))
        status, text, seconds = raw(cluster, body)
        checks.all(name, f"refused in under {REFUSED_SECONDS_MAX} s with the reason", None if status else f"gRPC status {status}: {text[-400:]}",
                   None if seconds < REFUSED_SECONDS_MAX else f"took {seconds:.2f} s", unlike(text, f"grpc-message: [^\r\n]*({wanted})"), seconds=seconds)
        # The token is not used up by what was refused: the right request gets its certificate.
        status, text, _ = raw(cluster, field(1, token["id"].encode()) + field(2, secret) + field(3, field(1, b"client") + field(2, good)))
        checks.all(f"{name}, then the right one", "the token is still good", None if status == 0 else f"gRPC status {status}: {text[-400:]}")
    after = cluster.metric("strongroom_enrolments_refused_total")
    checks.all("strongroom_enrolments_refused_total", "counts the five that came to the member", None if after - before == 5 else f"from {before} to {after}")


def secret_of(token):
    """The part of a token that the member compares: between its form's first bytes and the pin; see crates/certificate/src/token.rs."""
    text = token.removeprefix("srt_")
    whole = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return whole[9:25]


def told(checks, name, code, text, seconds, cause, step):
    checks.all(name, f"refused in under {REFUSED_SECONDS_MAX} s, naming /{cause}/ and /{step}/", None if code else f"it was let in: {text}",
               unlike(text, cause, step), None if seconds < REFUSED_SECONDS_MAX else f"took {seconds:.2f} s", seconds=seconds)


def rollovers(checks, binary, directory):
    """New issuers, then a new root, while clients keep connections and make new ones: nobody loses a request."""
    with Cluster(binary, directory) as cluster:
        cluster.add_user("app")
        key = ["--recovery-key", os.path.join(cluster.pki_dir, "recovery.key")]
        current = cluster.issue("app")
        for what, words in (("issuers", []), ("root and issuers", ["--root"])):
            roll(checks, cluster, what, [*words, *key], current)
            current = cluster.renewed
        shown = cluster.does("pki", "show")
        checks.all("after both", "no former authority is left", None if "former" not in shown else shown)


def roll(checks, cluster, what, words, old):
    certificate, key, root = old
    traffic = Traffic(cluster.client_port, ("as before", root, certificate, key))
    time.sleep(0.5)
    began = time.monotonic()
    cluster.does("pki", "rollover", *words)
    time.sleep(2.5)
    code, text, _ = cluster.try_command("pki", "rollover", "--finish")
    checks.all(f"rollover of {what}: --finish while a client has the old alone", "refused, naming whom it would lock out",
               None if code else "it was done", unlike(text, "client app|app", "--force"))
    new = cluster.issue("app")
    again = Traffic(cluster.client_port, ("new certificate, its root", new[2], new[0], new[1]), ("new certificate, the root of before", root, new[0], new[1]))
    time.sleep(1)
    problem = traffic.stop()
    checks.all(f"rollover of {what}", "clients with old certificate and root lose no request", problem, seconds=time.monotonic() - began)
    held = again
    if "--root" in words:
        # Who still has the old root alone is not to be served after the end, so they take the new one before.
        problem = again.stop()
        held = Traffic(cluster.client_port, ("new certificate, its root", new[2], new[0], new[1]))
        checks.all(f"rollover of {what}: both roots", "clients with the old root or the new one lose no request", problem)
    time.sleep(0.5)
    cluster.does("pki", "rollover", "--finish", "--force")
    time.sleep(2.5)
    checks.all(f"rollover of {what}: --finish", "clients with the new certificate lose no request", held.stop())
    code, text, _ = cluster.try_command("get", "app/x", pair=(certificate, key))
    checks.all(f"rollover of {what}: the old certificate after the end", "is refused", None if code else "it is let in")
    cluster.renewed = new


class Stream:
    """A request of the gateway whose answer goes on: when it ended."""

    def __init__(self, cluster, files, path, body):
        certificate, key, root = files
        self.connection = http.client.HTTPSConnection("127.0.0.1", cluster.client_port, timeout=20, context=context(root, certificate, key))
        self.ended, self.text = None, ""
        self.thread = threading.Thread(target=self.follow, args=(path, body), daemon=True)
        self.thread.start()

    def follow(self, path, body):
        try:
            self.connection.request("POST", "/v3/" + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            while part := answer.read1(65536):
                self.text += part.decode(errors="replace")
        except OSError as error:
            self.text += f" {error}"
        except http.client.HTTPException as error:
            self.text += f" {error!r}"
        self.ended = time.monotonic()


def revocation(checks, binary, directory):
    """A revoked certificate's watch, keep-alive and waiting lock end, and no door opens for it."""
    with Cluster(binary, directory) as cluster:
        cluster.add_user("app")
        files, other = cluster.issue("app"), cluster.issue("app")
        # Which of the two is revoked is told by its serial number: the other, of the same name, is good on.
        serial = run(["openssl", "x509", "-noout", "-serial", "-in", files[0]], cluster.home)[1].strip().split("=")[1].lower()
        kept = http.client.HTTPSConnection("127.0.0.1", cluster.client_port, timeout=5, context=context(files[2], files[0], files[1]))
        lease = json.loads(ask(kept, "lease/grant", TTL=60)[1])["ID"]
        ask(kept, "lock/lock", name=b64("app/lock"), lease=lease)
        brief = json.loads(ask(kept, "lease/grant", TTL=3)[1])["ID"]
        waiter = json.loads(ask(kept, "lease/grant", TTL=60)[1])["ID"]
        streams = {
            "watch": Stream(cluster, files, "watch", {"create_request": {"key": b64("app/"), "range_end": b64("app0")}}),
            "lock that waits": Stream(cluster, files, "lock/lock", {"name": b64("app/lock"), "lease": waiter}),
        }
        commands = {
            "etcdctl watch": [tool("etcdctl"), *cluster.flags(files[:2], files[2]), "watch", "app/", "--prefix"],
            "etcdctl lease keep-alive": [tool("etcdctl"), *cluster.flags(files[:2], files[2]), "lease", "keep-alive", f"{int(brief):x}"],
        }
        logs = {name: open(os.path.join(directory, name.replace(" ", "-")), "wb") for name in commands}
        processes = {name: subprocess.Popen(c, stdout=logs[name], stderr=logs[name], env=cluster.env) for name, c in commands.items()}
        mine = Traffic(cluster.client_port, ("another of the name", other[2], other[0], other[1]))
        time.sleep(5)
        alive = int(json.loads(ask(kept, "lease/timetolive", ID=brief)[1]).get("TTL", -1))
        problems = [f"{name} ended before" for name, s in streams.items() if s.ended] + [n for n, p in processes.items() if p.poll() is not None]
        problems += [] if alive > 0 else ["the lease was not kept alive before"]
        began = time.monotonic()
        cluster.does("pki", "revoke", serial)
        time.sleep(CUT_SECONDS_MAX + 0.1)
        for name, stream in streams.items():
            late = None if stream.ended and stream.ended - began < CUT_SECONDS_MAX + 0.1 else "it goes on"
            checks.all(f"revoked: {name}", "cut within a second", *problems, late, unlike(stream.text, "(?i)revoked") if name == "watch" else None,
                       seconds=(stream.ended or time.monotonic()) - began)
        try:
            status, text = ask(kept, "kv/range", key=b64("app/x"))
        except (OSError, http.client.HTTPException) as error:
            status, text = 0, str(error)
        checks.all("revoked: a connection that was idle", "is closed", None if status != 200 else text[:300])
        for name, process in processes.items():
            text = open(logs[name].name, errors="replace").read()
            ended_alone = process.poll() is not None
            # etcd's client tries to go on with a keep-alive for ever: what the lease has of it is looked at below.
            if name == "etcdctl watch":
                checks.all(f"revoked: {name}", "ends by itself with what the member told it", None if ended_alone else "it goes on",
                           unlike(text, "(?i)revoked|unauthenticated|bad certificate"))
        code, text, _ = run([tool("etcdctl"), *cluster.flags(files[:2], files[2]), "--command-timeout=2s", "get", "app/x"], cluster.home, within=8)
        checks.all("revoked: a new connection of gRPC", "is refused, and the log says why", None if code else text, unlike(cluster.log(), "(?i)revoked"))
        code, text, _ = run(["curl", "--silent", "--show-error", "--max-time", "5", "--cacert", files[2], "--cert", files[0], "--key", files[1], "--data", "{}",
                             f"{cluster.endpoint}/v3/maintenance/status"], cluster.home, within=8)
        checks.all("revoked: a new connection to the gateway", "is refused", None if code else text)
        until = time.monotonic() + 8
        while "already expired" not in (text := cluster.does("lease", "timetolive", f"{int(brief):x}")) and time.monotonic() < until:
            time.sleep(0.2)
        checks.all("revoked: etcdctl lease keep-alive", "keeps its lease of 3 s no longer", unlike(text, "already expired"))
        for process in processes.values():
            process.kill()
            process.wait()
        checks.all("revoked: another certificate of the same name", "loses no request", mine.stop())


def ends(checks, binary, directory):
    """A certificate of a few seconds: its connection is cut when it has ended, and new ones are refused."""
    with Cluster(binary, directory) as cluster:
        cluster.add_user("app")
        code, text, _ = cluster.try_command("pki", "issue", "--role", "client", "--name", "app", "--life", "4s", "--dir", os.path.join(directory, "short"))
        if code != 0:
            raise AssertionError(text)
        files = [os.path.join(directory, "short", file) for file in ("app.crt", "app.key", "root.crt")]
        end = ssl.cert_time_to_seconds(run(["openssl", "x509", "-noout", "-enddate", "-in", files[0]], cluster.home)[1].strip().split("=")[1])
        stream = Stream(cluster, files, "watch", {"create_request": {"key": b64("app/a")}})
        time.sleep(0.5)
        early = "cut before its end" if stream.ended else None
        time.sleep(max(0, end - time.time()) + 2.2)
        checks.all("a certificate that ends", "its watch is cut within two seconds", early, None if stream.ended else "it goes on", unlike(stream.text, "(?i)expired|ended"))
        code, text, seconds = cluster.try_command("get", "app/a", pair=files[:2])
        checks.all("a certificate that has ended", "is refused with the cause", None if code else "it is let in", unlike(text, "(?i)expired|ended"), seconds=seconds)
        cut = cluster.metric('strongroom_connections_cut_total{reason="expired"}')
        checks.all("strongroom_connections_cut_total", "counts it", None if cut and cut >= 1 else f"it is {cut}")
