"""The rows of our own loader (crates/bench): processor time of the server for each request, with a client that is not the limit.

What this is: one `Row` a line of the first table. Servers and loader have cores of their own, all rows run on a store of KEYS keys, and
the loader reads the server's processor time around the measured requests, so connections and warm-up are in no figure. A row's
size is for a turn of a second or two.

The bars are the project's own (ours, all on, to etcd, all off); they are shown and fail nothing.
"""

from dataclasses import dataclass, field

SECTION = "load"
KEYS = 100_000
SIZES = ("--key-bytes", "80", "--value-bytes", "512")
STORE = ("--keys", str(KEYS), *SIZES)


@dataclass(frozen=True)
class Row:
    """One line: its name, the loader's workload, connections and clients, and how many requests a short turn measures."""

    name: str
    workload: tuple
    requests: int
    connections: int = 1
    clients: int = 1
    unit: str = "request"
    bars: dict = field(default_factory=dict)

    def command(self, times):
        """The loader's arguments for a turn of `times` the short size; a tenth more goes before, unmeasured."""
        total = self.requests * times
        size = ("--requests", str(total), "--warm-up", str(max(total // 10, self.clients)))
        return [*self.workload, *STORE, *size, "--connections", str(self.connections), "--clients", str(self.clients)]


PUT_BAR = {"cpu_us": 0.45}
RANGE_BAR = {"cpu_us": 0.55}
WATCH = ("watch", "--streams=10", "--watchers=100", "--watched=10")
ROWS = (
    Row("put, 1 client", ("put",), 2_000),
    Row("put, 10 connections, 100 clients", ("put",), 20_000, 10, 100, bars=PUT_BAR),
    Row("put, 100 connections, 1,000 clients", ("put",), 30_000, 100, 1_000, bars=PUT_BAR),
    Row("update as of kube-apiserver (txn), 10/100", ("txn",), 20_000, 10, 100),
    Row("range, one key, linearizable, 1 client", ("range",), 5_000),
    Row("range, one key, linearizable, 10/100", ("range",), 30_000, 10, 100, bars=RANGE_BAR),
    Row("range, one key, linearizable, 100/1,000", ("range",), 40_000, 100, 1_000, bars=RANGE_BAR),
    Row("list of 1,000 keys, linearizable, 10/10", ("list",), 500, 10, 10, bars={"cpu_us": 0.5}),
    Row("watch, 1,000 watchers, 10 streams, 100 a key", WATCH, 300_000, 10, 10, "event", {"cpu_us": 0.5}),
    Row("lease keep-alive, 10/100", ("lease",), 50_000, 10, 100),
)


def fill(side):
    """The store that all rows run on."""
    side.load("load", *STORE, "--connections", "4", "--clients", "16")


def turn(side, row, times):
    """One row on one server."""
    told = side.load(*row.command(times))
    figures = {name: told[name] for name in ("rate", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")}
    return {**figures, "cpu_us": told["server_cpu_us"], "tool_cpu_us": told["own_cpu_us"], "rss_mib": side.rss_mib()}
