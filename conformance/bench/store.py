"""The rows of a store at rest: memory, time to start and bytes on disk with N keys of 80 + 512 bytes.

What this is: each server alone is filled by our loader (100 puts a transaction), settles, is measured, stopped, measured on disk, started
again, measured, killed, and started once more, on all cores: nothing else runs then but the loader, which writes or waits. A start
lasts from the process to the first linearizable read that is answered; its files are in the page cache, for both.
"""

import time

from loader import SIZES
from servers import on

SECTION = "store"
# Both write behind for a moment after the last answer; memory and files are read when that is over.
SETTLE_SECONDS = 3
# Name, unit and bar of each figure, in the order of the table.
FIGURES = (
    ("CPU for each key loaded", "µs", None),
    ("memory after loading", "MiB", 0.6),
    ("on disk after a stop", "MiB", 1.1),
    ("start after a stop", "s", 0.4),
    ("memory after that start", "MiB", 0.6),
    ("start after kill -9", "s", None),
)


def name(figure, keys):
    """A row's name."""
    return f"{figure}, {keys:,} keys"


def measure(side, cores, keys):
    """All figures of one server with so many keys."""
    figures = []
    with on(cores.servers):
        side.server.start()
    try:
        before = side.cpu_seconds()
        with on(cores.loaders):
            side.load("load", *SIZES, "--keys", str(keys), "--connections", "4", "--clients", "16", "--seconds-max", "240")
        figures.append((side.cpu_seconds() - before) / keys * 1e6)
        time.sleep(SETTLE_SECONDS)
        figures.append(side.rss_mib())
        side.server.stop(within_seconds=60)
        figures.append(side.disk_mib())
        figures.append(side.seconds_to_ready(cores))
        time.sleep(SETTLE_SECONDS)
        figures.append(side.rss_mib())
        side.server.kill()
        figures.append(side.seconds_to_ready(cores))
    finally:
        side.server.stop()
    return figures
