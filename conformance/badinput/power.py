"""Sudden and orderly ends, and a full disk: nothing acknowledged is lost.

What this is: writers put through the JSON gateway on connections they keep, note every put that was answered, and after the end
and a new start each of these must be there. As `etcd`, because that name has the gateway on.
"""

import base64
import http.client
import json
import os
import signal
import subprocess
import threading
import time

import wire
from checks import fault, run, unlike
from member import Member, tool
from ports import connect
from up import Up, clean_environment

ROUNDS = 3
WRITERS = 8
LOAD_SECONDS = 0.8
STOP_SECONDS_MAX = 5


def b64(text):
    return base64.b64encode(text.encode()).decode()


def call(connection, path, body):
    """One request of the gateway: (HTTP status, parsed answer)."""
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text or b"{}")


class Load:
    """Writers that put until the server is gone; what was acknowledged is kept."""

    def __init__(self, port, prefix):
        self.port, self.prefix, self.acknowledged, self.odd = port, prefix, {}, []
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(n,), daemon=True) for n in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, writer):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        n = 0
        try:
            while not self.ends.is_set():
                key, value = f"{self.prefix}/{writer}/{n}", f"{writer}-{n}-" + "v" * (n % 700)
                status, answer = call(connection, "/v3/kv/put", {"key": b64(key), "value": b64(value)})
                if status != 200:
                    self.odd.append(f"{status} {answer}")
                    return
                self.acknowledged[key] = value
                n += 1
        except (OSError, http.client.HTTPException, ValueError):
            pass

    def join(self):
        self.ends.set()
        for thread in self.threads:
            thread.join(10)


def stored(port, prefix):
    """Everything below a prefix, as the server has it now."""
    connection, found, start = http.client.HTTPConnection("127.0.0.1", port, timeout=20), {}, prefix + "/"
    while True:
        status, answer = call(connection, "/v3/kv/range", {"key": b64(start), "range_end": b64(prefix + "0"), "limit": 2000})
        if status != 200:
            raise SystemExit(f"reading back: {status} {answer}")
        kvs = answer.get("kvs", [])
        for kv in kvs:
            found[base64.b64decode(kv["key"]).decode()] = base64.b64decode(kv.get("value", "")).decode()
        if not answer.get("more"):
            return found
        start = base64.b64decode(kvs[-1]["key"]).decode() + "\0"


def missing(acknowledged, port, prefix):
    """A problem if one acknowledged put is not there with its value."""
    found = stored(port, prefix)
    lost = [k for k, v in acknowledged.items() if found.get(k) != v]
    return f"{len(lost)} of {len(acknowledged)} acknowledged puts are gone, such as {lost[:3]}" if lost else None


def killed(checks, binary, directory):
    """kill -9 under load, three times on one directory, each with keys of its own."""
    server = Member(binary, os.path.join(directory, "killed"), client_port=4379, peer_port=4380)
    rounds = {}
    try:
        for n in range(ROUNDS):
            load = Load(server.client_port, f"load{n}")
            time.sleep(LOAD_SECONDS)
            server.kill()
            load.join()
            rounds[load.prefix] = load.acknowledged
            began = time.monotonic()
            server.start()
            took = time.monotonic() - began
            problems = [missing(acknowledged, server.client_port, prefix) for prefix, acknowledged in rounds.items()]
            count = sum(map(len, rounds.values()))
            checks.all(
                f"kill -9 under load, time {n + 1}",
                f"all {count} acknowledged puts are there after the next start",
                *problems,
                None if load.acknowledged else "nothing was written",
                "\n".join(load.odd[:3]),
                fault(log_of(server)),
                seconds=took,
            )
        load = Load(server.client_port, "orderly")
        time.sleep(LOAD_SECONDS / 2)
        seconds, code = server.stop()
        load.join()
        checks.all(
            "SIGTERM under load",
            f"ends with exit code 0 within {STOP_SECONDS_MAX} s",
            ended(code, seconds),
            fault(log_of(server)),
            seconds=seconds,
        )
        server.start()
        checks.all(
            "SIGTERM under load, started again",
            f"all {len(load.acknowledged)} acknowledged puts are there",
            missing(load.acknowledged, server.client_port, "orderly"),
        )
    finally:
        server.kill()


def log_of(server):
    return open(server.log_path, errors="replace").read()


