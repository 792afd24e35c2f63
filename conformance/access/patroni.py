"""Patroni 4 with PostgreSQL on the v3 API through the JSON gateway, known by its client certificate alone.

What this is: two nodes on loopback elect a primary, the other becomes its replica, rows go in, the primary is killed, the other
takes over, the old one comes back as replica with everything. Patroni's user has a role for /service/ and nothing else. The real
etcd takes no certificate as a user at its gateway: there Patroni logs in with a password over the certificate without a name.

PostgreSQL refuses to run as root: the nodes run as the user postgres, below the part's directory.
"""

import glob
import json
import os
import pwd
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import member
from secure import NOBODY

SCOPE = "demo"
CONFIG = """
scope: {scope}
namespace: /service/
name: {name}
log: {{level: INFO}}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
etcd3:
  hosts: "127.0.0.1:{port}"
  protocol: https
  cacert: {directory}/ca.crt
  cert: {directory}/client.crt
  key: {directory}/client.key
{login}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 3
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      parameters: {{wal_keep_size: 128MB, fsync: "off", shared_buffers: 16MB, max_connections: 20}}
  initdb: [{{encoding: UTF8}}, data-checksums]
postgresql:
  listen: "127.0.0.1:{sql}"
  connect_address: "127.0.0.1:{sql}"
  data_dir: {directory}/data
  bin_dir: {bin}
  pgpass: {directory}/pgpass
  pg_hba: ["local all all trust", "host all all 127.0.0.1/32 md5", "host replication all 127.0.0.1/32 md5"]
  authentication:
    superuser: {{username: postgres, password: su}}
    replication: {{username: replicator, password: rep}}
    rewind: {{username: rewinder, password: rew}}
  parameters: {{unix_socket_directories: "{directory}"}}
"""


