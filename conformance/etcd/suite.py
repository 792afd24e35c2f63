"""One run of one of etcd's compiled test binaries, and the verdict of every test and subtest in it.

What this is: the part `run` and `choose.py` share. It starts `common.test` or `e2e.test` for one selection (a test, or a
path of subtests), alone in its own network, process and mount namespace, and reads the verdicts from its output.

Why one process per selection: a test that leaks goroutines makes etcd's leak check skip every test after it, and a nil
answer panics the whole binary. Alone, a failure costs only itself. Why a namespace: the suites use fixed ports.

Never: decides whether a verdict is good. A verdict is pass, fail, skip or missing; a skip is not a pass.
"""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

# --- PASS: TestKVGet/NoTLS (4.09s)   (a marker byte and four blanks per level before it)
VERDICT = re.compile(r"^\x16?\s*--- (PASS|FAIL|SKIP): (\S+) \((\d+(?:\.\d+)?)s\)")
# A server under test writes to the same terminal, so a marker may stand in the middle of a line.
VERDICT_INSIDE = re.compile(r"\x16\s*--- (PASS|FAIL|SKIP): (\S+) \((\d+(?:\.\d+)?)s\)")
TURN = re.compile(r"(?:^|\x16)=== (RUN|CONT|NAME|PAUSE)\s+(\S+)")
LOG_LINE = re.compile(r"^\s+(\w+_test\.go:\d+): ?(.*)")
# What the frameworks say at the end of every test, good or bad.
ALWAYS_SAID = ("Error Trace", "closing test cluster", "closed test cluster")
ERROR_LINE = re.compile(r"^\s+Error:\s+(\S.*)")

# TestEtcdPeerLocalAddr looks for an address beyond loopback; nothing is routed anywhere. With that route, a name server
# elsewhere would be waited for (Go asks it about every target, 10 s each); one on loopback refuses at once.
INSIDE = (
    "ip link set lo up; ip addr add 198.51.100.7/32 dev lo; ip route add default dev lo src 198.51.100.7; "
    'mount --bind "$1" /etc/resolv.conf 2>/dev/null; shift; exec "$@"'
)


def _resolver():
    """A resolv.conf that names loopback, in a file of its own."""
    path = os.path.join(tempfile.gettempdir(), f"resolv.conf.{os.getuid()}.loopback")
    with open(path, "w") as f:
        f.write("nameserver 127.0.0.1\n")
    return path


def namespaces():
    """The command prefix that gives a process its own loopback and process tree, or [] where that is not allowed."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        return []
    as_root = [] if os.geteuid() == 0 else ["-r"]
    prefix = ["unshare", *as_root, "-n", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        return []
    return [*prefix, "bash", "-c", INSIDE, "_", _resolver()]


def pattern(selection):
    """The -test.run pattern that means exactly this test or subtest (and everything below it)."""
    return "/".join(f"^{re.escape(level)}$" for level in selection.split("/"))


def package_directory(harness, suite, scratch):
    """A working directory of this run's own that looks like the suite's package: its files, ../fixtures, ../../ sample file.

    Tests leave things where they run (default.etcd), and the next server would find another's data there.
    """
    package = os.path.join(scratch, "h", "src", suite)
    os.makedirs(package)
    os.symlink(os.path.join(harness, "src", "fixtures"), os.path.join(scratch, "h", "src", "fixtures"))
    os.symlink(os.path.join(harness, "etcd.conf.yml.sample"), os.path.join(scratch, "h", "etcd.conf.yml.sample"))
    for name in os.listdir(os.path.join(harness, "src", suite)):
        if not name.endswith((".go", ".etcd")):
            os.symlink(os.path.join(harness, "src", suite, name), os.path.join(package, name))
    return package


class Outcome:
    """What one run showed: verdicts and reasons by test name, and when each test had its turn."""

    def __init__(self, selection):
        self.selection = selection
        self.verdicts = {}  # name -> (pass|fail|skip, seconds)
        self.reasons = {}  # name -> one line
        self.turns = []  # (unix time, name)
        self.seconds = 0.0
        self.tries = 1

    def failed(self):
        """True when this run has no verdict pass for what was selected."""
        return self.verdicts.get(self.selection, ("missing", 0))[0] in ("fail", "missing")


def _read(stream, log, outcome):
    """Reads a test binary's output line by line: verdicts, turns, and for each test the last thing it complained about."""
    current = outcome.selection
    last_log = {}
    after_error = ""
    for raw in stream:
        log.write(raw)
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        turn = TURN.search(line)
        if turn:
            current = turn.group(2)
            if turn.group(1) != "PAUSE":
                outcome.turns.append((time.time(), current))
            continue
        verdict = VERDICT.match(line) or VERDICT_INSIDE.search(line)
        if verdict:
            name = verdict.group(2)
            outcome.verdicts[name] = (verdict.group(1).lower(), float(verdict.group(3)))
            if verdict.group(1) != "PASS" and name not in outcome.reasons and name in last_log:
                outcome.reasons[name] = last_log[name]
            current = name.rsplit("/", 1)[0]
            continue
        if line.startswith("panic:") and current not in outcome.reasons:
            outcome.reasons[current] = line
        error = ERROR_LINE.match(line)
        if error and current not in outcome.reasons:
            outcome.reasons[current] = error.group(1)
            after_error = current
            continue
        if after_error:
            more = line.strip()
            if more and not more.startswith(("Test:", "Messages:", "Error")):
                outcome.reasons[after_error] += " " + more
            if len(outcome.reasons[after_error]) > 20000 or not more or more.startswith("Test:"):
                after_error = ""
        said = LOG_LINE.match(line)
        if said and said.group(2).strip() and not said.group(2).strip().startswith(ALWAYS_SAID):
            last_log[current] = f"{said.group(1)}: {said.group(2).strip()}"
    for name, text in outcome.reasons.items():
        outcome.reasons[name] = shortened(re.sub(r"\s+", " ", text))


