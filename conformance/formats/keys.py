"""docs/formats/key-file.md and keyring.md: from the key file to the data keys."""

import hashlib
import os
import re
import struct

from sealed import PURPOSES, TAMPERED, Damage, Fields, open_box

WRAPS_MAX, WRAP_BYTES_MAX, BODY_BYTES_MAX = 8, 4096, 65536


def parse_key_file(data):
    """(key id as 16 hex digits, the 32 bytes)."""
    def line(at, form, what):
        found = re.compile(form).match(data, at)
        if not found:
            raise Damage(what, at)
        return found

    first = line(0, rb"strongroom-key-1\n", "not a key file of version 1")
    name = line(first.end(), rb"id ([0-9a-f]{16})\n", "its id line is malformed")
    key = line(name.end(), rb"key ([0-9a-f]{64})\n", "its key line is malformed")
    total = line(key.end(), rb"sum ([0-9a-f]{16})\n", "its sum line is malformed")
    if total.end() != len(data):
        raise Damage("something follows its last line", total.end())
    if hashlib.sha256(data[:key.end()]).hexdigest()[:16] != total[1].decode():
        raise Damage("its sum is wrong", total.start())
    return name[1].decode(), bytes.fromhex(key[1].decode())


def read_key_file(path):
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise Damage("group or others can read it", None, path)
        data = file.read(4096)
    name, key = parse_key_file(data)
    if os.path.basename(path) != f"strongroom-{name}.key":
        raise Damage("it has another id than its name", 20)
    return name, key


class Keyring:
    """The member's identity and its data keys by purpose and epoch."""

    def __init__(self, data, key_id, key):
        if data[:8] != b"SRKEYRNG":
            raise Damage("it does not begin like one", 0)
        head = Fields(data)
        head.take(8)
        version = head.number(2)
        if version != 1:
            raise Damage(f"format version {version} is not known", 8)
        if head.number(1) != 1:
            raise Damage("an unknown algorithm", 10)
        wraps = head.number(1)
        if not 1 <= wraps <= WRAPS_MAX:
            raise Damage("its number of wraps is out of range", 11)
        self.cluster, self.member, self.wraps = head.number(8), head.number(8), []
        for _ in range(wraps):
            provider, name, length = head.number(1), head.take(8), head.number(2)
            wrap = head.take(length)
            if length > WRAP_BYTES_MAX:
                raise Damage("a wrap is too long", head.at)
            self.wraps.append((provider, name.hex(), wrap))
        context_end = head.at
        length = head.number(4)
        if length > BODY_BYTES_MAX or length != head.left():
            raise Damage("its length is wrong", context_end)
        root = self._unwrap(key_id, key)
        self.keys = self._keys(open_box(root, b"strongroom keyring v1", data[:context_end], data[head.at:]), context_end)

    def _unwrap(self, key_id, key):
        for provider, name, wrap in self.wraps:
            if (provider, name) == (1, key_id):
                context = struct.pack(">QQ", self.cluster, self.member) + bytes.fromhex(name)
                root = open_box(key, b"strongroom wrap v1", context, wrap)
                if len(root) == 32:
                    return root
        raise Damage(f"no wrap for the key {key_id}: {TAMPERED}", 28)

    @staticmethod
    def _keys(body, at):
        fields, keys, last = Fields(body, at), {}, (0, 0)
        for _ in range(fields.number(2)):
            name = fields.number(1), fields.number(4)
            if name <= last or name[0] not in PURPOSES or name[1] == 0:
                raise Damage("its keys are not in order", at)
            keys[name], last = fields.take(32), name
        fields.end()
        if {purpose for purpose, _ in keys} != set(PURPOSES):
            raise Damage("a purpose has no key", at)
        return keys

    def data_key(self, purpose, epoch):
        try:
            return self.keys[purpose, epoch]
        except KeyError:
            raise Damage(f"no key of epoch {epoch} in the keyring", 12) from None
