"""Mistakes with certificates: each answered in under a second, with the cause and the fix, on both ends and in the server's log.

What this is: a member made by `strongroom up`, and clients (real etcdctl, curl, our own) that come with no certificate, a
stranger's, an ended one, one for servers, to a name that is not in the server's, without trust in it, in clear text, or with TLS
to a port without. What other people's clients say of what happens on their own side is theirs; there the server's log is looked at.
"""

import os
import re
import shutil
import signal
import ssl
import socket
import subprocess
import time
import urllib.request

from checks import fault, refused, run, unlike
from member import Member, tool
from pki import ENDED, TO_COME, Issuer
from ports import connect, say
from up import Up

SECONDS_MAX = 1.0
# A process and a Go runtime start in this time on a busy machine.
CLIENT_SECONDS_MAX = SECONDS_MAX + 0.5
# What a member's own authority says of an administrator.
ADMINISTRATOR = "URI:urn:strongroom:role:administrator"


def clients(checks, binary, server, issuer, directory):
    """Clients with the wrong certificate, at a member with its own authority, whose clients' issuer signs here."""
    root, admin, admin_key = (os.path.join(server.pki_dir, n) for n in ("root.crt", "administrator.crt", "administrator.key"))
    stranger = Issuer(os.path.join(directory, "stranger"))
    mistaken(checks, "strongroom", binary, server, server.endpoint, root, issuer, stranger, directory)
    untrusting(checks, binary, server, directory, stranger, (admin, admin_key))


def clients_of_etcd(checks, binary, directory):
    """The same clients, at an `etcd` with certificates of one CA, as kubeadm starts it."""
    issuer, stranger = Issuer(os.path.join(directory, "site")), Issuer(os.path.join(directory, "stranger"))
    certificate, key = issuer.leaf("server", "server", usage="serverAuth", names=("IP:127.0.0.1", "DNS:localhost"))
    url = "https://127.0.0.1:4443"
    flags = [f"--listen-client-urls=http://127.0.0.1:4379,{url}", f"--cert-file={certificate}", f"--key-file={key}",
             "--client-cert-auth", f"--trusted-ca-file={issuer.certificate}"]
    with Member(binary, directory, *flags, client_port=4379, peer_port=4380) as server:
        mistaken(checks, "etcd", binary, server, url, issuer.certificate, issuer, stranger, directory)


def mistaken(checks, personality, binary, server, endpoint, root, issuer, stranger, directory):
    """Clients without a certificate that the member takes."""
    # The log holds at most so many lines about rejected connections in a second; cases before this one may have used them up.
    time.sleep(1.1)
    good = issuer.leaf("good", "root", names=(ADMINISTRATOR,), chain=True)
    cases = (
        ("no client certificate", None, "(?i)certificate", r"--cert\b", "client didn't provide a certificate"),
        (
            "certificate of a stranger's CA",
            stranger.leaf("client", "root"),
            "(?i)unknown authority|does not know the CA",
            "trusted-ca-file|another certificate|client CA",
            "unknown authority",
        ),
        ("certificate that has ended", issuer.leaf("ended", "root", time=ENDED, chain=True), "(?i)expired|ended", "(?i)renew", "expired"),
        (
            "certificate that has not begun",
            issuer.leaf("early", "root", time=TO_COME, chain=True),
            "(?i)not yet valid",
            "(?i)clock",
            "not yet valid",
        ),
        (
            "certificate made for servers",
            issuer.leaf("server", "root", usage="serverAuth", chain=True),
            "(?i)key usage",
            "clientAuth",
            "key usage",
        ),
    )
    for name, pair, cause, step, logged in cases:
        identity = [] if pair is None else ["--cert", pair[0], "--key", pair[1]]
        for client, command in (
            ("etcdctl", [tool("etcdctl"), "--endpoints", endpoint, "--cacert", root, *identity, "get", "a"]),
            (
                "curl",
                [
                    "curl",
                    "--silent",
                    "--show-error",
                    "--max-time",
                    "5",
                    "--cacert",
                    root,
                    *identity,
                    "--write-out",
                    "\nstatus=%{http_code}\n",
                    f"{endpoint}/version",
                ],
            ),
            ("strongroom", [binary, "--endpoints", endpoint, "--cacert", root, *identity, "get", "a"]),
        ):
            before = os.path.getsize(server.log_path)
            # Without a certificate ours would take the made one from its profile; a home without a profile has none.
            code, text, seconds = run(command, os.path.join(directory, "no-profile"), within=8)
            failed = code != 0 or re.search(r"status=4\d\d", text)
            checks.all(
                f"{personality}: {name}, {client}",
                f"an answer in under a second that names /{cause}/ and /{step}/",
                None if failed else f"it was let in: {text[-300:]}",
                None if seconds < CLIENT_SECONDS_MAX else f"took {seconds:.1f} s: {text[-600:]}",
                unlike(text, cause, step) if seconds < CLIENT_SECONDS_MAX else None,
                seconds=seconds,
            )
        checks.all(f"{personality}: {name}, the server's log", "a line with the cause and a hint", logged_within(server, before, logged))
    code, text, _ = run(
        [tool("etcdctl"), "--endpoints", endpoint, "--cacert", root, "--cert", good[0], "--key", good[1], "get", "a"], directory, within=8
    )
    checks.all(
        f"{personality}: certificate of the clients' issuer", "let in, so that the cases above mean something", None if code == 0 else text[-500:]
    )


