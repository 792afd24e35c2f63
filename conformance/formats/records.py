"""docs/formats/records.md: the store's records and what they say."""

import collections

from sealed import Damage, Fields

PUT, DELETION, COMPACTION, LEASE, LEASE_GONE, ALARM, ALARM_GONE, MEMBER, MEMBER_GONE, CLUSTER_VERSION, DOWNGRADE = range(1, 12)
POLICY, USER, USER_GONE, ROLE, ROLE_GONE, TERMS, IDENTITY, IDENTITY_GONE = range(12, 20)
AUTHORITY, AUTHORITY_GONE, HOLDER, HOLDER_GONE, ISSUED, ISSUED_GONE, TOKEN, TOKEN_GONE = range(20, 28)

Pair = collections.namedtuple("Pair", "key create_revision mod_revision version value lease")
NAMES = {1: "key", 2: "create_revision", 3: "mod_revision", 4: "version", 5: "value", 6: "lease"}
TEXTS = (1, 5)


def signed(fields):
    return int.from_bytes(fields.take(8), "big", signed=True)


def varint(data, at):
    """A protobuf number of at most 64 bits: (value, where it ends)."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Damage("cut varint")
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            if value >= 1 << 64:
                break
            return value, at
    raise Damage("varint beyond 64 bits")


def int64(value):
    return value - (1 << 64) if value >> 63 else value


def message(data):
    """A protobuf message as {field: [numbers or bytes, in order]}; groups and fixed numbers are in none of ours."""
    found, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        value, at = varint(data, at)
        if tag & 7 == 2:
            if value > len(data) - at:
                raise Damage("length beyond the end")
            value, at = data[at:at + value], at + value
        elif tag & 7:
            raise Damage("an unknown wire type")
        found.setdefault(tag >> 3, []).append(value)
    return found


def pair(data):
    """A KeyValue: exactly etcd's encoding, fields in ascending order, none twice."""
    fields = message(data)
    if list(fields) != sorted(fields) or any(len(values) > 1 for values in fields.values()) or set(fields) - set(NAMES):
        raise Damage("no pair: a field is unknown, repeated or out of order")
    values = dict.fromkeys(NAMES.values(), 0) | {"key": b"", "value": b""}
    for field, (value,) in fields.items():
        if isinstance(value, bytes) != (field in TEXTS):
            raise Damage("no pair: a field has another wire type")
        values[NAMES[field]] = value if field in TEXTS else int64(value)
    return Pair(**values)


def varint_bytes(value):
    out = b""
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def without_value(payload):
    """A put's payload as the index of its segment has it: the field `value` left out."""
    whole = pair(payload[12:])
    out = payload[:12]
    for field, name in NAMES.items():
        value = getattr(whole, name)
        if name == "value" or not value:
            continue
        if field in TEXTS:
            out += bytes([field << 3 | 2]) + varint_bytes(len(value)) + value
        else:
            out += bytes([field << 3]) + varint_bytes(value % (1 << 64))
    return out


def index_entry(kind, offset, payload):
    """What the index says of a record."""
    if kind not in (PUT, DELETION):
        return payload
    return offset.to_bytes(4, "big") + len(payload).to_bytes(4, "big") + without_value(payload)


def text(fields):
    try:
        return fields.counted().decode()
    except UnicodeDecodeError:
        raise Damage("text that is not utf-8") from None


def texts(fields):
    return [text(fields) for _ in range(fields.number(4))]


def flag(fields):
    value = fields.number(1)
    if value > 1:
        raise Damage("a flag that is neither 0 nor 1")
    return bool(value)


def permission(fields):
    """(kind, key, end of the range), as etcd writes them; a kind that nobody knows is kept."""
    return int.from_bytes(fields.take(4), "big", signed=True), fields.counted(), fields.counted()


