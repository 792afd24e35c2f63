"""A whole data directory with its key: every file, in the order in which each vouches for the next."""

import collections
import os
import re

from entries import apply
from keys import Keyring, read_key_file
from log import read_log
from manifest import NO_INDEX, parse_manifest, parse_mark
from records import State, index_entry
from sealed import END, Damage, Segment, sealed_file, walk_extents

Row = collections.namedtuple("Row", "file purpose records bytes verdict")
NAMES = (
    ("keyring", re.compile(r"keyring"), 10),
    ("manifest", re.compile(r"manifest-([0-9a-f]{16})"), 16),
    ("log", re.compile(r"log/([0-9a-f]{16})\.log"), 16),
    ("store", re.compile(r"store/([0-9a-f]{8})\.store"), 16),
    ("index", re.compile(r"store/([0-9a-f]{8})\.index"), 16),
)


class CannotOpen(Exception):
    """Nothing could be checked: no directory, no key, no keyring."""


class Checked:
    """What was found: rows for every file, the damage, and the state at the end of the log."""

    def __init__(self, path):
        self.path, self.rows, self.damage, self.state, self.last, self.commit = path, [], [], None, None, None

    def row(self, file, purpose, records, length, verdict):
        self.rows.append(Row(file, purpose, records, length, verdict))

    def damaged(self, damage, purpose):
        if (damage.file, damage.offset, damage.what) not in [(d.file, d.offset, d.what) for d in self.damage]:
            self.damage.append(damage)
            self.rows = [row for row in self.rows if row.file != damage.file]
            self.row(damage.file, purpose, 0, 0, "DAMAGED: " + str(damage).split(": ", 1)[-1] + (
                "" if damage.offset is None else f" (byte {damage.offset})"))


def read(path, length=-1):
    with open(path, "rb") as file:
        return file.read(length)


def files_below(path):
    """{purpose: {number: name}} and the names that are none of the format's."""
    found, others = {purpose: {} for purpose, _, _ in NAMES}, []
    for parent, directories, names in os.walk(path):
        directories.sort()
        for name in sorted(names):
            name = os.path.relpath(os.path.join(parent, name), path)
            for purpose, form, base in NAMES:
                match = form.fullmatch(name)
                if match:
                    found[purpose][int(match[1], base) if match.groups() else 0] = name
                    break
            else:
                others.append(name)
    return found, others


def key_for(path, key):
    """The key file: itself, or in a directory the one that the keyring's first wrap names."""
    if not os.path.isdir(key):
        return key
    head = read(os.path.join(path, "keyring"), 37)
    return os.path.join(key, f"strongroom-{head[29:37].hex()}.key")


def open_keyring(path, key):
    try:
        key = key_for(path, key)
        try:
            name, secret = read_key_file(key)
        except Damage as damage:
            raise damage.within(key) from None
        try:
            return key, Keyring(read(os.path.join(path, "keyring")), name, secret)
        except Damage as damage:
            raise damage.within("keyring") from None
    except (Damage, OSError) as why:
        raise CannotOpen(str(why)) from None


def check_manifests(checked, ring, found):
    """The last two generations: those that open, newest first."""
    good, kept = [], sorted(found["manifest"])[-2:]
    for generation, name in sorted(found["manifest"].items()):
        if generation not in kept:
            checked.row(name, "manifest", 0, 0, "superseded, not read")
            continue
        try:
            data = read(os.path.join(checked.path, name))
            good.insert(0, parse_manifest(sealed_file(data, ring, 5, generation), generation))
            checked.row(name, "manifest", 2, len(data), "whole")
        except Damage as damage:
            checked.damaged(damage.within(name), "manifest")
    if not kept:
        checked.damaged(Damage("there is none", None, "manifest"), "manifest")
    elif len(kept) == 1 and kept[0] > 1:
        checked.damaged(Damage("the one before it is not there", None, found["manifest"][kept[0]]), "manifest")
    return good


def check_store_file(checked, ring, found, kind, purpose, number, extents, take):
    """One listed segment or index, record by record."""
    form = f"store/{number:08x}.{kind}"
    try:
        if number not in found[kind]:
            raise Damage("the manifest lists it, but it is not there")
        segment = Segment(read(os.path.join(checked.path, form), max(length for length, _, _ in extents)), ring, purpose, number)
        count = 0
        for at, record, payload in walk_extents(segment, extents):
            count += 1
            try:
                take(at, record, payload)
            except Damage as damage:
                damage.offset = at
                raise
        checked.row(form, kind, count, max(length for length, _, _ in extents), "whole")
        return True
    except Damage as damage:
        checked.damaged(damage.within(form), kind)
        return False


