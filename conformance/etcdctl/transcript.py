"""What real etcdctl said, command by command, in a form two servers can be compared by.

What this is: `Session` runs etcdctl against one server and writes down arguments, exit code, standard output and standard
error; `compare` tells where two such transcripts differ. Masked, because they differ between two runs of the same server:
member, cluster and lease identifiers, raft's term and index, sizes of files, times. Never masked: revisions, versions, hashes,
counts, keys, values, error texts, exit codes.
"""

import difflib
import fcntl
import os
import pty
import queue
import re
import select
import signal
import subprocess
import termios
import threading
import time

FORMATS = ("simple", "json", "fields", "table", "protobuf")

MASKS = [
    (re.compile(r'"ts":"[^"]*"'), '"ts":"<time>"'),
    (re.compile(r"0x[0-9a-f]{9,}|(?<=etcd-endpoints://)0x[0-9a-f]+"), "<pointer>"),
    (re.compile(r"LocalAddr: '127.0.0.1:\d+'"), "LocalAddr: '<address>'"),
    (re.compile(r"\b[0-9a-f]{13,16}\b(?<!\b\d{13})"), "<id>"),
    (re.compile(r"(?<![\d.])-?\d{16,20}\b"), "<id>"),
    (re.compile(r'"raft_term":\d+'), '"raft_term":<term>'),
    (re.compile(r'"RaftTerm" : \d+'), '"RaftTerm" : <term>'),
    (re.compile(r"\btook = \S+|\btook \S+|\b\d+(\.\d+)?(ns|µs|ms|s)\b(?= *[|│])"), "<duration>"),
    (re.compile(r'"took":"[^"]*"'), '"took":"<duration>"'),
    (re.compile(r'"Took" : \S+'), '"Took" : <duration>'),
]
# endpoint status: what a storage engine and a raft log are free to differ in.
STATUS_MASKS = [
    (re.compile(r'"(dbSize|dbSizeInUse|raftIndex|raftAppliedIndex|raftTerm)":\d+'), r'"\1":<n>'),
    (re.compile(r'"(DBSize|DBSizeInUse|RaftIndex|RaftAppliedIndex|RaftTerm)" : \d+'), r'"\1" : <n>'),
    (re.compile(r"\b\d+(\.\d+)? [kMG]?B\b"), "<size>"),
    (re.compile(r"\b\d+%"), "<share>"),
    (re.compile(r"(true|false)( *[|│,] *)(true|false)( *[|│,] *)\d+( *[|│,] *)\d+( *[|│,] *)\d+"), r"\1\2\3\4<n>\5<n>\6<n>"),
    (re.compile(r"(?<=, )\d+(?=, \d+, \d+, ,)|(?<=, )\d+(?=, \d+, ,)|(?<=, )\d+(?=, , )"), "<n>"),
]
TTL_MASKS = [(re.compile(r"remaining\(\d+s\)"), "remaining(<s>)"), (re.compile(r'"ttl":\d+'), '"ttl":<s>'),
             (re.compile(r'"TTL" : \d+'), '"TTL" : <s>')]
# How many writes fit into a quota is the storage engine's affair, and so are revisions once it is full.
FULL_MASKS = [(re.compile(r'"(revision|create_revision|mod_revision)":\d+'), r'"\1":<n>'),
              (re.compile(r'"(Revision|CreateRevision|ModRevision)" : \d+'), r'"\1" : <n>'), (re.compile(r"(?m)^  3: \d+$"), "  3: <n>")]
MORE = {"status": STATUS_MASKS, "ttl": TTL_MASKS, "full": FULL_MASKS, None: []}


