"""Who gives the commands: stock etcdctl with a certificate, a password or a token of somebody's, all in one transcript.

What this is: `People` is everybody at one member; `People.name(…)` is one person, a `Session` of transcript.py whose steps are
titled with who asked and go into the common list. `token` logs somebody in through the JSON gateway, since etcdctl never shows
its token. `cut` watches watches that may not go on, and writes down how long they did.

Never: decides what an answer should be; the two servers' transcripts are compared by `run`.
"""

import threading
import time

import transcript
from secure import NOBODY, Refused

# How long a stream may go on for whom it is not any more.
CUT_SECONDS_MAX = 1.0


class Off(Exception):
    """Access control is not on where the rest of the story counts on it."""


class Person(transcript.Session):
    """One person's etcdctl."""

    def __init__(self, people, label, variables):
        super().__init__(people.etcdctl, people.server.endpoint, people.directory)
        self.people, self.label, self.steps = people, label, people.steps
        self.environment.update(variables)

    def write(self, title, argv, code, out, err, more=None):
        super().write(f"{self.people.chapter}: {self.label}: {title}", argv, code, out, err, more)

    def all(self, *commands):
        """Short commands, one after the other, each written as one string."""
        for command in commands:
            self.run(*command.split())


class People:
    """Everybody at one member, and everything they were told."""

    def __init__(self, etcdctl, server, directory):
        self.etcdctl, self.server, self.directory = etcdctl, server, directory
        self.steps, self.cuts, self.chapter = [], {}, ""
        # Passwords and tokens that were used: no log may hold one.
        self.secrets = set()

    def certificate(self, common_name):
        """Who is what a certificate says, and nothing more."""
        return Person(self, f"certificate {common_name}", self.server.variables(common_name))

    def nobody(self):
        """A certificate that the member takes, without a name on it."""
        return Person(self, "nobody", self.server.variables(NOBODY))

    def password(self, name, password, certificate=NOBODY):
        """Who logs in by name and password, over a connection with this certificate."""
        self.secrets.add(password)
        over = "" if certificate == NOBODY else f" over certificate {certificate}"
        return Person(self, f"{name} with password{over}", {**self.server.variables(certificate), "ETCDCTL_USER": name, "ETCDCTL_PASSWORD": password})

    def bearer(self, label, token, certificate=NOBODY):
        """Who shows a token that was got before."""
        return Person(self, label, {**self.server.variables(certificate), "ETCDCTL_AUTH_JWT_TOKEN": token})

    def token(self, name, password):
        """A token as `Authenticate` gives it."""
        status, answer = self.server.ask(NOBODY, "auth/authenticate", name=name, password=password)
        if status != 200 or not answer.get("token"):
            raise Refused(f"no token for {name}: {status} {answer}")
        self.secrets |= {password, answer["token"]}
        return answer["token"]

    def logged(self):
        """The secrets that the member's log holds. Words that a log may say for another reason do not count."""
        with open(self.server.log_path, "rb") as log:
            said = log.read()
        long = [secret for secret in self.secrets if len(secret.encode()) >= 6 and secret != "secret"]
        return {"looked_for": len(long), "found": sorted(secret for secret in long if secret.encode() in said), "bytes": len(said)}

    def must_be_enabled(self):
        """Goes no further without access control: what follows would be done, not refused."""
        status, answer = self.server.ask(NOBODY, "auth/status")
        if status != 200 or not answer.get("enabled"):
            raise Off(f"access control is not on: {status} {str(answer)[:300]}")

    def gateway(self, path, title):
        """What etcdctl would not ask, or not without more of its own, asked of the JSON gateway and written down."""
        status, answer = self.server.ask(NOBODY, path)
        self.steps.append({"title": f"{self.chapter}: gateway: {path}, {title}", "argv": [], "code": status, "out": transcript.masked(str(answer)), "err": [], "raw": ""})

    def json(self, common_name, path, title, token=None, **body):
        """The JSON gateway asked with this certificate and perhaps a token: the status, and the answer without its header."""
        status, answer = self.server.ask(common_name, path, token, **body)
        if isinstance(answer, dict):
            answer.pop("header", None)
        self.steps.append({"title": f"{self.chapter}: gateway as {common_name}: {title}", "argv": [], "code": status, "out": transcript.masked(str(answer)), "err": [], "raw": ""})

    def look(self, person, *words, title):
        """A watch that is ended once it said something: its first event, or that it may not."""
        watch = person.background("watch", *words, title=title)
        until = time.monotonic() + 5
        while watch.process.poll() is None and watch.lines.qsize() < 3 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
        watch.interrupt()

    def cut(self, cases, put):
        """Watches whose right is taken away: for each case (title, person, key, revoke) first the watch, then all `revoke`s.

        etcd's go on; ours have to end by themselves. Both hear the same commands, so the two transcripts part in the watches alone.
        `put` puts a key for root and tells the revision.
        """
        # From this put on: when it comes out of the watch, the watch is there.
        watches = [person.background("watch", key, f"--rev={put(key)}", title=title) for title, person, key, _ in cases]
        for watch in watches:
            watch.wait_lines(3)
        ended, revoked, done = {}, {}, threading.Event()

        def look():
            while not done.wait(0.005):
                for watch in watches:
                    if watch not in ended and watch.process.poll() is not None:
                        ended[watch] = time.monotonic()

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        for watch, (_, _, _, revoke) in zip(watches, cases):
            revoke()
            revoked[watch] = time.monotonic()
        until = time.monotonic() + CUT_SECONDS_MAX + 0.3
        while len(ended) < len(watches) and time.monotonic() < until:
            time.sleep(0.01)
        done.set()
        looking.join()
        for watch, (title, person, key, _) in zip(watches, cases):
            self.cuts[f"{self.chapter}: {person.label}: {title}"] = ended[watch] - revoked[watch] if watch in ended else None
            put(key)
            if watch.process.poll() is None:
                watch.wait_lines(3, within_seconds=2)
            watch.interrupt()