def shortened(text):
    """A long message without its middle: it begins with what went wrong and ends with what the server said last."""
    return text if len(text) <= 900 else text[:350] + " … " + text[-500:]


def run(harness, suite, selection, bin_dir, out, timeout, prefix, path_first=None, environment=None):
    """Runs one selection once; its raw output stays in out/logs. Returns an Outcome; every failure has a reason."""
    binary = os.path.join(harness, "testbin", suite + ".test")
    outcome = Outcome(selection)
    harness = os.path.abspath(harness)
    # Not below out: unix sockets live here, and their paths may have 107 bytes.
    scratch = tempfile.mkdtemp(prefix="et-")
    os.mkdir(os.path.join(scratch, "t"))
    env = dict(os.environ, TMPDIR=os.path.join(scratch, "t"), RESULTS_DIR=scratch, **(environment or {}))
    for name in [n for n in env if n.startswith(("ETCD_", "ETCDCTL_", "STRONGROOM_"))]:
        del env[name]
    if path_first:
        env["PATH"] = path_first + ":" + env["PATH"]
    args = [binary, "-test.v=test2json", f"-test.timeout={timeout}s", "-test.run", pattern(selection), "-bin-dir=" + bin_dir]
    logs = os.path.join(out, "logs")
    os.makedirs(logs, exist_ok=True)
    log_path = os.path.join(logs, suite + "." + re.sub(r"[^\w.-]+", "_", selection)[:120] + ".log")
    started = time.time()
    with open(log_path, "wb") as log:
        child = subprocess.Popen(
            prefix + args, cwd=package_directory(harness, suite, scratch), env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        watchdog = threading.Timer(timeout + 20, child.kill)
        watchdog.start()
        _read(child.stdout, log, outcome)
        code = child.wait()
        watchdog.cancel()
    outcome.seconds = time.time() - started
    shutil.rmtree(scratch, ignore_errors=True)
    if selection not in outcome.verdicts:
        outcome.verdicts[selection] = ("fail", outcome.seconds)
        outcome.reasons.setdefault(selection, f"the test binary ended with {code} and gave no verdict")
    # A subtest that began and never ended (the binary panicked or ran out of time) has no line of its own.
    for _, name in outcome.turns:
        if name not in outcome.verdicts and (name + "/").startswith(selection + "/"):
            outcome.verdicts[name] = ("fail", 0.0)
            outcome.reasons.setdefault(name, f"began and never ended; the test binary ended with {code}")
    for name, (verdict, _) in outcome.verdicts.items():
        if verdict == "fail":
            outcome.reasons.setdefault(name, "no message")
    return outcome


def run_until_pass(retries, *args, **kwargs):
    """Like run, again up to `retries` times while it fails; `tries` in the outcome says how often it ran."""
    for tries in range(1, retries + 2):
        outcome = run(*args, **kwargs)
        outcome.tries = tries
        if not outcome.failed():
            break
    return outcome
