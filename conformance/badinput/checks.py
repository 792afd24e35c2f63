"""What every case is held to, and how its line is printed.

What this is: `Checks` counts and prints one line a check; `run` starts a command that should end by itself; `refused` is the shape
of most cases here: a start that must not happen. A refusal is good when the exit code is the expected one, the text names the
cause and the next step, it comes in time, and no fault of the program shows.

Never: prints a pass that was not looked at. A case that cannot run on this machine counts as failed, with the reason.
"""

import os
import re
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from up import clean_environment  # noqa: E402

FAULT = re.compile(
    r"panicked at|stack backtrace|RUST_BACKTRACE|assertion .*failed|SIGSEGV|internal error: entered unreachable|fatal runtime error"
)
# Capabilities by which root passes over file modes and low ports; without them the cases about permissions mean something.
PLAIN_USER = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search,-net_bind_service",
    "--inh-caps=-dac_override,-dac_read_search,-net_bind_service",
]
START_SECONDS_MAX = 5


class Checks:
    """The count, and the printing."""

    def __init__(self):
        self.passed = self.failed = 0

    def line(self, name, expected, problem=None, seconds=None):
        """One line: `problem` is None for a pass, else what was found instead."""
        took = f" ({seconds:.1f} s)" if seconds is not None else ""
        if problem is None:
            self.passed += 1
            print(f"pass  {name}: {expected}{took}", flush=True)
        else:
            self.failed += 1
            body = "\n".join("        " + text for text in str(problem).strip().splitlines()[-25:])
            print(f"FAIL  {name}: {expected}{took}\n      got\n{body}", flush=True)

    def all(self, name, expected, *problems, seconds=None):
        """A line that passes when none of the problems is one."""
        real = [p for p in problems if p]
        self.line(name, expected, "\n".join(real) if real else None, seconds)

    def group(self, title, function, *arguments):
        """Runs cases; one that breaks down counts as failed and does not keep the others from running."""
        print(f"\n{title}", flush=True)
        began = time.monotonic()
        try:
            function(self, *arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the other groups still run
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.line(
                title, "every case of the group runs", f"{type(error).__name__}: {error}\nat {os.path.basename(where.filename)}:{where.lineno}"
            )
        print(f"      {time.monotonic() - began:.1f} s", flush=True)


def run(command, home, env=None, within=START_SECONDS_MAX, stdin=b"", cwd=None):
    """Runs a command that should end by itself: (exit code, output of both kinds, seconds); the code is None if it went on."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(clean_environment(home), **(env or {})),
        cwd=cwd or home,
    )
    try:
        text = process.communicate(stdin, timeout=within)[0]
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        text = process.communicate()[0]
        code = None
    return code, text.decode(errors="replace"), time.monotonic() - began


def fault(text):
    """The fault of the program that a text shows, or None."""
    found = FAULT.search(text)
    return f"a fault of the program: …{text[max(0, found.start() - 200) : found.end() + 300]}" if found else None


def unlike(text, *patterns):
    """Which of the patterns a text lacks, with the text; or None."""
    missing = [p for p in patterns if not re.search(p, text, re.S)]
    return f"nothing like /{'/ or /'.join(missing)}/ in:\n{text[-1800:]}" if missing else None


def refused(checks, name, command, home, code, cause, step, env=None, after=None, within=START_SECONDS_MAX):
    """A start that must be refused. `after` looks at what is left and returns a problem or None."""
    got, text, seconds = run(command, home, env, within)
    ended = f"exit code {got}, not {code}:\n{text[-800:]}" if got is not None else f"did not end within {within} s; it said:\n{text[-800:]}"
    checks.all(
        name,
        f"refused with exit code {code}, naming /{cause}/ and /{step}/",
        None if got == code else ended,
        unlike(text, cause, step),
        fault(text),
        after and after(),
        seconds=seconds,
    )
    return text


def absent(path):
    """A look afterwards: a refused start leaves nothing behind."""
    return lambda: f"{os.path.basename(path)} was made by a start that was refused" if os.path.lexists(path) else None
