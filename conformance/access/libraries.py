"""Python etcd3 and etcd3gw as users: runs python/use_*.py with the client libraries of conformance/clients.

Never: checks anything itself; the lines of these programs are the checks.
"""

import json
import os
import subprocess

import member
from secure import NOBODY

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT_S = 120


def part(report, server, directory, ours):
    server.add_user("alice", "/alice/", "/locks/alice", password="alice's")
    server.add_user("bob", "/bob/", password="bob's")
    server.add_user("blind")
    server.administrate("role", "grant-permission", "blind", "write", "/blind/", "--prefix")
    certificates = json.dumps({name: server.certificate(name) for name in ("root", "alice", "bob", "blind", NOBODY)})
    common = ["127.0.0.1", str(server.client_port), server.issuer.certificate, certificates]
    program(report, "use_etcd3.py", *common, "yes" if ours else "no")
    for way in ("certificate", "token") if ours else ("token",):
        program(report, "use_etcd3gw.py", *common, way)


def program(report, name, *arguments):
    """One of the programs: its lines are taken as checks."""
    python = os.path.join(member.TARGET, "clients", "venv", "bin", "python")
    env = {k: v for k, v in os.environ.items() if k not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")}
    try:
        done = subprocess.run([python, os.path.join(HERE, "python", name), *arguments], env={**env, "PYTHONDONTWRITEBYTECODE": "1"},
                              capture_output=True, text=True, timeout=LIMIT_S)
        text, ended = done.stdout, f"ended with {done.returncode}: {done.stderr[-500:]}"
    except subprocess.TimeoutExpired as late:
        text, ended = (late.stdout or b"").decode(errors="replace"), f"did not end within {LIMIT_S} s"
    lines = [line for line in text.splitlines() if line.startswith(("ok ", "FAIL "))]
    for line in lines:
        good, what = line.split(" ", 1)
        report.check(what if good == "ok" else what.split(":")[0], None if good == "ok" else what)
    if not lines or not ended.startswith(("ended with 0", "ended with 1")):
        report.check(f"{name} gets to its end", ended)
