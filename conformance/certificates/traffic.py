"""Clients that put and read back without a pause while something happens to certificates, and miss nothing.

What this is: `Traffic` runs two kinds through the JSON gateway over mutual TLS: some keep one connection, some make a new one, with a
whole handshake, for every request. The certificates are read from their files at each new connection, as programs that are started
anew do. Whatever is not an answer with what was put is a lost request, kept with its words.
"""

import http.client
import json
import os
import ssl
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from load import b64  # noqa: E402

SECONDS_MAX = 5


def context(ca, certificate, key):
    """What Python's ssl takes for a client with these files."""
    made = ssl.create_default_context(cafile=ca)
    made.load_cert_chain(certificate, key)
    return made


def ask(connection, path, **body):
    """One request: (HTTP status, answer's text)."""
    connection.request("POST", "/v3/" + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace")


class Traffic:
    """Puts and gets until `stop`, by (name, CA, certificate, key); each identity both ways."""

    def __init__(self, port, *identities, prefix="app/", tls=context):
        self.port, self.prefix, self.tls = port, prefix, tls
        self.ends, self.lost, self.counts = threading.Event(), [], {}
        self.threads = []
        for name, *files in identities:
            for kind in ("kept", "new"):
                self.counts[f"{name}, {kind}"] = 0
                work = threading.Thread(target=self.work, args=(f"{name}, {kind}", kind == "kept", files), daemon=True)
                self.threads.append(work)
        for thread in self.threads:
            thread.start()

    def work(self, name, keeps, files):
        connection = None
        while not self.ends.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=SECONDS_MAX, context=self.tls(*files))
                self.one(connection, name)
            except Exception as error:  # noqa: BLE001 - whatever it is, a request had no answer
                self.lost.append(f"{name}: {type(error).__name__}: {error}")
                connection = None
                self.ends.wait(0.05)
            if connection and not keeps:
                connection.close()
                connection = None
            self.ends.wait(0.002)

    def one(self, connection, name):
        text = b64(f"{name} {self.counts[name]}")
        key = b64(self.prefix + name)
        for path, body in (("kv/put", {"key": key, "value": text}), ("kv/range", {"key": key})):
            status, answer = ask(connection, path, **body)
            if status != 200:
                raise AssertionError(f"{path}: {status} {answer[:200]}")
        if text not in answer:
            raise AssertionError(f"what was put is not there: {answer[:200]}")
        self.counts[name] += 1

    def stop(self):
        """Ends the clients: None, or what went wrong."""
        self.ends.set()
        for thread in self.threads:
            thread.join(SECONDS_MAX * 3)
        if any(thread.is_alive() for thread in self.threads):
            return "a client had no answer"
        if self.lost:
            return f"{len(self.lost)} requests lost of {sum(self.counts.values())}: {self.lost[:4]}"
        idle = [name for name, count in self.counts.items() if count < 5]
        return f"these did next to nothing: {idle}" if idle else None

    def total(self):
        return sum(self.counts.values())
