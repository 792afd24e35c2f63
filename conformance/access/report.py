"""Checks that were made and how they went: a line each, and two numbers at the end."""

import time


class Report:
    """Counts checks and prints them."""

    def __init__(self):
        self.checked = self.failed = 0

    def check(self, what, problem=None):
        """One check: fine where there is no problem."""
        self.checked += 1
        self.failed += problem is not None
        print(f"  ok {what}" if problem is None else f"  FAIL {what}: {problem}", flush=True)
        return problem is None

    def until(self, what, condition, within_seconds):
        """A check that a condition comes true; the condition gives a problem, or None."""
        began, problem = time.monotonic(), "was not asked"
        while time.monotonic() - began < within_seconds:
            problem = condition()
            if problem is None:
                return self.check(f"{what} ({time.monotonic() - began:.1f} s)")
            time.sleep(0.2)
        return self.check(what, f"not within {within_seconds} s: {problem}")