def logged_within(server, before, pattern, seconds=1.0):
    """Waits for a line with a cause and a hint in the log; returns a problem or None."""
    until = time.monotonic() + seconds
    while True:
        said = server.log(before) if hasattr(server, "log") else open(server.log_path, errors="replace").read()[before:]
        lines = [line for line in said.splitlines() if re.search(pattern, line)]
        if any('"hint":"' in line for line in lines):
            return None
        if time.monotonic() > until:
            return f'no line with /{pattern}/ and a field "hint" in:\n{said[-1500:]}'
        time.sleep(0.02)


def untrusting(checks, binary, server, directory, stranger, identity):
    """Clients that have no reason to trust the server."""
    pair = ["--cert", identity[0], "--key", identity[1]]
    before = os.path.getsize(server.log_path)
    code, text, seconds = run([binary, "--endpoints", server.endpoint, "--cacert", stranger.certificate, *pair, "get", "a"], directory, within=8)
    checks.all(
        "client with the wrong CA, strongroom",
        "fails in under a second, naming the cause and --cacert",
        None if code else "it went on",
        None if seconds < CLIENT_SECONDS_MAX else f"took {seconds:.1f} s",
        unlike(text, "(?i)unknown.*issuer|unknown authority|not trust|does not know", "--cacert"),
        fault(text),
        seconds=seconds,
    )
    checks.all(
        "client with the wrong CA, the server's log",
        "a line with the cause and a hint that names --cacert",
        logged_within(server, before, "--cacert"),
    )
    for client, command in (
        ("etcdctl", [tool("etcdctl"), "--endpoints", f"http://127.0.0.1:{server.client_port}", "get", "a"]),
        ("strongroom", [binary, "--endpoints", f"http://127.0.0.1:{server.client_port}", "get", "a"]),
    ):
        code, text, seconds = run(command, os.path.join(directory, "no-profile"), within=8)
        checks.all(
            f"clear text to the TLS port, {client}",
            "fails in under a second, naming https",
            None if code else "it went on",
            None if seconds < CLIENT_SECONDS_MAX else f"took {seconds:.1f} s",
            unlike(text, "(?i)clear text|https|TLS"),
            fault(text),
            seconds=seconds,
        )
    before = os.path.getsize(server.log_path)
    began = time.monotonic()
    answer = say(server.client_port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", wait=2).decode(errors="replace")
    checks.all(
        "clear HTTP to the TLS port",
        "HTTP 400 in under a second that names https and the CA",
        unlike(answer, "^HTTP/1.[01] 400", "https://", "(?i)--cacert"),
        None if time.monotonic() - began < SECONDS_MAX else "too slow",
    )
    checks.all("clear HTTP to the TLS port, the server's log", "a line with a hint that names https", logged_within(server, before, "https://"))


def tls_on_clear(checks, binary, clear, directory):
    """TLS to a port without."""
    before = os.path.getsize(clear.log_path)
    context = ssl.create_default_context()
    began = time.monotonic()
    try:
        with context.wrap_socket(connect(clear.client_port), server_hostname="localhost"):
            problem = "a handshake succeeded"
    except ssl.SSLError:
        problem = None
    except OSError as error:
        problem = None if isinstance(error, ConnectionError) else str(error)
    checks.all("TLS to the clear port", "ended in under a second", problem, None if time.monotonic() - began < SECONDS_MAX else "too slow")
    answer = say(clear.client_port, b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"\0" * 200, wait=2).decode(errors="replace")
    checks.all("TLS to the clear port, the bytes", "HTTP 400 that explains itself", unlike(answer, "^HTTP/1.[01] 400", "http://"))
    checks.all("TLS to the clear port, the server's log", "a line with a hint that names http://", logged_within(clear, before, "http://"))
    code, text, seconds = run(
        [
            binary,
            "--endpoints",
            f"https://127.0.0.1:{clear.client_port}",
            "--cacert",
            Issuer(os.path.join(directory, "any")).certificate,
            "get",
            "a",
        ],
        directory,
        within=8,
    )
    checks.all(
        "TLS to the clear port, strongroom",
        "fails in under a second, naming clear text or http://",
        None if code else "it went on",
        None if seconds < CLIENT_SECONDS_MAX else f"took {seconds:.1f} s",
        unlike(text, "(?i)http://|clear|without TLS|not.*TLS"),
        fault(text),
        seconds=seconds,
    )


def shown(port):
    """The certificate a server shows, as DER, whoever signed it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=2) as raw, context.wrap_socket(raw) as s:
        return s.getpeercert(binary_form=True)


def made_user(binary, directory):
    """The user that a site's certificates name, made while the member's own authority is the clients': a site's makes no administrator."""
    with Up(binary, directory, client_port=4379, peer_port=4380) as server:
        for words in (["user", "add", "app", "--no-password"], ["role", "add", "app"], ["user", "grant-role", "app", "app"],
                      ["role", "grant-permission", "app", "readwrite", "", "--prefix"]):
            code, text, _ = run([binary, *server.client_flags(), *words], directory, within=8)
            if code != 0:
                raise SystemExit(f"{' '.join(words)} failed: {text}")


def servers(checks, binary, etcd, directory):
    """Certificates of the server's side: a wrong name, an ended one, ones that do not fit, and new ones by SIGHUP."""
    issuer = Issuer(os.path.join(directory, "site"))
    client = issuer.leaf("client", "app")
    elsewhere = issuer.leaf("elsewhere", "elsewhere", usage="serverAuth", names=("DNS:elsewhere.example",))
    here = issuer.leaf("here", "here", usage="serverAuth", names=("DNS:localhost", "IP:127.0.0.1"))
    ended = issuer.leaf("ended", "ended", usage="serverAuth", names=("IP:127.0.0.1",), time=ENDED)
    certificate, key = os.path.join(directory, "serving.crt"), os.path.join(directory, "serving.key")
    flags = ["--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", issuer.certificate]

    def lay(pair):
        """As an operator would: new files moved over the old."""
        for source, target in zip(pair, (certificate, key)):
            shutil.copy(source, target + ".new")
            os.rename(target + ".new", target)

    mine = ["--cacert", issuer.certificate, "--cert", client[0], "--key", client[1]]
    made_user(binary, os.path.join(directory, "files"))
    lay(elsewhere)
    with Up(binary, os.path.join(directory, "files"), *flags, client_port=4379, peer_port=4380) as server:
        get = [binary, "--endpoints", server.endpoint, *mine, "get", "a"]
        before = os.path.getsize(server.log_path)
        code, text, seconds = run(get, directory, within=8)
        checks.all(
            "server certificate for another name, strongroom",
            "fails in under a second, naming both names",
            None if code else "it went on",
            None if seconds < CLIENT_SECONDS_MAX else f"took {seconds:.1f} s",
            unlike(text, r"elsewhere\.example", r"127\.0\.0\.1"),
            fault(text),
            seconds=seconds,
        )
        checks.all(
            "server certificate for another name, the server's log",
            "a line with a hint that names the certificate's names",
            logged_within(server, before, r"elsewhere\.example"),
        )
        old = shown(server.client_port)
        lay(here)
        server.process.send_signal(signal.SIGHUP)
        until, new = time.monotonic() + 2, old
        while new == old and time.monotonic() < until:
            time.sleep(0.05)
            new = shown(server.client_port)
        wanted = ssl.PEM_cert_to_DER_cert(open(here[0]).read())
        checks.all(
            "SIGHUP after new certificate files",
            "the next handshakes show the new one",
            None if new == wanted else "still the old one after 2 s",
        )
        code, text, _ = run([*get[:-2], "put", "a", "b"], directory, within=8)
        checks.all("SIGHUP after new certificate files", "clients that trust it are served", None if code == 0 else text[-500:])
        before = os.path.getsize(server.log_path)
        with open(certificate, "w") as out:
            out.write("nothing that is a certificate\n")
        server.process.send_signal(signal.SIGHUP)
        problem = logged_within(server, before, r"serving\.crt", seconds=2)
        checks.all(
            "SIGHUP with a broken certificate file",
            "the old one stays in use, and the log says what is wrong with a hint",
            problem,
            None if server.process.poll() is None and shown(server.client_port) == wanted else "the old one is not shown any more",
        )
        lay(ended)
        before = os.path.getsize(server.log_path)
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        code, text, seconds = run(get, directory, within=8)
        alive = server.process.poll() is None
        checks.all(
            "server certificate that has ended",
            "either not taken, or named as ended by strongroom in under a second; the server lives",
            None if alive else "it ended",
            None if code == 0 or re.search("(?i)expired|ended", text) else text[-600:],
            None if seconds < CLIENT_SECONDS_MAX else f"took {seconds:.1f} s",
            unlike(server.log(before), r"(?i)(expired|ended|no longer valid)[^\n]*hint"),
            fault(server.log()),
        )
    lay((here[0], elsewhere[1]))
    base = [binary, "up", "--data-dir", os.path.join(directory, "mismatch"), "--listen", "127.0.0.1:4379", "--listen-peer", "127.0.0.1:4380"]
    refused(checks, "server certificate with another one's key", [*base, *flags], directory, 1, r"serving\.(crt|key)", r"next: .{10}")
    own_files(checks, etcd, directory, issuer, here)
    lay(here)
    os.chmod(key, 0o644)
    code, text, _ = run([*base, *flags], directory, within=2)
    checks.all(
        "server key that everybody can read",
        "refused or warned of, naming the file and chmod",
        unlike(text, r"serving\.key", "chmod"),
        fault(text),
    )


def own_files(checks, etcd, directory, issuer, good):
    """What people bring as certificate and key to `etcd`: each mistake is named with its file and the step, before a port is open."""
    certificate, key = good
    encrypted, request = os.path.join(directory, "encrypted.key"), os.path.join(directory, "request.csr")
    for command in (
        ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", encrypted],
        ["openssl", "req", "-new", "-key", key, "-subj", "/CN=x", "-out", request],
    ):
        code, text, _ = run(command, directory)
        if code != 0:
            raise SystemExit(f"{command[1]}: {text}")
    url = "https://127.0.0.1:4379"
    base = [etcd, "--data-dir", os.path.join(directory, "brought"), f"--listen-client-urls={url}", f"--advertise-client-urls={url}"]
    for name, pair, ca, cause, step in (
        ("key with a passphrase", (certificate, encrypted), issuer.certificate, r"encrypted\.key.*passphrase", "openssl pkey"),
        ("request instead of a certificate", (request, key), issuer.certificate, r"request\.csr.*certificate request", '"hint":"name the PEM'),
        ("certificate and key swapped", (key, certificate), issuer.certificate, "it holds a private key, no certificate", '"hint":"name the PEM'),
        ("key instead of the clients' CA", (certificate, key), key, "client CA .*it holds a private key", '"hint":"name the PEM file of the CA'),
        ("clients' CA that is not there", (certificate, key), f"{directory}/no-ca.crt", r"no-ca\.crt: no such file", '"hint":"check the path'),
    ):
        flags = [f"--cert-file={pair[0]}", f"--key-file={pair[1]}", f"--trusted-ca-file={ca}"]
        refused(checks, f"etcd: {name}", [*base, *flags], directory, 1, cause, step)


def revoked(checks, binary, reference, directory):
    """`--client-crl-file` keeps out the certificates on the list at their next handshake, in etcd and here, and nobody else."""
    issuer = Issuer(os.path.join(directory, "revoking"))
    certificate, key = issuer.leaf("server", "server", usage="serverAuth", names=("IP:127.0.0.1",))
    good, bad = issuer.leaf("good", "good"), issuer.leaf("bad", "bad")
    url = "https://127.0.0.1:4443"
    flags = [
        f"--listen-client-urls=http://127.0.0.1:4379,{url}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        "--client-cert-auth",
        f"--trusted-ca-file={issuer.certificate}",
        f"--client-crl-file={issuer.revocations('bad')}",
    ]
    for what, program in (("real etcd", reference), ("ours", binary)):
        with Member(program, os.path.join(directory, what.replace(" ", "-")), *flags, client_port=4379, peer_port=4380) as server:
            before = os.path.getsize(server.log_path)
            ask = [tool("etcdctl"), "--endpoints", url, "--cacert", issuer.certificate, "--command-timeout=2s"]
            let_in, kept_out = (run([*ask, "--cert", c, "--key", k, "get", "a"], directory, within=8) for c, k in (good, bad))
            checks.all(
                f"revoked client certificate, {what}",
                "kept out; another one of the same issuer is let in",
                None if let_in[0] == 0 else f"the good one is kept out: {let_in[1][-400:]}",
                None if kept_out[0] else "the revoked one is let in",
                logged_within(server, before, "revo") if what == "ours" else None,
            )


def revoked_while_standing(checks, binary, directory):
    """A watch of the real etcdctl whose certificate is revoked while it stands: cut within a second, with the reason; others stay."""
    issuer = Issuer(os.path.join(directory, "standing"))
    certificate, key = issuer.leaf("server", "server", usage="serverAuth", names=("IP:127.0.0.1",))
    good, bad = issuer.leaf("good", "good"), issuer.leaf("bad", "bad")
    url = "https://127.0.0.1:4443"
    crl = issuer.revocations(number=1)
    flags = [f"--listen-client-urls=http://127.0.0.1:4379,{url}", f"--cert-file={certificate}", f"--key-file={key}",
             "--client-cert-auth", f"--trusted-ca-file={issuer.certificate}", f"--client-crl-file={crl}"]
    with Member(binary, os.path.join(directory, "member"), *flags, client_port=4379, peer_port=4380) as server:

        def etcdctl(pair, *words):
            command = [tool("etcdctl"), "--endpoints", url, "--cacert", issuer.certificate, "--cert", pair[0], "--key", pair[1], *words]
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        def scraped():
            with urllib.request.urlopen(f"{server.endpoint}/metrics", timeout=2) as answer:
                return answer.read().decode()

        standing = [etcdctl(bad, "watch", "a"), etcdctl(bad, "watch", "", "--prefix"), etcdctl(bad, "elect", "--listen", "e")]
        witness = etcdctl(good, "watch", "a")
        until = time.monotonic() + 5
        while "strongroom_connections 5" not in scraped() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.3)
        for how, names, number in (("an old list", (), 0), ("SIGHUP", ("bad",), 2)):
            before = os.path.getsize(server.log_path)
            issuer.revocations(*names, number=number)
            began = time.monotonic()
            server.process.send_signal(signal.SIGHUP)
            if not names:
                checks.all(
                    "an old revocation list in place of the one in use",
                    "refused with file, both numbers and a hint; nobody is cut",
                    logged_within(server, before, r"revoked\.crl.*is an old one: number 0x0", seconds=2),
                    None if all(each.poll() is None for each in standing) else "somebody was cut",
                )
                continue
            texts = []
            for each in standing[:2]:
                try:
                    texts.append(each.communicate(timeout=5)[0].decode(errors="replace"))
                except subprocess.TimeoutExpired:
                    texts.append("it went on")
            took = time.monotonic() - began
            cut = re.search(r'strongroom_connections_cut_total\{reason="revoked"\} (\d+)', scraped())
            checks.all(
                f"a certificate revoked while its watches stand, {how}",
                "cut within a second, with the reason; counted, and said in the log with its name",
                None if took < SECONDS_MAX + 0.5 else f"took {took:.1f} s",
                None if all("client certificate was revoked" in text for text in texts) else f"no reason: {texts}",
                None if cut and int(cut.group(1)) == 3 else f"counted: {cut and cut.group(0)}",
                logged_within(server, before, "no longer accepted.*bad|bad.*no longer accepted", seconds=2),
                None if witness.poll() is None else "the watch of another certificate ended too",
                seconds=took,
            )
        for each in (*standing, witness):
            if each.poll() is None:
                each.kill()
                each.communicate()


