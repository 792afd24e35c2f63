"""A member as `strongroom up` makes it: everything on, everything made at the first start, in a directory of its own.

What this is: `Up` is one running member with its data, sealing key, certificates and client profile below one directory, started
with no setting but where these lie and which ports it takes. Its output goes to a log file there.

Never: reads or writes the home of the user who runs it; touches a process it did not start.
"""

import os
import signal
import subprocess
import time

READY = "ready to serve client requests"


def clean_environment(home):
    """This process's environment without anything a server or client would take for a setting, and with another home."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ETCD_", "ETCDCTL_", "STRONGROOM_", "XDG_"))}
    env.update(HOME=home, XDG_CONFIG_HOME=os.path.join(home, ".config"))
    return env


class Up:
    """One member started as `strongroom up`."""

    def __init__(self, binary, directory, *arguments, client_port=2379, peer_port=2380, start=True):
        self.directory = os.path.abspath(directory)
        self.data_dir = os.path.join(self.directory, "data")
        self.pki_dir = os.path.join(self.directory, "data-pki")
        self.log_path = os.path.join(self.directory, "server.log")
        self.home = os.path.join(self.directory, "home")
        os.makedirs(self.home, exist_ok=True)
        self.client_port = client_port
        self.endpoint = f"https://127.0.0.1:{client_port}"
        self.command = [
            os.path.abspath(binary),
            "up",
            "--data-dir",
            self.data_dir,
            "--listen",
            f"127.0.0.1:{client_port}",
            "--listen-peer",
            f"127.0.0.1:{peer_port}",
            *arguments,
        ]
        self.env = clean_environment(self.home)
        self.process = None
        if start:
            self.start()

    def launch(self):
        """Starts the process, and waits for nothing; returns where its part of the log begins."""
        with open(self.log_path, "ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        return before

    def start(self, within_seconds=30):
        """Starts the process and waits until its log says that it serves; fails with the end of that log."""
        before = self.launch()
        until = time.monotonic() + within_seconds
        while time.monotonic() < until and self.process.poll() is None:
            if READY in self.log(before):
                return
            time.sleep(0.01)
        code = self.process.poll()
        state = f"ended with {code}" if code is not None else f"was not ready after {within_seconds} s"
        self.kill()
        raise SystemExit(f"{self.command[0]} {state}; the end of its log:\n{self.log(before)[-2000:]}")

    def log(self, after=0):
        """What it said, from this byte of its log on."""
        with open(self.log_path, "rb") as log:
            log.seek(after)
            return log.read().decode(errors="replace")

    def client_flags(self):
        """What etcd's own tools need to be let in as its administrator."""
        return [
            "--endpoints",
            f"127.0.0.1:{self.client_port}",
            "--cacert",
            os.path.join(self.pki_dir, "root.crt"),
            "--cert",
            os.path.join(self.pki_dir, "administrator.crt"),
            "--key",
            os.path.join(self.pki_dir, "administrator.key"),
        ]

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
