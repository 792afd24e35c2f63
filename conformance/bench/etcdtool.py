"""The rows of etcd's own benchmark tool: the same two servers as etcd's authors would measure them.

What this is: one `Row` a line of the last table. A row's size is for a slow turn of a second or two on two cores; a long run multiplies
it. Reading the report is here too, because which of its summaries counts depends on the row. The tool takes more processor time for a
request than ours takes to answer it: where they share cores, requests a second are as much its own as the server's.

Source: the tool's own help, and pkg/report of etcd, whose text output this parses.
"""

import re
import resource
from dataclasses import dataclass

from servers import Failed

SECTION = "tool"
VALUE_BYTES = "256"
KEY_SPACE = "100000"
# Keys the ranges read, put there before the first row: 1,000 of them, 256 B each.
PRELOADED = 1000


@dataclass(frozen=True)
class Row:
    """One line: its name, the tool's arguments, connections and clients, and how many requests a short turn makes."""

    name: str
    arguments: tuple
    total: int
    conns: int = 1
    clients: int = 1
    # The flag that takes the size, and the number of measured things that one of it makes (events a put, for watches).
    total_flag: str = "--total"
    each: int = 1
    unit: str = "request"
    bars = {}

    def command(self, times):
        """The tool's arguments for a turn of `times` the short size."""
        return [*self.arguments, f"{self.total_flag}={self.total * times}", f"--conns={self.conns}", f"--clients={self.clients}"]


PUT = ("put", f"--val-size={VALUE_BYTES}", f"--key-space-size={KEY_SPACE}")
ONE_KEY = ("range", "bench/0500")
HUNDRED_KEYS = ("range", "bench/0500", "bench/0600")

ROWS = (
    Row("put, 1 client", PUT, 800),
    Row("put, 10 connections, 100 clients", PUT, 6_000, 10, 100),
    Row("put, 100 connections, 1,000 clients", PUT, 10_000, 100, 1_000),
    Row("range, one key, linearizable, 1 client", (*ONE_KEY, "--consistency=l"), 3_000),
    Row("range, one key, linearizable, 10/100", (*ONE_KEY, "--consistency=l"), 20_000, 10, 100),
    Row("range, one key, serializable, 10/100", (*ONE_KEY, "--consistency=s"), 20_000, 10, 100),
    Row("range, 100 keys, linearizable, 10/100", (*HUNDRED_KEYS, "--consistency=l"), 4_000, 10, 100),
    Row(
        "txn-put, 8 puts a txn, 10/100", ("txn-put", "--txn-ops=8", f"--val-size={VALUE_BYTES}", f"--key-space-size={KEY_SPACE}"), 2_000, 10, 100
    ),
    # The tool's reads begin at the first key there is, whatever it is told.
    Row(
        "txn-mixed, half are ranges of 100 keys, 10/100",
        ("txn-mixed", "any", "--end-key=~", "--limit=100", "--rw-ratio=1", f"--val-size={VALUE_BYTES}", f"--key-space-size={KEY_SPACE}"),
        6_000,
        10,
        100,
    ),
    Row(
        "watch, 1,000 watchers, 100 a key",
        ("watch", "--streams=10", "--watch-per-stream=100", "--watched-key-total=10", "--key-space-size=10", "--sequential-keys"),
        2_000,
        10,
        10,
        "--put-total",
        100,
        "event",
    ),
    # One put after another, as fast as they go; the time is from the put to each of 100 watchers.
    Row(
        "watch latency, 100 watchers",
        ("watch-latency", "--put-rate=1000000", "--streams=10", "--watchers-per-stream=10", f"--val-size={VALUE_BYTES}"),
        500,
        1,
        1,
        "--put-total",
        100,
        "event",
    ),
    Row("lease keep-alive, 10/100", ("lease-keepalive",), 20_000, 10, 100),
)

SUMMARY = re.compile(r"Total:\s+([0-9.e+-]+) secs\..*?Requests/sec:\s+([0-9.e+-]+)", re.S)
QUANTILE = re.compile(r"^\s+([0-9.]+)% in ([0-9.e+-]+) secs", re.M)


def read(row, report):
    """The figures of one report: requests a second and seconds at half and at 99 %.

    Reads and writes of `txn-mixed` come as two summaries, and the rate is their sum and the times those of the slower half.
    `watch` begins with the making of its watchers; only its last summary, the events, counts, and its times mean nothing
    (they are between two events of one watcher), so they are left out. `watch-latency` ends with the events too.
    """
    if "Error distribution" in report:
        raise Failed("the tool met errors:\n" + report[report.index("Error distribution") :][:1000])
    found = [
        (float(m.group(2)), dict(QUANTILE.findall(report[m.end() : m.end() + 6000].split("Summary:")[0]))) for m in SUMMARY.finditer(report)
    ]
    if not found:
        raise Failed("no figures in the tool's report:\n" + report[-1000:])
    if row.arguments[0].startswith("watch"):
        found = found[-1:]
    rate = sum(rate for rate, _ in found)
    if row.arguments[0] == "watch":
        return rate, None, None
    return rate, max(float(q.get("50", 0)) for _, q in found), max(float(q.get("99", 0)) for _, q in found)


def fill(side, etcdctl):
    """The keys that ranges read."""
    for first in range(0, PRELOADED, 100):
        puts = "\n".join(f"put bench/{n:04} {'v' * int(VALUE_BYTES)}" for n in range(first, first + 100))
        side.run(etcdctl, *side.flags, "txn", stdin=f"\n{puts}\n\n\n".encode())


def turn(side, row, benchmark, times):
    """One row on one server."""
    server, tool = side.cpu_seconds(), children_seconds()
    rate, half, nearly_all = read(row, side.run(benchmark, *side.flags, "--precise", *row.command(times)))
    count = row.total * times * row.each
    return {
        "rate": rate,
        "p50_ms": half and half * 1000,
        "p99_ms": nearly_all and nearly_all * 1000,
        "cpu_us": (side.cpu_seconds() - server) / count * 1e6,
        "tool_cpu_us": (children_seconds() - tool) / count * 1e6,
        "rss_mib": side.rss_mib(),
    }


def children_seconds():
    """Processor time of all programs that this one ran and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