def varint(data, at):
    """One varint of a protobuf message: its value and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def wire(data, messages=(1,), depth=0):
    """A protobuf message as text, one field a line; `messages` are the fields at the top that hold messages (1 is the header)."""
    lines, at = [], 0
    while at < len(data):
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = varint(data, at)
            name = "raft_term" if depth == 1 and number == 4 and messages == (1,) else str(number)
            lines.append("  " * depth + f"{name}: " + ("<term>" if name == "raft_term" else "<id>" if value >= 10**15 else str(value)))
        elif kind == 2:
            size, at = varint(data, at)
            chunk, at = data[at:at + size], at + size
            if depth == 0 and number in messages:
                lines += [f"{number} {{", *wire(chunk, (number,), 1), "}"]
            else:
                lines.append("  " * depth + f"{number}: {chunk!r}")
        else:
            return [*lines, f"kind {kind}: {data[at:]!r}"]
    return lines


def protobuf(data, messages):
    """The text of a protobuf answer, or of whatever else was printed."""
    if not data:
        return ""
    try:
        return "\n".join(wire(data, messages)) + "\n"
    except IndexError:
        return data.decode("utf-8", "replace")


def masked(text, more=None):
    """The text without what may differ; table rules and padding follow the width of what was masked, so they go too."""
    for mask, instead in MORE[more] + MASKS:
        text = mask.sub(instead, text)
    lines = [re.sub(r"(?<=\S) +| +(?=\|)", " ", re.sub(r"[-─]{2,}", "--", line)) for line in text.splitlines()]
    # How often an idle watch says how far it is, before it is ended, is a matter of time.
    repeats = [before == line and line.startswith("progress notify") for before, line in zip([None] + lines, lines)]
    return [line for line, repeated in zip(lines, repeats) if not repeated]


class Background:
    """An etcdctl that goes on (watch, lock, elect, keep-alive) while others run."""

    def __init__(self, session, title, argv):
        self.session, self.title, self.argv = session, title, argv
        self.process = subprocess.Popen([session.etcdctl, *argv], env=session.environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=session.directory)
        self.lines, self.errors, self.seen = queue.Queue(), [], []
        threading.Thread(target=self._pump, args=(self.process.stdout, self.lines.put), daemon=True).start()
        self._errors = threading.Thread(target=self._pump, args=(self.process.stderr, self.errors.append), daemon=True)
        self._errors.start()

    @staticmethod
    def _pump(stream, put):
        for line in stream:
            put(line)

    def wait_lines(self, count, within_seconds=8):
        """Waits until it has printed `count` more lines, or the time is over (then the transcript shows what is missing)."""
        until = time.monotonic() + within_seconds
        for _ in range(count):
            try:
                self.seen.append(self.lines.get(timeout=max(0.01, until - time.monotonic())))
            except queue.Empty:
                self.seen.append(b"<nothing more came>\n")
                break
        return self.seen[-1].decode("utf-8", "replace").strip()

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def interrupt(self, more=None):
        """Ends it as a person would, with ^C, and writes the step down."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.finish(more)

    def finish(self, more=None, within_seconds=8):
        """Waits until it ends by itself and writes the step down."""
        try:
            self.process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.seen.append(b"<did not end>\n")
            self.process.kill()
            self.process.wait()
        self._errors.join(2)
        time.sleep(0.02)
        while not self.lines.empty():
            self.seen.append(self.lines.get())
        self.session.write(self.title, self.argv, self.process.returncode, b"".join(self.seen), b"".join(self.errors), more)


