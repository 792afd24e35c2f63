"""Clients that write a known sequence through the JSON gateway, and what a server must hold of it.

What this is: `Load` runs writers, each with keys of its own and one request at a time: puts, deletes and transactions of two puts,
each answered one noted with the revision of its answer. Since a writer never has more than one request unanswered, what the server
may hold is known exactly: the fold of everything noted up to the server's revision and, at a sudden end, with or without the
one request that had no answer. `unlike` compares; both keys of a transaction are there or neither.

Never: starts or ends a server; sleeps.
"""

import base64
import http.client
import json
import os
import random
import re
import ssl
import threading


def b64(text):
    return base64.b64encode(text.encode()).decode()


def text_of(b64_text):
    return base64.b64decode(b64_text).decode()


def tls_of(pki_dir):
    """What lets in the administrator of a member made by `strongroom up`."""
    tls = ssl.create_default_context(cafile=os.path.join(pki_dir, "root.crt"))
    tls.load_cert_chain(os.path.join(pki_dir, "administrator.crt"), os.path.join(pki_dir, "administrator.key"))
    return tls


class Gateway:
    """One kept connection to a member's JSON gateway."""

    def __init__(self, port, seconds=20, tls=None):
        if tls:
            self.connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=seconds, context=tls)
        else:
            self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)

    def ask(self, path, **body):
        """One request: (HTTP status, parsed answer)."""
        self.connection.request("POST", "/v3/" + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text or b"{}")

    def get(self, path, **body):
        """One request that has to be answered."""
        status, answer = self.ask(path, **body)
        if status != 200:
            raise Refused(f"{path}: {status} {json.dumps(answer)[:300]}")
        return answer

    def stored(self, prefix, revision=0):
        """(the server's revision, everything below a prefix as of one moment)."""
        found, start, now = {}, prefix, None
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        while True:
            answer = self.get("kv/range", key=b64(start), range_end=b64(end), limit=2000, revision=str(revision))
            now = now or int(answer["header"]["revision"])
            revision = revision or now
            for kv in answer.get("kvs", []):
                found[text_of(kv["key"])] = text_of(kv.get("value", ""))
            if not answer.get("more"):
                return now, found
            start = text_of(answer["kvs"][-1]["key"]) + "\0"

    def hashed(self, revision=0):
        """(hash, the compaction it begins after)."""
        answer = self.get("maintenance/hashkv", revision=str(revision))
        return answer["hash"], answer.get("compact_revision")

    def close(self):
        self.connection.close()


class Refused(Exception):
    """An answer that is not 200."""


class Writer:
    """One client: what it wrote, in its order."""

    def __init__(self, prefix, seed, keys, sizes):
        self.prefix, self.keys, self.sizes = prefix, keys, sizes
        self.random = random.Random(seed)
        self.state, self.log, self.unanswered, self.base, self.n = {}, [], None, {}, 0

    def next(self):
        """The changes of its next request: {key: text or None for a delete}."""
        self.n += 1
        kind = self.random.random()
        key = f"{self.prefix}{self.random.randrange(self.keys):04}"
        if kind < 0.1 and key in self.state:
            return {key: None}
        text = f"{self.n}-" + "v" * self.random.choice(self.sizes)
        if kind > 0.8:
            return {key: text, f"{self.prefix}{self.random.randrange(self.keys):04}": text}
        return {key: text}

    def send(self, gateway, changes):
        """Sends them as one request: (status, answer)."""
        operations = [
            ("request_put", {"key": b64(k), "value": b64(v)}) if v is not None else ("request_delete_range", {"key": b64(k)})
            for k, v in changes.items()
        ]
        if len(operations) == 1:
            name, body = operations[0]
            return gateway.ask("kv/put" if name == "request_put" else "kv/deleterange", **body)
        return gateway.ask("kv/txn", success=[{name: body} for name, body in operations])

    def note(self, revision, changes):
        self.log.append((revision, changes))
        apply(self.state, changes)

    def as_of(self, revision):
        """What was acknowledged up to this revision, over what it began with."""
        state = dict(self.base)
        for at, changes in self.log:
            if at > revision:
                break
            apply(state, changes)
        return state

    def forget(self):
        """Begins anew from the present state: nothing earlier will be asked."""
        self.base, self.log = dict(self.state), []


