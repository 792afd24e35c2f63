"""docs/formats/records.md, "Entries": what a log entry after the manifest's does to the state. Knows keys, leases and alarms."""

from records import Pair, int64, message
from sealed import Damage

NOSPACE, CORRUPT = 1, 2
LEASE_TTL_MAX = 9_000_000_000
PUT, DELETE, TXN, COMPACT, GRANT, REVOKE, ALARM, CHECKPOINT = 4, 5, 6, 7, 8, 9, 10, 11
#: Requests without effect on keys: a range; version, member's attributes, downgrade.
SILENT = {3, 1300, 1301, 1302}


class Refused(Exception):
    """The entry has no effect, as its proposer was told."""


class Request:
    """A protobuf message with the values of absent fields."""

    def __init__(self, data):
        self.fields = message(data)

    def number(self, field):
        return int64(self.fields.get(field, [0])[-1])

    def bytes(self, field):
        return self.fields.get(field, [b""])[-1]

    def all(self, field):
        return [Request(data) for data in self.fields.get(field, [])]

    def one(self, field):
        return Request(self.bytes(field))


def in_range(key, end):
    """The test for keys of etcd's (key, range_end)."""
    if not end:
        return lambda k: k == key
    if end == b"\0":
        return lambda k: k >= key
    return lambda k: key <= k < end


class Writing:
    """One entry: what it changes becomes one revision."""

    def __init__(self, state):
        self.state, self.pairs, self.sub = state, dict(state.pairs), 0
        self.revision = state.revision + 1

    def put(self, request):
        key = request.bytes(1)
        before, kept = self.pairs.get(key), self.pairs.get(key) or self.state.pairs.get(key)
        value = kept.value if request.number(5) else request.bytes(2)
        lease = kept.lease if request.number(6) else request.number(3)
        created, version = (before.create_revision, before.version + 1) if before else (self.revision, 1)
        self.pairs[key] = Pair(key, created, self.revision, version, value, lease)
        self.sub += 1

    def delete(self, key, end=b""):
        wanted = in_range(key, end)
        for key in [k for k in self.pairs if wanted(k)]:
            del self.pairs[key]
            self.sub += 1

    def finish(self):
        if self.sub:
            self.state.pairs, self.state.at = self.pairs, (self.revision, self.sub - 1)


def check_put(state, request):
    lease = request.number(3)
    if not request.number(6) and lease and lease not in state.leases:
        raise Refused("no such lease")
    if (request.number(5) or request.number(6)) and request.bytes(1) not in state.pairs:
        raise Refused("no such key")


def holds(state, compare):
    wanted = in_range(compare.bytes(3), compare.bytes(64))
    found = [pair for key, pair in state.pairs.items() if wanted(key)]
    target, relation = compare.number(2), compare.number(1)
    if target == 3:
        sides = [(pair.value, compare.bytes(7)) for pair in found]
        if not found:
            return False
    else:
        try:
            name, field = {0: ("version", 4), 1: ("create_revision", 5), 2: ("mod_revision", 6), 4: ("lease", 8)}[target]
        except KeyError:
            raise Damage("a comparison of an unknown target") from None
        sides = [(getattr(pair, name), compare.number(field)) for pair in found] or [(0, compare.number(field))]
    relates = {0: lambda a, b: a == b, 1: lambda a, b: a > b, 2: lambda a, b: a < b, 3: lambda a, b: a != b}
    return all(relates.get(relation, lambda *_: True)(a, b) for a, b in sides)


def choose(state, txn):
    """The operations that a transaction and those within it come to, by the state before it."""
    taken = txn.all(2 if all(holds(state, compare) for compare in txn.all(1)) else 3)
    ops = []
    for op in taken:
        if 4 in op.fields:
            ops += choose(state, op.one(4))
        else:
            kind = next((kind for kind in (1, 2, 3) if kind in op.fields), None)
            if kind is None:
                raise Damage("an empty operation in a transaction")
            ops.append((kind, op.one(kind)))
    return ops


def txn(state, request):
    ops = choose(state, request)
    for kind, op in ops:
        if kind == 1 and op.number(4) and not state.compacted <= op.number(4) <= state.revision:
            raise Refused("a revision of the future, or compacted")
        if kind == 2:
            check_put(state, op)
    writing = Writing(state)
    for kind, op in ops:
        if kind == 2:
            writing.put(op)
        elif kind == 3:
            writing.delete(op.bytes(1), op.bytes(2))
    writing.finish()


def needs_room(kind, request):
    """Whether a standing NOSPACE alarm refuses it."""
    def ops(txn, field):
        return any(2 in op.fields or (4 in op.fields and needs_room(TXN, op.one(4))) for op in txn.all(field))

    return kind in (PUT, GRANT) or (kind == TXN and (ops(request, 2) or ops(request, 3)))


def apply_request(state, kind, request):
    stands = {alarm for _, alarm in state.alarms}
    if CORRUPT in stands and kind in (PUT, DELETE, TXN, COMPACT, GRANT, REVOKE):
        raise Refused("corrupt")
    if NOSPACE in stands and needs_room(kind, request):
        raise Refused("no space")
    if kind == PUT:
        check_put(state, request)
        writing = Writing(state)
        writing.put(request)
        writing.finish()
    elif kind == DELETE:
        writing = Writing(state)
        writing.delete(request.bytes(1), request.bytes(2))
        writing.finish()
    elif kind == TXN:
        txn(state, request)
    elif kind == COMPACT:
        if not state.compacted < request.number(1) <= state.revision:
            raise Refused("compacted, or of the future")
        state.compacted = request.number(1)
    elif kind == GRANT:
        ttl, name = request.number(1), request.number(2)
        if not name or ttl > LEASE_TTL_MAX or name in state.leases:
            raise Refused("no lease can be made so")
        state.leases[name] = ttl, 0
    elif kind == REVOKE:
        name = request.number(1)
        if name not in state.leases:
            raise Refused("no such lease")
        writing = Writing(state)
        for key in sorted(key for key, pair in state.pairs.items() if pair.lease == name):
            writing.delete(key)
        writing.finish()
        del state.leases[name]
    elif kind == CHECKPOINT:
        for lease in request.all(1):
            if lease.number(1) in state.leases:
                state.leases[lease.number(1)] = state.leases[lease.number(1)][0], lease.number(2)
    elif kind == ALARM:
        alarm = request.number(2) % (1 << 64), request.number(3)
        if request.number(1) == 1 and alarm[1]:
            state.alarms.add(alarm)
        elif request.number(1) == 2:
            state.alarms.discard(alarm)


def apply(state, entry):
    """One committed entry."""
    if entry.kind or not entry.data:
        return
    request = Request(entry.data)
    kind = next((kind for kind in (PUT, TXN, DELETE, COMPACT, GRANT, REVOKE, CHECKPOINT, ALARM) if kind in request.fields), None)
    if kind is None:
        if not SILENT & set(request.fields):
            raise Damage(f"entry {entry.index}: a request this version does not know")
        return
    try:
        apply_request(state, kind, request.one(kind))
    except Refused:
        pass