class Session:
    """etcdctl against one server, and everything it said."""

    def __init__(self, etcdctl, endpoint, directory):
        self.etcdctl, self.directory = etcdctl, directory
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCDCTL_")}
        self.environment["ETCDCTL_ENDPOINTS"] = endpoint
        self.steps = []
        self.last_code = 0

    def write(self, title, argv, code, out, err, more=None):
        binary = any(a == "protobuf" for a in argv) and code == 0
        # Alarms and members are messages with identifiers in them, and permissions are messages too.
        words = [a for a in argv if not a.startswith("-")]
        messages = (1, 2) if words[:1] in (["alarm"], ["member"]) or words[:2] == ["role", "get"] else (1,)
        texts = [protobuf(out, messages) if binary else out.decode("utf-8", "replace"), err.decode("utf-8", "replace")]
        texts = [re.sub(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:<port>", t) for t in texts]
        self.steps.append({
            "title": masked(title)[0], "argv": [a if len(a) < 80 else a[:60] + f"… ({len(a)} bytes)" for a in argv],
            "code": code, "out": masked(texts[0], more), "err": masked(texts[1], more), "raw": out.decode("utf-8", "replace")})

    def run(self, *argv, title=None, stdin=b"", more=None, within_seconds=20):
        """One command to its end. Returns its standard output as it was."""
        try:
            done = subprocess.run([self.etcdctl, *argv], env=self.environment, input=stdin, capture_output=True,
                                  timeout=within_seconds, cwd=self.directory)
            code, out, err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as late:
            code, out, err = "no end", late.stdout or b"", late.stderr or b""
        self.write(title or " ".join(argv[:3]), list(argv), code, out, err, more)
        return out.decode("utf-8", "replace")

    def terminal(self, *argv, answers, title, within_seconds=8):
        """One command at a terminal, where a person gives an answer to each question. Written down are what the terminal shows,
        whether it showed what was typed, and whether it does so again afterwards."""
        ours, its = pty.openpty()
        process = subprocess.Popen([self.etcdctl, *argv], env=self.environment, stdin=its, stdout=its, stderr=its, cwd=self.directory,
                                   start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        shows = lambda: bool(termios.tcgetattr(its)[3] & termios.ECHO)
        shown, hidden, until = b"", True, time.monotonic() + within_seconds

        def read():
            while select.select([ours], [], [], 0.02)[0]:
                yield os.read(ours, 4096)

        for number, answer in enumerate(answers, 1):
            while time.monotonic() < until and (shown.count(b": ") < number or shows()):
                shown += b"".join(read())
            hidden &= not shows()
            os.write(ours, answer)
        while process.poll() is None and time.monotonic() < until:
            shown += b"".join(read())
        if process.poll() is None:
            process.kill()
        code = process.wait()
        shown += b"".join(read())
        shown += f"<typed unseen: {hidden}, seen again: {shows()}>\n".encode()
        os.close(ours)
        os.close(its)
        self.write(title, list(argv), code, shown.replace(b"\r\n", b"\n"), b"")

    @staticmethod
    def pause(seconds):
        """Lets time go by, where that is what is tried."""
        time.sleep(seconds)

    def quiet(self, *argv, stdin=b""):
        """Asks without writing it down: what is polled has no fixed number of steps."""
        done = subprocess.run([self.etcdctl, *argv], env=self.environment, input=stdin, capture_output=True, timeout=20)
        self.last_code = done.returncode
        return done.stdout.decode("utf-8", "replace")

    def formats(self, *argv, stdin=b"", more=None):
        """One command in every output format."""
        for kind in FORMATS:
            self.run(*argv, "-w", kind, stdin=stdin, more=more, title=" ".join(argv[:3]) + f" -w {kind}")

    def background(self, *argv, title=None):
        return Background(self, title or " ".join(argv[:3]), list(argv))


def compare(reference, ours):
    """The differences between two transcripts: (title, argv, text) for each step that differs."""
    found = []
    for at in range(max(len(reference), len(ours))):
        theirs = reference[at] if at < len(reference) else None
        mine = ours[at] if at < len(ours) else None
        if theirs is None or mine is None or theirs["title"] != mine["title"]:
            found.append(("the transcripts part here", [], f"etcd: {theirs and theirs['title']}\nours: {mine and mine['title']}"))
            break
        text = []
        if theirs["code"] != mine["code"]:
            text.append(f"exit code: etcd {theirs['code']}, ours {mine['code']}")
        for stream in ("out", "err"):
            if theirs[stream] != mine[stream]:
                text += list(difflib.unified_diff(theirs[stream], mine[stream], f"etcd std{stream}", f"ours std{stream}", lineterm="", n=2))[:40]
        if text:
            # Values may hold any byte; a terminal gets none of them raw.
            visible = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda m: f"\\x{ord(m.group()):02x}", "\n".join(text))
            found.append((theirs["title"], theirs["argv"], visible))
    return found