def apply(state, changes):
    for key, text in changes.items():
        if text is None:
            state.pop(key, None)
        else:
            state[key] = text


class Load:
    """Writers on one server, over as many of its lives as it takes."""

    def __init__(self, port, seed, writers=8, keys=100, sizes=(5, 100, 300, 700, 2000), pause=0.0, prefix="load/"):
        self.port, self.pause, self.prefix, self.tls = port, pause, prefix, None
        self.writers = [Writer(f"{prefix}{n}/", f"{seed}/{n}", keys, sizes) for n in range(writers)]
        self.ends, self.threads, self.odd, self.refused = threading.Event(), [], [], 0

    def start(self):
        """Lets all writers write until the server is gone or `stop`."""
        self.ends.clear()
        self.threads = [threading.Thread(target=self.write, args=(w,), daemon=True) for w in self.writers]
        for thread in self.threads:
            thread.start()

    def write(self, writer):
        gateway = Gateway(self.port, tls=self.tls)
        try:
            while not self.ends.is_set():
                changes = writer.next()
                writer.unanswered = changes
                status, answer = writer.send(gateway, changes)
                if status == 200:
                    writer.note(int(answer["header"]["revision"]), changes)
                elif re.search("(?i)space", str(answer)):
                    self.refused += 1
                    self.ends.wait(0.02)
                else:
                    self.odd.append(f"{status} {answer}")
                    return
                writer.unanswered = None
                if self.pause:
                    self.ends.wait(self.pause)
        except (OSError, http.client.HTTPException, ValueError):
            pass
        finally:
            gateway.close()

    def join(self):
        """Waits for the writers, whose server is gone or who were told to end."""
        self.ends.set()
        for thread in self.threads:
            thread.join(30)
            if thread.is_alive():
                self.odd.append("a writer had no answer for 30 s")
        self.threads = []

    def acknowledged(self):
        """The newest revision that an answer has named."""
        return max([w.log[-1][0] for w in self.writers if w.log], default=0)

    def count(self):
        return sum(len(w.log) for w in self.writers)

    def unlike(self, revision, found):
        """None if the server, at this revision, holds just what it must; else a problem."""
        if revision < self.acknowledged():
            return f"the server is at revision {revision}, but {self.acknowledged()} was acknowledged"
        return self.unlike_as_of(revision, found)

    def unlike_as_of(self, revision, found):
        """The same for a copy, of which only what it says it holds is asked."""
        for writer in self.writers:
            has = {k: v for k, v in found.items() if k.startswith(writer.prefix)}
            must = writer.as_of(revision)
            if has == must:
                continue
            if writer.unanswered:
                apply(must, writer.unanswered)
                if has == must:
                    continue
            keys = [k for k in sorted(has.keys() | must.keys()) if has.get(k) != must.get(k)]
            shown = [f"{k}: has {str(has.get(k))[:12]}, must be {str(must.get(k))[:12]}" for k in keys[:3]]
            return f"at revision {revision} {len(keys)} keys of {writer.prefix} are not as acknowledged: {'; '.join(shown)}"
        return None

    def adopt(self, found):
        """Goes on from what the server holds: each request without an answer took effect or did not."""
        for writer in self.writers:
            writer.state = {k: v for k, v in found.items() if k.startswith(writer.prefix)}
            writer.unanswered = None
            writer.forget()


def panicked(log):
    """A problem if a server's log tells of a fault of its own."""
    line = re.search(r"[^\n]*(panicked|RUST_BACKTRACE|SIGSEGV|memory allocation of)[^\n]*", log)
    return f"its log says: {line.group(0)[:400]}" if line else None