class Node:
    """One Patroni with its PostgreSQL."""

    def __init__(self, number, server, directory, ours):
        self.name, self.rest, self.sql = f"node{number}", 8008 + number, 5432 + number
        self.directory = os.path.join(directory, self.name)
        os.makedirs(self.directory)
        certificate, key = server.certificate("patroni" if ours else NOBODY)
        for source, target in ((server.issuer.certificate, "ca.crt"), (certificate, "client.crt"), (key, "client.key")):
            shutil.copy(source, os.path.join(self.directory, target))
        login = "" if ours else "  username: patroni\n  password: patroni's"
        with open(os.path.join(self.directory, "patroni.yml"), "w") as out:
            out.write(CONFIG.format(scope=SCOPE, name=self.name, rest=self.rest, sql=self.sql, port=server.client_port, directory=self.directory, login=login,
                                    bin=sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]))
        user = pwd.getpwnam("postgres")
        for path in [self.directory, *glob.glob(self.directory + "/*")]:
            os.chown(path, user.pw_uid, user.pw_gid)
        os.chmod(self.directory, 0o700)
        self.log_path, self.process = os.path.join(directory, self.name + ".log"), None

    def start(self):
        """Starts Patroni as postgres, in a session of its own so that all of it can be ended."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "/usr/bin/python3", "-m", "patroni", os.path.join(self.directory, "patroni.yml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": self.directory, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
                     "PYTHONPATH": os.path.join(os.path.dirname(self.directory), "packages")})

    def kill(self):
        """A power cut of the node: Patroni first, then every process of its PostgreSQL, none of them asked."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process = None
        try:
            postmaster = int(open(os.path.join(self.directory, "data", "postmaster.pid")).readline())
            children = open(f"/proc/{postmaster}/task/{postmaster}/children").read().split()
        except (OSError, ValueError):
            return
        for pid in (postmaster, *map(int, children)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def role(self):
        """primary or replica with its state, as its own REST interface says; or why not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/patroni", timeout=2) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            said = json.load(error)
        except OSError as error:
            return f"{self.name}: {error}"
        return f"{said.get('role')} {said.get('state')} {said.get('replication_state', '')}".strip()

    def query(self, text):
        """What psql prints for one statement; or its error."""
        done = subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(self.sql), "-U", "postgres", "-AtX", "-c", text, "postgres"], capture_output=True, text=True,
                              timeout=10, env={"PATH": os.environ["PATH"], "PGPASSWORD": "su", "PGCONNECT_TIMEOUT": "3"})
        return done.stdout.strip() if done.returncode == 0 else f"error: {done.stderr.strip()}"

    def tail(self):
        return open(self.log_path, errors="replace").read()[-1500:] if os.path.exists(self.log_path) else ""


class Reaper(threading.Thread):
    """Takes note of PostgreSQL's orphans that ended, as init would: this script is the first process of its namespace.

    Patroni waits for a server that it stops, and one that nobody takes note of stays.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.done = threading.Event()
        if os.getpid() == 1:
            self.start()

    def run(self):
        while not self.done.wait(0.1):
            for thread in glob.glob("/proc/1/task/*/children"):
                try:
                    orphans = [int(pid) for pid in open(thread).read().split() if open(f"/proc/{pid}/comm").read().startswith("postgres")]
                    for pid in orphans:
                        os.waitpid(pid, os.WNOHANG)
                except OSError:
                    continue


def part(report, server, directory, ours):
    server.add_user("patroni", "/service/", password=None if ours else "patroni's")
    # Where this tree lies may be closed to the user postgres; the part's directory is not.
    shutil.copytree(glob.glob(os.path.join(member.TARGET, "access", "venv", "lib", "python3*", "site-packages"))[0], os.path.join(directory, "packages"))
    first, second = nodes = [Node(n, server, directory, ours) for n in range(2)]
    reaper = Reaper()
    try:
        story(report, server, first, second, ours)
        if report.failed:
            for node in nodes:
                print(f"  the end of {node.name}'s log:\n{node.tail()}")
    finally:
        for node in nodes:
            node.kill()
        reaper.done.set()


def story(report, server, first, second, ours):
    def becomes(node, role):
        return lambda: None if node.role().startswith(role) else f"{node.role()}; its log ends: {node.tail()[-300:]}"

    def answers(node, statement, wanted):
        return lambda: None if node.query(statement) == wanted else node.query(statement)[:200]

    first.start()
    if not report.until("Patroni: the first node becomes primary", becomes(first, "primary running"), 60):
        return
    second.start()
    if not report.until("Patroni: the second becomes its replica", becomes(second, "replica running streaming"), 60):
        return
    made = first.query("create table t (n int); insert into t select generate_series(1, 1000); select count(*) from t")
    report.check("Patroni: writes on the primary", None if made.endswith("1000") else made)
    report.until("Patroni: they arrive at the replica", answers(second, "select sum(n) from t", "500500"), 20)
    report.check("Patroni: the replica takes none", None if "read-only" in second.query("insert into t values (1)") else "it did")
    walls(report, server, ours)
    first.kill()
    report.until("Patroni: after the primary's sudden end the other takes over", becomes(second, "primary running"), 60)
    report.check("Patroni: with everything", None if second.query("select sum(n) from t") == "500500" else second.query("select sum(n) from t"))
    wrote = second.query("insert into t values (1001); select count(*) from t")
    report.check("Patroni: and goes on writing", None if wrote.endswith("1001") else wrote)
    first.start()
    report.until("Patroni: the old primary comes back as replica", becomes(first, "replica running streaming"), 90)
    report.until("Patroni: and has what it missed", answers(first, "select count(*), max(n) from t", "1001|1001"), 20)
    server.kill()
    time.sleep(2)
    server.start()
    # Longer than a loop and its retries: what is asked next is what the store's end led to.
    time.sleep(5)
    report.until("Patroni: after a sudden end of the store the primary is primary", becomes(second, "primary running"), 60)
    wrote = second.query("insert into t values (1002); select count(*) from t")
    report.check("Patroni: and writes", None if wrote.endswith("1002") else wrote)
    keys = server.administrate("get", "", "--prefix", "--keys-only").split()
    report.check("Patroni: all its keys are below its prefix", None if keys and all(k.startswith("/service/demo/") for k in keys) else str(keys))


def walls(report, server, ours):
    """What its certificate, or its password, may not."""
    more = {} if ours else {"ETCDCTL_USER": "patroni", "ETCDCTL_PASSWORD": "patroni's"}
    who = "patroni" if ours else NOBODY
    mine = server.etcdctl(who, "get", "/service/", "--prefix", "--keys-only", **more)
    report.check("Patroni: its user reads its own", None if "/service/demo/leader" in mine.stdout else mine.stderr[-300:])
    for words in (["get", "", "--prefix"], ["put", "/other", "x"], ["user", "list"], ["get", "/registry/", "--prefix"]):
        done = server.etcdctl(who, *words, **more)
        report.check(f"Patroni: its user may not {' '.join(words)}", None if done.returncode and "permission denied" in done.stderr
                     else done.stdout[-200:] + done.stderr[-200:])