def lists(checks, binary, etcd, directory):
    """Revocation lists that a start refuses: forged, stale, none; as etcd a stale one is taken with a warning."""
    issuer, stranger = Issuer(os.path.join(directory, "site")), Issuer(os.path.join(directory, "stranger"))
    certificate, key = issuer.leaf("server", "server", usage="serverAuth", names=("IP:127.0.0.1", "DNS:localhost"))
    stale = issuer.revocations(number=3, due="20200201000000Z", path=os.path.join(directory, "stale.crl"))
    forged = stranger.revocations(path=os.path.join(directory, "forged.crl"))
    up = [binary, "up", "--data-dir", os.path.join(directory, "data"), "--listen", "127.0.0.1:4379", "--listen-peer", "127.0.0.1:4380",
          "--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", issuer.certificate]
    url = "https://127.0.0.1:4443"
    as_etcd = [f"--listen-client-urls=http://127.0.0.1:4379,{url}", f"--cert-file={certificate}", f"--key-file={key}", "--client-cert-auth",
               f"--trusted-ca-file={issuer.certificate}"]
    base = [etcd, "--data-dir", os.path.join(directory, "as-etcd"), f"--advertise-client-urls={url}"]
    for name, crl, cause, step in (
        ("forged", forged, r"forged\.crl.*(forged|no CA of the client CA bundle)", "openssl crl"),
        ("a certificate instead", issuer.certificate, r"no revocation list in", "next: .{10}|hint"),
    ):
        refused(checks, f"revocation list: {name}", [*up, "--tls-client-crl", crl], directory, 1, cause, step)
        refused(checks, f"etcd: revocation list: {name}", [*base, *as_etcd, f"--client-crl-file={crl}"], directory, 1, cause, "hint")
    refused(checks, "revocation list: stale", [*up, "--tls-client-crl", stale], directory, 1, r"stale\.crl.*stale: a newer one was due on 2020-02-01", "gencrl")
    with Member(etcd, os.path.join(directory, "taken"), *as_etcd, f"--client-crl-file={stale}", client_port=4379, peer_port=4380) as server:
        with urllib.request.urlopen(f"{server.endpoint}/metrics", timeout=2) as answer:
            shown = re.search(r'expires_in_seconds\{kind="revocation_list"[^\n]* -', answer.read().decode())
        checks.all(
            "etcd: revocation list: stale",
            "taken, as etcd does, with a warning and a metric",
            logged_within(server, 0, "revocation list is stale; it stays in force", seconds=3),
            None if shown else "no metric says that it is over",
        )
