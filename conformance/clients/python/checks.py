"""What the Python programs share: named checks, a line for each, and an exit code.

A check is a function that raises when the client shows anything but what etcd shows. Every check works on keys below its own
name, so none depends on another.
"""

import sys
import time
import traceback


class Checks:
    """Collects checks by decoration and runs them in order."""

    def __init__(self, client):
        self.client, self.all = client, []

    def __call__(self, function):
        self.all.append(function)
        return function

    def run(self, *arguments):
        failed = 0
        for check in self.all:
            began = time.monotonic()
            try:
                check(*arguments)
                print(f"ok {self.client} {check.__name__} {time.monotonic() - began:.2f}s", flush=True)
            except Exception as error:  # noqa: BLE001: whatever a client raises is a finding
                failed += 1
                where = traceback.extract_tb(error.__traceback__)[-1]
                mine = [f for f in traceback.extract_tb(error.__traceback__) if "conformance" in f.filename] or [where]
                print(f"FAIL {self.client} {check.__name__}: {type(error).__name__}: {str(error)[:300]} (line {mine[-1].lineno}: {mine[-1].line})", flush=True)
        sys.exit(1 if failed else 0)


def same(found, expected):
    """Fails with both values when they differ."""
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


def until(condition, within_seconds=10):
    """Asks again until the condition holds; fails when the time is over."""
    end = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("did not become true in time")
        time.sleep(0.02)


def refused(error, action, *arguments, **named):
    """Runs an action that has to raise this error; gives the error back."""
    try:
        action(*arguments, **named)
    except error as told:
        return told
    raise AssertionError(f"{error.__name__} expected, nothing was raised")
