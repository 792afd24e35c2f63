"""docs/formats/vectors: every case through this decoder, which must say what the case expects."""

import os

import keys
import log
import manifest
import sealed


def cases(path):
    """[(name, bytes, expected)] of one file."""
    found, known, name, data = [], {}, None, b""
    for line in open(path, encoding="utf-8").read().split("\n"):
        word, _, rest = line.partition(" ")
        if not line or line.startswith("#"):
            continue
        if word == "case":
            name, data = rest, b""
        elif word == "bytes":
            data = bytes.fromhex(rest)
        elif word == "text":
            data = rest.replace("\\n", "\n").encode()
        elif word == "from":
            data = known[rest]
        elif word == "set":
            at, value = rest.split()
            at, value = int(at), bytes.fromhex(value)
            data = data[:at] + value + data[at + len(value):]
        elif word == "cut":
            data = data[:int(rest)]
        elif word == "add":
            data += bytes.fromhex(rest)
        elif word == "expect":
            known[name] = data
            found.append((name, data, rest))
        else:
            raise SystemExit(f"{path}: the line {line[:60]!r} has no meaning in its README")
    return found


def text(data):
    return data.decode("utf-8", "backslashreplace")


def segment(data, keyring, purpose):
    walk, said = sealed.Walk(sealed.Segment(data, keyring, purpose, 7)), []
    while not walk.ended:
        at, kind, payload = walk.next()
        said.append("end" if kind == sealed.END else f"{at} {kind} {text(payload)}")
    return ", ".join(said)


def one_log(data, keyring):
    found = log.read_log([("1", 1, lambda length=None: data[:length])], keyring, lambda *_: None)
    said = [f"{e.index} {text(e.data)}" for e in found.entries.values()]
    said.append(f"term {found.hard_state.term} vote {found.hard_state.vote} commit {found.commit()}")
    return ", ".join(said) + (f", torn at {found.torn}" if found.torn else "")


def one_manifest(data, _):
    found = manifest.parse_manifest(data, 7)
    if found.segments:
        raise sealed.Damage("the manifest lists it, but it is not there")
    return (f"entry {found.index} term {found.term} hash {found.hash.hex().lstrip('0')} conf {text(found.configuration)} "
            f"meta {text(found.rooms)} segments {len(found.segments)}")


def run(directory):
    """(passed, [what failed])."""
    def path(name):
        return os.path.join(directory, name + ".txt")

    key = keys.parse_key_file(cases(path("key-file"))[0][1])
    ring = keys.Keyring(cases(path("keyring"))[0][1], *key)

    def keyring(data, _):
        found = keys.Keyring(data, *key)
        return f"member {found.member:016x} of cluster {found.cluster:016x}, {len(found.wraps)} wrap"

    readers = {
        "key-file": lambda data, _: keys.parse_key_file(data)[0],
        "keyring": keyring,
        "sealed-file": lambda data, ring: text(sealed.sealed_file(data, ring, 7, 7)),
        "segment": lambda data, ring: segment(data, ring, 1),
        "segment-unchained": lambda data, ring: segment(data, ring, 2),
        "log": one_log,
        "manifest": one_manifest,
    }
    passed, failed = 0, []
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".txt"):
            continue
        for case, data, expected in cases(path(name[:-4])):
            try:
                said = "ok " + readers[name[:-4]](data, ring)
                good = said == expected
            except sealed.Damage as damage:
                said = f"error {damage.what}"
                good = expected.startswith("error ") and expected[6:] in said
            if good:
                passed += 1
            else:
                failed.append(f"{name}, case {case}: {said!r}, expected {expected!r}")
    return passed, failed