class State:
    """What the records in their order add up to."""

    def __init__(self):
        self.pairs, self.leases, self.alarms, self.members = {}, {}, set(), {}
        self.at, self.compacted, self.cluster_version, self.downgrade = (1, 0), -1, "", ""
        self.access_is_on, self.access_revision, self.users, self.roles = False, 1, {}, {}
        self.denied, self.identities = {}, {}
        self.register = {AUTHORITY: {}, HOLDER: {}, ISSUED: {}, TOKEN: {}}

    @staticmethod
    def registered(kind, fields):
        if kind == AUTHORITY:
            of, former = fields.number(1), flag(fields)
            certificates = [fields.counted() for _ in range(fields.number(4))]
            keys = [(text(fields), fields.counted()) for _ in range(fields.number(4))]
            if of not in (1, 2, 3):
                raise Damage("an unknown kind of authority")
            return of, former, certificates, keys
        if kind == HOLDER:
            return text(fields), flag(fields), fields.counted()
        if kind == ISSUED:
            authority, role = text(fields), fields.number(1)
            if role not in (1, 2, 3, 4):
                raise Damage("an unknown role")
            return authority, role, text(fields), texts(fields), fields.number(8), fields.number(8), text(fields), fields.number(8)
        hashed, roles = fields.counted(), fields.counted()
        if len(hashed) != 32 or set(roles) - {1, 2, 3, 4}:
            raise Damage("no hash, or an unknown role")
        return hashed, roles, text(fields), texts(fields), fields.number(8), fields.number(8), text(fields)

    @property
    def revision(self):
        return max(self.at[0], self.compacted)

    def take(self, kind, payload):
        fields = Fields(payload)
        if kind in (PUT, DELETION):
            at = signed(fields), fields.number(4)
            if at[0] < 2 or at <= self.at:
                raise Damage(f"revision {at} after {self.at}")
            self.at = at
            found = pair(fields.take(fields.left()))
            if kind == DELETION:
                self.pairs.pop(found.key, None)
            elif found.mod_revision != at[0]:
                raise Damage("a pair of another revision than its record")
            else:
                self.pairs[found.key] = found
        elif kind == COMPACTION:
            self.compacted = max(self.compacted, signed(fields))
        elif kind == LEASE:
            name = signed(fields)
            self.leases[name] = signed(fields), signed(fields)
        elif kind == LEASE_GONE:
            self.leases.pop(signed(fields), None)
        elif kind in (ALARM, ALARM_GONE):
            alarm = fields.number(8), fields.number(1)
            if alarm[1] not in (1, 2):
                raise Damage("unknown alarm")
            (self.alarms.add if kind == ALARM else self.alarms.discard)(alarm)
        elif kind == MEMBER:
            name, learner = fields.number(8), flag(fields)
            self.members[name] = learner, text(fields), texts(fields), texts(fields)
        elif kind == MEMBER_GONE:
            self.members.pop(fields.number(8), None)
        elif kind == CLUSTER_VERSION:
            self.cluster_version = text(fields)
        elif kind == DOWNGRADE:
            self.downgrade = text(fields)
        elif kind == POLICY:
            self.access_is_on, self.access_revision = flag(fields), fields.number(8)
        elif kind == USER:
            name, has_no_password, hashed, roles = text(fields), flag(fields), fields.counted(), texts(fields)
            if [r.encode() for r in roles] != sorted({r.encode() for r in roles}):
                raise Damage("roles out of order, or one twice")
            self.users[name] = has_no_password, hashed, roles
        elif kind == USER_GONE:
            self.users.pop(text(fields), None)
        elif kind == ROLE:
            name = text(fields)
            self.roles[name] = [permission(fields) for _ in range(fields.number(4))]
        elif kind == ROLE_GONE:
            name = text(fields)
            self.roles.pop(name, None)
            self.denied.pop(name, None)
        elif kind == TERMS:
            name = text(fields)
            self.denied[name] = [permission(fields) for _ in range(fields.number(4))]
            texts(fields), texts(fields)
            fields.take(24)
        elif kind == IDENTITY:
            name, matcher = text(fields), fields.number(1)
            if matcher not in (1, 2, 3, 4):
                raise Damage("an unknown matcher")
            value = tuple(text(fields) for _ in range(3)) if matcher == 4 else text(fields)
            self.identities[name] = matcher, value, text(fields)
        elif kind == IDENTITY_GONE:
            self.identities.pop(text(fields), None)
        elif kind in self.register:
            name = text(fields)
            self.register[kind][name] = self.registered(kind, fields)
        elif kind in (AUTHORITY_GONE, HOLDER_GONE, ISSUED_GONE, TOKEN_GONE):
            self.register[kind - 1].pop(text(fields), None)
        else:
            raise Damage(f"a record of the unknown type {kind}")
        fields.end()
