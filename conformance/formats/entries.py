"""docs/formats/records.md, "Entries": what a log entry after the manifest's does to the state."""

import base64
import binascii

from records import Pair, int64, message
from sealed import Damage

NOSPACE, CORRUPT = 1, 2
LEASE_TTL_MAX = 9_000_000_000
PUT, DELETE, TXN, COMPACT, GRANT, REVOKE, ALARM, CHECKPOINT = 4, 5, 6, 7, 8, 9, 10, 11
AUTHENTICATE = 1012
ACCESS = ENABLE, DISABLE, USER_ADD, USER_DELETE, PASSWORD, GRANT_ROLE, REVOKE_ROLE, ROLE_ADD, ROLE_DELETE, PERMIT, FORBID = (
    1000, 1011, 1100, 1101, 1103, 1104, 1105, 1200, 1201, 1203, 1204)
#: Requests without effect on keys or accounts: a range, questions about accounts, a token given; version, member's attributes, downgrade.
SILENT = {3, 1013, 1102, 1106, 1107, 1202, AUTHENTICATE, 1300, 1301, 1302}
#: Acts of our own.
SET_ROLE, SET_IDENTITY, REMOVE_IDENTITY, CERTIFICATES = 10, 11, 12, 13
ROOT = "root"


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


def check_alarms(state, kind, request):
    stands = {alarm for _, alarm in state.alarms}
    if CORRUPT in stands and kind in (PUT, DELETE, TXN, COMPACT, GRANT, REVOKE):
        raise Refused("corrupt")
    if NOSPACE in stands and needs_room(kind, request):
        raise Refused("no space")


def apply_request(state, kind, request):
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


def accesses(state, kind, request):
    """[(key, end, whether to write)] that a request needs, of both branches of a transaction, and of the keys of its leases."""
    def on_lease(lease):
        return [(key, b"", True) for key, pair in state.pairs.items() if lease and pair.lease == lease]

    if kind == PUT:
        key, lease = request.bytes(1), 0 if request.number(6) else request.number(3)
        return [(key, b"", True), *([(key, b"", False)] if request.number(4) else []), *on_lease(lease)]
    if kind == DELETE:
        key, end = request.bytes(1), request.bytes(2)
        return [(key, end, True), *([(key, end, False)] if request.number(3) else [])]
    if kind == REVOKE:
        return on_lease(request.number(1))
    if kind != TXN:
        return []
    needed = [(compare.bytes(3), compare.bytes(64), False) for compare in request.all(1)]
    for op in request.all(2) + request.all(3):
        if 1 in op.fields:
            needed.append((op.one(1).bytes(1), op.one(1).bytes(2), False))
        for field, inner in ((2, PUT), (3, DELETE), (4, TXN)):
            if field in op.fields:
                needed += accesses(state, inner, op.one(field))
    return needed


def reach(key, end):
    """The first key beyond a range; None for none. An inverted range stands for its first key."""
    return None if end == b"\0" else max(end, key + b"\0") if end > key else key + b"\0"


def overlap(one, other):
    beyond = [reach(*one), reach(*other)]
    return (beyond[1] is None or one[0] < beyond[1]) and (beyond[0] is None or other[0] < beyond[0])


def covers(granted, key, end):
    """Whether permissions that touch or overlap come, taken together, to the whole range (an inverted one: its first key)."""
    last, at = reach(key, end), key
    for first, beyond in sorted(((f, reach(f, e)) for f, e in granted), key=lambda r: r[0]):
        if first <= at and (beyond is None or beyond > at):
            if beyond is None or last is not None and beyond >= last:
                return True
            at = beyond
    return False


def check_policy(state, kind, request, name, known):
    """Whether the user whom an entry names may have it done."""
    if not state.access_is_on:
        return
    roles = state.users[name][2] if name in state.users else []
    if kind in ACCESS:
        if ROOT not in roles:
            raise Refused("no administrator")
        return
    needed = accesses(state, kind, request)
    if kind == REVOKE and ROOT in roles or not needed:
        return
    if not known or known < state.access_revision or name not in state.users:
        raise Refused("nobody, or recognized by an old policy")
    if ROOT in roles:
        return
    for key, end, to_write in needed:
        denied = [(k, e) for role in roles for how, k, e in state.denied.get(role, []) if how == 2 or how == int(to_write)]
        if any(overlap((key, end), there) for there in denied):
            raise Refused("denied")
        granted = [(k, e) for role in roles for how, k, e in state.roles.get(role, []) if how == 2 or how == int(to_write)]
        if not covers(granted, key, end):
            raise Refused("not permitted")


def text(request, field):
    return request.bytes(field).decode()


def hashed(request, field):
    try:
        return base64.b64decode(request.bytes(field), validate=True)
    except binascii.Error:
        raise Damage("a hash that is not base64") from None


def known(accounts, name):
    if name not in accounts:
        raise Refused("no such user or role")
    return accounts[name]


def is_permission(key, end):
    return bool(key) and (end in (b"", b"\0") or end > key)