def check_store(checked, ring, found, manifests):
    """Every segment and index that a kept manifest lists; the state of the newest."""
    state, whole = State(), True
    listed, newest = {}, manifests[0]
    for manifest in manifests:
        for segment in manifest.segments:
            listed.setdefault(segment.number, []).append(segment)
    order = [segment.number for segment in newest.segments]
    for number in order + sorted(set(listed) - set(order)):
        counts = next((s.extent[0] for s in newest.segments if s.number == number), 0)
        records = []

        def take(at, kind, payload):
            if kind != END and at < counts:
                state.take(kind, payload)
            records.append((at, kind, payload))

        whole &= check_store_file(checked, ring, found, "store", 2, number, [s.extent for s in listed[number]], take)
        indexes = [s.index for s in listed[number] if s.index != NO_INDEX]
        if indexes:
            left = iter(records)

            def compare(at, kind, payload):
                place, known, whole_payload = next(left, (0, 0, b""))
                if kind != known or (kind != END and payload != index_entry(kind, place, whole_payload)):
                    raise Damage(f"its entry is not that of the record at byte {place}")

            if check_store_file(checked, ring, found, "index", 6, number, indexes, compare) and next(left, None):
                checked.damaged(Damage("it lacks entries", None, f"store/{number:08x}.index"), "index")
    for kind in ("store", "index"):
        for number, name in sorted(found[kind].items()):
            if number not in listed or (kind == "index" and all(s.index == NO_INDEX for s in listed[number])):
                checked.row(name, kind, 0, 0, "not listed, not read")
    return state if whole else None


def check_log(checked, ring, found, newest):
    def loader(name):
        return lambda length=-1: read(os.path.join(checked.path, name), length)

    files = [(name, number, loader(name)) for number, name in sorted(found["log"].items())]
    report = lambda name, records, length, verdict: checked.row(name, "log", records, length, verdict)  # noqa: E731
    try:
        log = read_log(files, ring, report)
    except Damage as damage:
        checked.damaged(damage, "log")
        for name, _, _ in files:
            if name not in [row.file for row in checked.rows]:
                checked.row(name, "log", 0, 0, "not read: the log is damaged")
        return None
    checked.last, checked.commit = log.last, log.commit()
    try:
        if newest and not log.began_after[0] <= newest.index <= log.last[0]:
            raise Damage(f"it holds the entries after {log.began_after[0]} to {log.last[0]}, the store ends with {newest.index}")
        entry = newest and log.entries.get(newest.index)
        if entry and entry.term != newest.term:
            raise Damage(f"entry {entry.index} is of term {entry.term}, in the manifest of {newest.term}")
    except Damage as damage:
        checked.damaged(damage.within(files[-1][0] if files else "log"), "log")
        return None
    return log


def check_mark(checked, ring, key, newest, log):
    name = f"strongroom-{ring.member:016x}-{ring.wraps[0][1]}.mark"
    path = os.path.join(os.path.dirname(key), name)
    if not os.path.exists(path):
        return
    try:
        data = read(path)
        mark = parse_mark(sealed_file(data, ring, 7, None))
        checked.row(name, "freshness", 2, len(data), "whole")
        if newest and newest.generation < mark.generation:
            raise Damage(f"rolled back: the mark knows manifest {mark.generation}, the newest here is {newest.generation}",
                         None, f"manifest-{newest.generation:016x}")
        if log and log.lengths and (max(log.lengths) < mark.segment or log.lengths.get(mark.segment, mark.bytes) < mark.bytes):
            raise Damage(f"rolled back: the mark knows {mark.bytes} bytes of segment {mark.segment}",
                         None, f"log/{min(max(log.lengths), mark.segment):016x}.log")
    except Damage as damage:
        checked.damaged(damage.within(name), "freshness")


def check(path, key):
    """Opens and checks it all; CannotOpen where key or keyring do not open."""
    if not os.path.isdir(path):
        raise CannotOpen(f"{path}: no directory")
    key, ring = open_keyring(path, key)
    checked, (found, others) = Checked(path), files_below(path)
    checked.row("keyring", "keyring", len(ring.keys), os.path.getsize(os.path.join(path, "keyring")), "whole")
    manifests = check_manifests(checked, ring, found)
    newest = manifests[0] if manifests else None
    state = check_store(checked, ring, found, manifests) if manifests else None
    log = check_log(checked, ring, found, newest)
    check_mark(checked, ring, key, newest, log)
    if state and log:
        try:
            # A member alone commits all that its log holds; of others, what lies beyond the commit index may yet be superseded.
            for index in range(newest.index + 1, log.last[0] + 1):
                apply(state, log.entries[index])
            checked.state = state
        except Damage as damage:
            checked.damaged(damage.within(found["log"][max(found["log"])]), "log")
    for name in others:
        checked.row(name, "", 0, 0, "cut short, not read" if name.endswith(".tmp") else "not of the format, not read")
    return checked
