"""The primitives of docs/formats/sealed-segment.md and keyring.md: HKDF, box, segment, record, chain, end, sealed file.

Written from the text alone, so that the text is known to be enough. Reads only; nothing here can seal.
"""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HEADER = 128
OVERHEAD = 21
RECORD_MAX = 1 << 28
END = 255
PURPOSES = {1: "log", 2: "store", 3: "audit", 4: "backup", 5: "manifest", 6: "index", 7: "freshness"}
CHAINED = (1, 3)
TAMPERED = "tampered or wrong key"


class Damage(Exception):
    """What is wrong, and at which byte of the file; the file is filled in by whoever knows its name."""

    def __init__(self, what, offset=None, file=None):
        super().__init__(what)
        self.what, self.offset, self.file = what, offset, file

    def within(self, file):
        self.file = self.file or file
        return self

    def __str__(self):
        place = "" if self.offset is None else f" at byte {self.offset}"
        return f"{self.file}{place}: {self.what}" if self.file else self.what


def extract(salt, ikm):
    return hmac.new(salt, ikm, hashlib.sha256).digest()


def expand(prk, info):
    """32 bytes, which is one block of HKDF-Expand."""
    return hmac.new(prk, info + b"\x01", hashlib.sha256).digest()


class Fields:
    """Takes big-endian numbers and bytes off the front of a payload; says so where it ends too early."""

    def __init__(self, data, base=0):
        self.data, self.at, self.base = data, 0, base

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Damage("cut short", self.base + len(self.data))
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def counted(self, width=4):
        """Bytes behind their length."""
        length = self.number(width)
        if length > len(self.data) - self.at:
            raise Damage("length beyond the end", self.base + self.at)
        return self.take(length)

    def left(self):
        return len(self.data) - self.at

    def end(self):
        if self.left():
            raise Damage("bytes after the end", self.base + self.at)


def open_box(key, label, context, box):
    """A message sealed once (keyring.md, Box)."""
    if len(box) < 80:
        raise Damage("cut short")
    prk = extract(box[:32], key)
    where = label + hashlib.sha256(context).digest()
    if not hmac.compare_digest(expand(prk, b"commitment " + where), box[32:64]):
        raise Damage(TAMPERED)
    try:
        return AESGCM(expand(prk, b"key " + where)).decrypt(bytes(12), box[64:], b"")
    except InvalidTag:
        raise Damage(TAMPERED) from None


class Segment:
    """A segment whose header was checked; opens its records one by one, each at its place. Number None takes any."""

    def __init__(self, data, keyring, purpose, number):
        if len(data) < HEADER:
            raise Damage("cut short", len(data))
        magic, version, algorithm, found, epoch, cluster, member, its_number = struct.unpack(">8sHBBIQQQ", data[:40])
        if magic != b"SRSEGMNT":
            raise Damage("it does not begin like one", 0)
        if version != 1:
            raise Damage(f"format version {version} is not known", 8)
        if algorithm != 1:
            raise Damage("an unknown algorithm", 10)
        if found not in PURPOSES:
            raise Damage("an unknown purpose", 11)
        if any(data[72:96]):
            raise Damage("its reserved bytes are not zero", 72)
        if (found, cluster, member) != (purpose, keyring.cluster, keyring.member) or number not in (None, its_number):
            raise Damage("it is of another purpose, number, member or cluster", 11)
        prk = extract(data[40:72], keyring.data_key(purpose, epoch))
        self.commitment = data[96:128]
        if not hmac.compare_digest(expand(prk, b"strongroom segment commitment v1" + data[:96]), self.commitment):
            raise Damage(TAMPERED, 96)
        self.data, self.number, self.chained = data, its_number, purpose in CHAINED
        self.cipher = AESGCM(expand(prk, b"strongroom segment key v1" + data[:96]))

    def record(self, at):
        """The record at an offset: (type, payload, offset of the next)."""
        data = self.data
        if at + 5 > len(data):
            raise Damage("cut short", at)
        length, kind = struct.unpack(">IB", data[at:at + 5])
        if kind == 0:
            raise Damage("type 0 with a length" if length else "nothing is there", at)
        if length > RECORD_MAX:
            raise Damage("longer than any record", at)
        after = at + OVERHEAD + length
        if after > len(data):
            raise Damage("cut short", at)
        bound = struct.pack(">QQIB", self.number, at, length, kind) + (data[at - 16:at] if self.chained else b"")
        try:
            return kind, self.cipher.decrypt(bytes(4) + struct.pack(">Q", at), data[at + 5:after], bound), after
        except InvalidTag:
            raise Damage(TAMPERED, at) from None


class Walk:
    """Goes through a segment's records in order and keeps the extent: length, records, chain hash."""

    def __init__(self, segment, end_at=None):
        self.segment, self.at, self.records, self.end_at = segment, HEADER, 0, end_at
        self.hash = hashlib.sha256(segment.commitment)
        self.ended = False

    def next(self):
        """The record here: (offset, type, payload). An end record is held against what was read."""
        at = self.at
        kind, payload, after = self.segment.record(at)
        if self.end_at is not None and after > self.end_at:
            raise Damage("a record goes beyond the extent", at)
        if kind == END:
            if payload != struct.pack(">QQ", at, self.records) + self.hash.digest():
                raise Damage("its end is not that of what was read", at)
            self.ended = True
        self.hash.update(self.segment.data[after - 16:after])
        self.at, self.records = after, self.records + 1
        return at, kind, payload

    def extent(self):
        return self.at, self.records, self.hash.digest()


def walk_extents(segment, extents):
    """All records up to the longest of the extents that manifests or a successor name; each must be just that."""
    wanted = {length: (records, chain_hash) for length, records, chain_hash in extents}
    length = max(wanted)
    if length > len(segment.data):
        raise Damage(f"shorter than the {length} bytes that count", len(segment.data))
    walk = Walk(segment, length)
    while walk.at < length:
        if walk.ended:
            raise Damage("records after its end", walk.at)
        yield walk.next()
        if walk.at in wanted and wanted.pop(walk.at) != (walk.records, walk.hash.digest()):
            raise Damage("other records than the ones that count (by number or chain hash)", walk.at)
    if wanted:
        raise Damage("an extent that ends at no record", min(wanted))


def sealed_file(data, keyring, purpose, number):
    """The payload of a sealed file: one record of type 1, an end, not a byte after."""
    walk = Walk(Segment(data, keyring, purpose, number))
    at, kind, payload = walk.next()
    if kind != 1:
        raise Damage(TAMPERED, at)
    at, kind, _ = walk.next()
    if kind != END:
        raise Damage(TAMPERED, at)
    if walk.at != len(data):
        raise Damage("longer than its end, or cut short", walk.at)
    return payload
