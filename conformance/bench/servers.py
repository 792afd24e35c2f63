"""The two servers side by side: ours with everything on, the real etcd with everything off, and what can be seen of them.

What this is: a `Side` is one running server with what its clients need to be let in, and readings of its process and files. `Cores`
says on which processor cores servers run and on which those that load them: half and half, alike for both servers; with one core
all share it. Affinity is inherited, so a server made inside `with on(cores.servers):` stays there and sizes itself for that.
"""

import contextlib
import json
import os
import subprocess
import time
from typing import NamedTuple

import member
from up import Up, clean_environment

TICK = os.sysconf("SC_CLK_TCK")
TURN_SECONDS_MAX = 300
LOADER = os.path.join(member.TARGET, "release", "bench")


class Failed(Exception):
    """A tool or a server that does not work, with its own words."""


class Cores(NamedTuple):
    """The cores for servers and those for what loads them."""

    servers: list
    loaders: list


def divided():
    """The cores of this process, half and half; all for all where there is only one."""
    every = sorted(os.sched_getaffinity(0))
    half = len(every) // 2
    return Cores(every[:half], every[half:]) if half else Cores(every, every)


@contextlib.contextmanager
def on(cores):
    """What is started inside runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Side:
    """One server, its process and what its clients need."""

    def __init__(self, name, server, flags):
        self.name, self.server, self.flags = name, server, flags

    def cpu_seconds(self):
        """User and system time of all its threads so far."""
        stat = open(f"/proc/{self.server.process.pid}/stat").read()
        fields = stat[stat.rindex(")") + 2 :].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss_mib(self):
        """Resident memory now, files it maps included."""
        for line in open(f"/proc/{self.server.process.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise Failed(f"the process of {self.name} is gone")

    def disk_mib(self):
        """What its data directory takes."""
        return member.disk_bytes(self.server.data_dir) / (1 << 20)

    def run(self, *command, stdin=b""):
        """Runs a client; returns its output, or raises with what it said."""
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=TURN_SECONDS_MAX, env=clean_environment(self.server.directory))
        if done.returncode != 0:
            words = (done.stderr or done.stdout).decode(errors="replace")[-800:]
            raise Failed(f"{os.path.basename(command[0])} ended with {done.returncode}: {words}")
        return done.stdout.decode(errors="replace")

    def load(self, *arguments):
        """Runs our loader; returns its figures."""
        flags = ["--endpoint" if flag == "--endpoints" else flag for flag in self.flags]
        return json.loads(self.run(LOADER, *flags, "--server-pid", str(self.server.process.pid), *arguments))

    def seconds_to_ready(self, cores):
        """Starts it and returns the time from there to the first linearizable read that is answered."""
        began = time.monotonic()
        with on(cores.servers):
            self.server.launch()
        with on(cores.loaders):
            self.load("ready", "--seconds-max", "100")
        return time.monotonic() - began


def ours(args, directory):
    """A member as `strongroom up` makes it, not yet started: mutual TLS, access control, sealed."""
    server = Up(args.binary, os.path.join(directory, "ours"), client_port=3379, peer_port=3380, start=False)
    return Side("ours", server, server.client_flags())


def etcd(args, directory):
    """The real etcd as it comes, not yet started: clear text, no access control."""
    server = member.Member(args.reference, os.path.join(directory, "etcd"), client_port=2379, peer_port=2380, start=False)
    return Side("etcd", server, ["--endpoints", "127.0.0.1:2379"])


@contextlib.contextmanager
def both(args, directory, cores):
    """Both, running on these cores; they end with the block."""
    sides = [ours(args, directory), etcd(args, directory)]
    try:
        with on(cores):
            for side in sides:
                side.server.start()
        yield sides
    finally:
        for side in sides:
            side.server.stop()
