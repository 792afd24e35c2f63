"""A server binary under test: started alone on a loopback of its own, stopped by its process id.

What this is: what the scripts of this directory share. `enter_namespace` puts the calling script into its own network
namespace, so that ports, `localhost` and everything a client assumes are free; `Member` is one running server, by default
called `etcd`, the name that turns on etcd's flags. Works for the real etcd and for ours alike: nothing here knows which.

Never: touches a process it did not start; listens or connects anywhere but loopback.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

# A script started in the background by a shell ignores interrupts, and so would every client that it ends with one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.path.abspath(os.environ.get("TARGET", os.path.join(ROOT, "target")))
TOOLS = os.path.join(TARGET, "etcd-tools")
INSIDE = "STRONGROOM_CONFORMANCE_NAMESPACE"


def tool(name):
    """The path of etcd, etcdctl, etcdutl or benchmark as built by etcd/tools.sh, building them first if they are missing."""
    subprocess.run([os.path.join(ROOT, "conformance", "etcd", "tools.sh")], check=True)
    return os.path.join(TOOLS, name)


def namespace_prefix():
    """The command prefix for a private network and process namespace, or [] where the system refuses one."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        return []
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    prefix = ["unshare", *as_root, "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return prefix if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0 else []


def enter_namespace():
    """Starts the calling script again inside its own namespace (once). Says whether it is inside."""
    if os.environ.get(INSIDE) == "yes":
        return True
    if os.environ.get(INSIDE) == "refused":
        return False
    prefix = namespace_prefix()
    os.environ[INSIDE] = "yes" if prefix else "refused"
    if not prefix:
        print("no network namespace here: using free ports of this machine", file=sys.stderr)
        return False
    sys.stdout.flush()
    os.execvp(prefix[0], [*prefix, "bash", "-c", 'ip link set lo up; exec "$@"', "_", sys.executable, *sys.argv])


def free_port():
    """A loopback port nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def disk_bytes(directory):
    """What a directory that may be changing takes, as the file system counts it."""
    total = 0
    for base, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.stat(os.path.join(base, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


class Member:
    """One server process with its own data directory; its output goes to a log file beside it."""

    def __init__(self, binary, directory, *arguments, client_port=None, peer_port=None, start=True):
        self.binary = os.path.abspath(binary)
        self.directory = os.path.abspath(directory)
        own_network = os.environ.get(INSIDE) == "yes"
        self.client_port = client_port or (2379 if own_network else free_port())
        self.peer_port = peer_port or (2380 if own_network else free_port())
        self.endpoint = f"http://127.0.0.1:{self.client_port}"
        self.data_dir = os.path.join(self.directory, "data")
        self.log_path = os.path.join(self.directory, "server.log")
        self.arguments = list(arguments)
        self.process = None
        os.makedirs(self.directory, exist_ok=True)
        # Called `etcd`: the name by which one binary knows that it stands in for etcd.
        self.program = os.path.join(self.directory, "etcd")
        if os.path.lexists(self.program):
            os.remove(self.program)
        os.symlink(self.binary, self.program)
        if start:
            self.start()

    @property
    def command(self):
        """What starts it."""
        peer = f"http://127.0.0.1:{self.peer_port}"
        return [
            self.program, "--name", "one", "--data-dir", self.data_dir,
            "--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}",
            *self.arguments]

    def client_flags(self):
        """What etcd's own tools need to find it."""
        return ["--endpoints", self.endpoint]

    def launch(self):
        """Starts the process, and waits for nothing."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("ETCD_", "ETCDCTL_", "STRONGROOM_"))}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def healthy(self, tls=None):
        """Whether it answers now that it is."""
        try:
            with urllib.request.urlopen(self.endpoint + "/health", timeout=2, context=tls) as answer:
                return answer.status == 200
        except OSError:
            return False

    def start(self, within_seconds=30):
        """Starts the process and waits until it says it is healthy; fails with the end of its log."""
        self.launch()
        until = time.monotonic() + within_seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            if self.healthy():
                return
            time.sleep(0.05)
        end = open(self.log_path, errors="replace").read()[-2000:]
        state = f"ended with {self.process.poll()}" if self.process.poll() is not None else f"was not healthy after {within_seconds} s"
        self.kill()
        raise SystemExit(f"{self.binary} {state}; the end of its log:\n{end}")

    def stop(self, within_seconds=10):
        """Asks the process to end, insists after a while; returns the seconds it took and its exit code."""
        if self.process is None:
            return 0.0, None
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(within_seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        code, self.process = self.process.returncode, None
        return time.monotonic() - began, code

    def kill(self):
        """Ends the process at once, as a power cut would."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
