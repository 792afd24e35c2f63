"""CoreDNS with its etcd plugin: a client certificate whose user may read below /skydns/, and nothing more.

What this is: CoreDNS serves one zone from /skydns and, with the same certificate, another from a path that its user has no right
to. dig asks; records are put with etcdctl by somebody else, who may write there.

Never: asks anything but CoreDNS on loopback.
"""

import os
import re
import subprocess

import member

PORT = 1053
ZONE, FORBIDDEN = "zone.test", "forbidden.test"
BLOCK = """{zone}:{port} {{
    bind 127.0.0.1
    errors
    etcd {{
        path {path}
        endpoint {endpoint}
        tls {certificate} {key} {ca}
    }}
}}
"""


def ask(name, kind="A"):
    """(status, the answers' data) as dig has them."""
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(PORT), "+time=3", "+tries=1", "+nocookie", name, kind], capture_output=True, text=True, timeout=10)
    status = re.search(r"status: (\w+)", done.stdout)
    answers = re.search(r";; ANSWER SECTION:\n(.*?)\n\n", done.stdout, re.S)
    return status.group(1) if status else "none", sorted(line.split(None, 4)[4] for line in answers.group(1).splitlines()) if answers else []


def expect(name, kind, status, *answers):
    """A condition: what dig has to see."""

    def condition():
        found = ask(name, kind)
        return None if found == (status, sorted(answers)) else f"{kind} {name}: {found}, not {(status, sorted(answers))}"

    return condition


def part(report, server, directory, ours):
    server.administrate("user", "add", "dns", "--no-password")
    server.administrate("role", "add", "dns")
    server.administrate("role", "grant-permission", "dns", "read", "/skydns/", "--prefix")
    server.administrate("user", "grant-role", "dns", "dns")
    server.add_user("registrar", "/skydns/")
    certificate, key = server.certificate("dns")
    with open(os.path.join(directory, "Corefile"), "w") as out:
        for zone, path in ((ZONE, "/skydns"), (FORBIDDEN, "/other")):
            out.write(BLOCK.format(zone=zone, port=PORT, path=path, endpoint=server.endpoint, certificate=certificate, key=key, ca=server.issuer.certificate))
    log_path = os.path.join(directory, "coredns.log")
    with open(log_path, "wb") as log:
        process = subprocess.Popen([os.path.join(member.TARGET, "access", "coredns"), "-conf", os.path.join(directory, "Corefile")],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory)
    try:
        answers(report, server, log_path)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(report, server, log_path):
    def put(key, value, by="registrar"):
        done = server.etcdctl(by, "put", key, value)
        return None if done.returncode == 0 else done.stderr[-300:]

    report.check("CoreDNS: its records are put by a user who may", put("/skydns/test/zone/a", '{"host":"10.1.2.3","ttl":60}')
                 or put("/skydns/test/zone/six", '{"host":"fd00::1"}') or put("/skydns/test/zone/alias", '{"host":"a.zone.test"}')
                 or put("/skydns/test/zone/text", '{"text":"hello"}')
                 or put("/skydns/test/zone/web/x1", '{"host":"10.1.2.4","port":8080}') or put("/skydns/test/zone/web/x2", '{"host":"10.1.2.5","port":8081}'))
    report.check("CoreDNS: records of others are put by root", put("/other/test/forbidden/a", '{"host":"10.9.9.9"}', "root"))
    report.until("CoreDNS: an A record", expect("a.zone.test", "A", "NOERROR", "10.1.2.3"), 15)
    report.until("CoreDNS: an AAAA record", expect("six.zone.test", "AAAA", "NOERROR", "fd00::1"), 5)
    report.until("CoreDNS: a name that names another", expect("alias.zone.test", "A", "NOERROR", "a.zone.test.", "10.1.2.3"), 5)
    report.until("CoreDNS: a TXT record", expect("text.zone.test", "TXT", "NOERROR", '"hello"'), 5)
    report.until("CoreDNS: SRV records", expect("web.zone.test", "SRV", "NOERROR", "10 50 8080 x1.web.zone.test.", "10 50 8081 x2.web.zone.test."), 5)
    report.until("CoreDNS: a name that is not there", expect("none.zone.test", "A", "NXDOMAIN"), 5)
    report.check("CoreDNS: a record changes", put("/skydns/test/zone/a", '{"host":"10.1.2.33"}'))
    report.until("CoreDNS: the changed record", expect("a.zone.test", "A", "NOERROR", "10.1.2.33"), 5)
    report.until("CoreDNS: nothing outside its prefix", expect("a.forbidden.test", "A", "SERVFAIL"), 5)
    told = open(log_path, errors="replace").read()
    report.check("CoreDNS: is told why", None if "permission denied" in told else told[-500:])
    denied = server.etcdctl("dns", "put", "/skydns/test/zone/a", "{}")
    report.check("CoreDNS: its certificate may not write", None if "permission denied" in denied.stderr else denied.stderr[-300:] or "it was let in")
    server.administrate("user", "revoke-role", "dns", "dns")
    report.until("CoreDNS: no answers once its role is revoked", expect("a.zone.test", "A", "SERVFAIL"), 3)
    report.until("CoreDNS: none for records that were asked for before either", expect("web.zone.test", "SRV", "SERVFAIL"), 3)
    server.administrate("user", "grant-role", "dns", "dns")
    report.until("CoreDNS: answers when it has its role again", expect("a.zone.test", "A", "NOERROR", "10.1.2.33"), 5)
    server.stop()
    down = ask("a.zone.test")
    report.check("CoreDNS: no answers while the server is down", None if down[0] in ("SERVFAIL", "none") and not down[1] else str(down))
    server.start()
    report.until("CoreDNS: answers when the server is there again", expect("a.zone.test", "A", "NOERROR", "10.1.2.33"), 20)
