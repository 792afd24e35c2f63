"""The circumstances of a run: machine, cores, disk, versions, and how busy it was.

What this is: without these a figure means nothing; they stand above every table and in every kept file.
"""

import datetime
import os
import platform
import statistics
import subprocess
import time

import member


def sync_milliseconds(directory):
    """The median of 200 small synced writes: what the disk makes both sides wait."""
    path, took = os.path.join(directory, "sync-probe"), []
    with open(path, "wb") as out:
        for _ in range(200):
            began = time.perf_counter()
            out.write(b"\0" * 512)
            out.flush()
            os.fdatasync(out.fileno())
            took.append(time.perf_counter() - began)
    os.remove(path)
    return statistics.median(took) * 1000


def output(*command):
    """What a command prints, trimmed."""
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def version(binary):
    """The first line of what it says of itself, or nothing."""
    return (output(binary, "--version").splitlines() or ["unknown"])[0]


def build(binary):
    """Which build of ours it is. It may not know its commit: when it was built tells whether the checkout's is its own."""
    commit = output("git", "-C", member.ROOT, "rev-parse", "--short", "HEAD")
    built = datetime.datetime.fromtimestamp(os.stat(binary).st_mtime).strftime("%Y-%m-%d %H:%M")
    return f"{version(binary)}, built {built}{f', checkout at {commit}' if commit else ''}"


def facts(args, cores):
    """The circumstances, as pairs of name and value."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = int(open("/proc/meminfo").readline().split()[1]) / 1024 / 1024
    load = os.getloadavg()[0]
    count = len(set(cores.servers + cores.loaders))
    apart = f"servers on core {span(cores.servers)}, our loader on core {span(cores.loaders)}" if count > 1 else "one core for all"
    return [
        ("machine", f"{model}, {count} cores, {memory:.0f} GiB, Linux {platform.release()}; {apart}"),
        ("disk", f"{output('stat', '-f', '-c', '%T', args.work)}, a synced write of 512 B takes {sync_milliseconds(args.work):.2f} ms (median)"),
        ("ours", f"{build(args.binary)}: mutual TLS, access control, sealed"),
        ("etcd", f"{version(args.reference).replace('etcd Version: ', 'etcd ')}: clear text, no access control"),
        ("load before the start", f"{load:.2f}" + (" (**the machine was busy: take the figures with care**)" if load > 0.5 else "")),
    ]


def span(cores):
    """Cores that follow each other, as text."""
    return str(cores[0]) if len(cores) == 1 else f"{cores[0]}–{cores[-1]}"