def ended(code, seconds):
    """Whether an end that was asked for was orderly."""
    if code != 0:
        return f"exit code {code} after {seconds:.1f} s"
    return None if seconds < STOP_SECONDS_MAX else f"took {seconds:.1f} s"


def asked_to_stop(checks, binary, directory):
    """SIGTERM and SIGINT as `strongroom`, with an open watch and a connection that says nothing."""
    server = Up(binary, os.path.join(directory, "stopped"), client_port=4379, peer_port=4380)
    try:
        for name, sign in (("SIGTERM", signal.SIGTERM), ("SIGINT", signal.SIGINT)):
            if server.process is None:
                server.start()
            flags = [tool("etcdctl"), *server.client_flags()]
            watch = subprocess.Popen(
                [*flags, "watch", "a"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment(directory)
            )
            code, text, _ = run([*flags, "put", "a", name], directory)
            with connect(server.client_port):
                server.process.send_signal(sign)
                seconds, got = server.stop()
            watch.kill()
            watch.wait()
            checks.all(
                f"{name} with an open watch and a silent connection",
                f"ends with exit code 0 within {STOP_SECONDS_MAX} s",
                ended(got, seconds),
                None if code == 0 else f"the put before failed: {text[-300:]}",
                fault(server.log()),
                seconds=seconds,
            )
    finally:
        server.kill()


def signals_at_once(checks, binary, directory):
    """A signal in the moment the log says that it serves: no moment may be left in which it ends the process as a fault would."""
    server = Up(binary, os.path.join(directory, "at-once"), client_port=4379, peer_port=4380)
    try:
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        lives = server.process.poll() is None
        checks.line("SIGHUP in the moment it is ready", "goes on", None if lives else f"ended with {server.process.poll()}")
        server.stop()
        server.start()
        seconds, code = server.stop()
        checks.line("SIGTERM in the moment it is ready", "ends with exit code 0", ended(code, seconds))
    finally:
        server.kill()


DISK_BYTES = 288 << 20
VALUE_BYTES = 1_400_000


def mounted(where, size):
    """A small file system of its own there; None, or why not."""
    os.makedirs(where, mode=0o700, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "strongroom-test", where], capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr


def full_disk(checks, binary, directory):
    """A small file system for the data and its key; all that is free is taken away, and later given back."""
    volume = os.path.join(directory, "volume")
    problem = mounted(volume, DISK_BYTES)
    if problem:
        checks.line("full disk", "a small file system can be mounted here", problem)
        return
    server = Member(binary, os.path.join(directory, "full"), "--quota-backend-bytes=8589934592", client_port=4379, peer_port=4380, start=False)
    server.data_dir = os.path.join(volume, "data")
    try:
        server.start()
        filled(checks, server, os.path.join(volume, "ballast"))
    finally:
        server.kill()
        subprocess.run(["umount", volume], check=False, capture_output=True)


def empty_volume(checks, binary, directory):
    """An empty file system mounted as the data directory itself, as containers have it: the key has no other place."""
    volume = os.path.join(directory, "as-data")
    problem = mounted(volume, DISK_BYTES)
    server = Member(binary, os.path.join(directory, "mounted"), client_port=4379, peer_port=4380, start=False)
    server.data_dir = volume
    try:
        for what in ("first start", "second start"):
            if problem is None:
                server.start()
                connection = http.client.HTTPConnection("127.0.0.1", server.client_port, timeout=10)
                status, answer = call(connection, "/v3/kv/put", {"key": b64("a"), "value": b64(what)})
                checks.all(
                    f"empty volume as data directory, {what}",
                    "serves, and warns that the key lies with the data",
                    None if status == 200 else f"{status} {answer}",
                    unlike(log_of(server), r'"level":"warn"[^\n]*key[^\n]*hint'),
                    fault(log_of(server)),
                )
                server.stop()
    except SystemExit as error:
        problem = str(error)[-700:]
    finally:
        server.kill()
        subprocess.run(["umount", volume], check=False, capture_output=True)
    if problem:
        checks.line("empty volume as data directory", "serves", problem)


def take_all(path):
    free = os.statvfs(os.path.dirname(path))
    with open(path, "wb") as out:
        try:
            os.posix_fallocate(out.fileno(), 0, free.f_bavail * free.f_frsize)
        except OSError:
            pass


def put_large(server, key, letter):
    """One large put, as gRPC: (code, message) of the answer; in JSON these sizes take a debug build half a minute."""
    _, code, message = wire.grpc(
        server.endpoint, "etcdserverpb.KV/Put", wire.frame(wire.field(1, key) + wire.field(2, letter * VALUE_BYTES)), seconds=10
    )
    return code, message


def put_until_refused(server, prefix, most=300):
    """Puts large values until one is refused: (acknowledged, the refusal's code and message)."""
    acknowledged = {}
    for n in range(most):
        key, letter = f"{prefix}/{n}", chr(97 + n % 26)
        code, message = put_large(server, key, letter)
        if code != "0":
            return acknowledged, code, message
        acknowledged[key] = letter * VALUE_BYTES
    return acknowledged, None, None


def missing_large(acknowledged, server, prefix):
    """The same as `missing`, read with etcdctl."""
    done = subprocess.run(
        [tool("etcdctl"), "--endpoints", server.endpoint, "get", prefix + "/", "--prefix", "--command-timeout=20s"],
        capture_output=True,
        text=True,
        env=clean_environment(server.directory),
    )
    lines = done.stdout.splitlines()
    found = dict(zip(lines[::2], lines[1::2]))
    lost = [k for k, v in acknowledged.items() if found.get(k) != v]
    return f"{len(lost)} of {len(acknowledged)} acknowledged puts cannot be read, such as {lost[:3]}: {done.stderr[-300:]}" if lost else None


def filled(checks, server, ballast):
    port = server.client_port

    def ask(path, body):
        """One small request; what keeps it from being answered is the answer."""
        try:
            return call(http.client.HTTPConnection("127.0.0.1", port, timeout=10), path, body)
        except (OSError, http.client.HTTPException) as error:
            return None, f"{type(error).__name__}: {error}"

    ask("/v3/kv/put", {"key": b64("before/1"), "value": b64("early")})
    take_all(ballast)
    began = time.monotonic()
    acknowledged, code, message = put_until_refused(server, "full")
    checks.all(
        "full disk: puts",
        f"refused as too much (code 8), with words about space (after {len(acknowledged)} of {VALUE_BYTES / 1e6} MB)",
        "300 of them fit" if code is None and message is None else unlike(str(message), "(?i)space"),
        None if code == "8" else f"code {code}: {message}",
        alive(server),
        fault(log_of(server)),
        seconds=time.monotonic() - began,
    )
    checks.all(
        "full disk: the server's log",
        "a line that says so, with a hint",
        unlike(log_of(server), r"(?i)(no space|nospace|space exceeded)[^\n]*hint|hint[^\n]*space"),
    )
    if alive(server):
        checks.line("full disk: reads", "go on", alive(server))
        server.kill()
    else:
        checks.all("full disk: reads", "go on, and every acknowledged put is there", missing_large(acknowledged, server, "full"))
        for _ in range(3):
            code, message = put_large(server, "full/again", "x")
        checks.all(
            "full disk: further puts", "refused again, the server lives", None if code == "8" else f"code {code}: {message}", alive(server)
        )
        status, answer = ask("/v3/kv/deleterange", {"key": b64("before/1")})
        checks.all("full disk: a delete", "goes through (the reserve is for it)", None if status == 200 else f"{status} {answer}", alive(server))
        seconds, code = server.stop()
        checks.all("full disk: SIGTERM", "ends with exit code 0", ended(code, seconds))
    before, began = len(log_of(server)), time.monotonic()
    try:
        server.start(within_seconds=10)
        problem = missing_large(acknowledged, server, "full")
        server.stop()
    except SystemExit:
        problem = unlike(log_of(server)[before:], r"(?i)space[^\n]*hint|hint[^\n]*space")
    checks.all(
        "full disk: started while it is still full",
        "serves reads, or says that space is to be freed",
        problem,
        fault(log_of(server)),
        seconds=time.monotonic() - began,
    )
    os.remove(ballast)
    server.start()
    ask("/v3/maintenance/alarm", {"action": "DEACTIVATE", "alarm": "NOSPACE"})
    status, answer = ask("/v3/kv/put", {"key": b64("after/1"), "value": b64("late")})
    checks.all(
        "full disk: after freeing space and a start",
        "puts go through and nothing acknowledged is lost",
        None if status == 200 else f"{status} {answer}",
        missing_large(acknowledged, server, "full"),
        fault(log_of(server)),
    )


def alive(server):
    return (
        None
        if server.process.poll() is None
        else f"the server ended with {server.process.returncode}; the end of its log:\n{log_of(server)[-1500:]}"
    )