def change_user(state, kind, request):
    name = text(request, 1)
    if kind == USER_ADD:
        if not name or name in state.users:
            raise Refused("a name that is empty or taken")
        without = bool(request.one(3).number(1))
        state.users[name] = without, b"" if without else hashed(request, 4), []
        return
    without, password, roles = known(state.users, name)
    if kind == USER_DELETE:
        if state.access_is_on and name == ROOT:
            raise Refused("root stays")
        del state.users[name]
    elif kind == PASSWORD:
        state.users[name] = without, b"" if without else hashed(request, 3), roles
    else:
        role = text(request, 2)
        if kind == GRANT_ROLE:
            if role != ROOT:
                known(state.roles, role)
            if role in roles:
                return False
            roles = sorted([*roles, role], key=str.encode)
        elif role not in roles or state.access_is_on and name == role == ROOT:
            raise Refused("a role that is not held, or root's own")
        else:
            roles = [held for held in roles if held != role]
        state.users[name] = without, password, roles
    return True


def change_role(state, kind, request):
    name = text(request, 1)
    if kind == ROLE_ADD:
        if not name or name in state.roles:
            raise Refused("a name that is empty or taken")
        state.roles[name] = []
        return
    if kind == ROLE_DELETE and state.access_is_on and name == ROOT:
        raise Refused("root stays")
    permission = request.one(2) if kind == PERMIT else None
    if kind == PERMIT and not (2 in request.fields and is_permission(permission.bytes(2), permission.bytes(3))):
        raise Refused("no permission")
    held = known(state.roles, name)
    if kind == ROLE_DELETE:
        del state.roles[name]
        state.denied.pop(name, None)
        for user, (without, password, roles) in state.users.items():
            state.users[user] = without, password, [role for role in roles if role != name]
    elif kind == PERMIT:
        given = permission.number(1), permission.bytes(2), permission.bytes(3)
        state.roles[name] = sorted([p for p in held if p[1:] != given[1:]] + [given], key=lambda p: p[1:])
    else:
        left = [p for p in held if p[1:] != (request.bytes(2), request.bytes(3))]
        if left == held:
            raise Refused("not granted")
        state.roles[name] = left


def change_access(state, kind, request):
    """A change of the accounts; all but turning access control on, and what is so already, count as one."""
    if kind == ENABLE:
        if ROOT not in known(state.users, ROOT)[2]:
            raise Refused("no root")
        state.access_is_on = True
        return
    if kind == DISABLE:
        if not state.access_is_on:
            return
        state.access_is_on = False
    elif kind in (USER_ADD, USER_DELETE, PASSWORD, GRANT_ROLE, REVOKE_ROLE):
        if change_user(state, kind, request) is False:
            return
    else:
        change_role(state, kind, request)
    state.access_revision += 1


def change_own(state, entry):
    """An entry of our own: what etcd has no request for."""
    request = Request(entry.data[1:])
    kind = next((kind for kind in (SET_ROLE, SET_IDENTITY, REMOVE_IDENTITY, CERTIFICATES) if kind in request.fields), None)
    if kind is None:
        raise Damage(f"entry {entry.index}: an act this version does not know")
    act = request.one(kind)
    if state.access_is_on and ROOT not in state.users.get(text(request, 2), (0, 0, []))[2]:
        raise Refused("no administrator")
    if kind == CERTIFICATES:
        # The register's; nothing of keys or accounts.
        return
    if kind == SET_ROLE:
        role, denied = text(act, 1), [(p.number(1), p.bytes(2), p.bytes(3)) for p in act.one(2).all(1)]
        known(state.roles, role)
        if role == ROOT or not all(is_permission(key, end) for _, key, end in denied):
            raise Refused("no terms")
        state.denied[role] = denied
    elif kind == SET_IDENTITY:
        rule = act.one(1)
        if not rule.bytes(1) or not rule.bytes(5):
            raise Refused("a rule without a name or a user")
        matcher = next((matcher for matcher in (2, 3, 4, 6) if matcher in rule.fields), None)
        if matcher is None:
            raise Damage("an unknown matcher")
        if matcher == 6:
            claim = rule.one(6)
            state.identities[text(rule, 1)] = 4, (text(claim, 1), text(claim, 2), text(claim, 3)), text(rule, 5)
        else:
            state.identities[text(rule, 1)] = matcher - 1, text(rule, matcher), text(rule, 5)
    else:
        known(state.identities, text(act, 1))
        del state.identities[text(act, 1)]
    state.access_revision += 1


def apply(state, entry):
    """One committed entry."""
    if entry.kind or not entry.data:
        return
    if entry.data[0] == 0:
        try:
            return change_own(state, entry)
        except Refused:
            return
    request = Request(entry.data)
    kind = next((kind for kind in (PUT, TXN, DELETE, COMPACT, GRANT, REVOKE, CHECKPOINT, ALARM, *ACCESS) if kind in request.fields), None)
    if kind is None:
        if not SILENT & set(request.fields):
            raise Damage(f"entry {entry.index}: a request this version does not know")
        return
    header = request.one(100)
    try:
        check_alarms(state, kind, request.one(kind))
        check_policy(state, kind, request.one(kind), text(header, 2), header.number(3) % (1 << 64))
        (change_access if kind in ACCESS else apply_request)(state, kind, request.one(kind))
    except Refused:
        pass
