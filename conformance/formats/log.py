"""docs/formats/log.md: the log's segments, and what a start believes of them."""

import collections

from sealed import END, HEADER, OVERHEAD, RECORD_MAX, Damage, Fields, Segment, Walk, walk_extents

HEAD, BATCH, HARD_STATE, ENTRY, AUDIT, START = 1, 2, 3, 4, 5, 6
HEAD_END = 242
BATCH_RECORD = 37
SECTOR = 512
ZEROS = bytes(1 << 20)

Head = collections.namedtuple("Head", "predecessor extent hard_state last")
HardState = collections.namedtuple("HardState", "term vote commit")
Entry = collections.namedtuple("Entry", "index term kind data")


def parse_head(payload):
    fields = Fields(payload, HEADER)
    version = fields.number(1)
    if version != 1:
        raise Damage(f"version {version} of the head is not known", HEADER)
    head = Head(fields.number(4), (fields.number(8), fields.number(8), fields.take(32)),
                HardState(fields.number(8), fields.number(8), fields.number(8)), (fields.number(8), fields.number(8)))
    fields.end()
    return head


class Log:
    """What the records read so far say: entries, hard state, last entry."""

    def __init__(self):
        self.entries, self.hard_state, self.last, self.began_after = {}, HardState(0, 0, 0), (0, 0), (0, 0)
        self.batch, self.torn, self.audits, self.lengths = 0, None, 0, {}

    def take_head(self, head, oldest):
        if oldest:
            self.hard_state, self.last, self.began_after = head.hard_state, head.last, head.last
            return
        if head.last != self.last:
            raise Damage(f"its head begins after entry {head.last}, the log before it ends with {self.last}", HEADER)
        if head.hard_state.term < self.hard_state.term or head.hard_state.commit < self.commit():
            raise Damage(f"its head's hard state {tuple(head.hard_state)} is older than the log's, {tuple(self.hard_state)}", HEADER)
        self.hard_state = head.hard_state

    def commit(self):
        return min(self.hard_state.commit, self.last[0])

    def take_batch(self, number, at):
        # Counted from 1 in one life of a process; a life goes on over segments.
        if number not in (1, self.batch + 1):
            raise Damage(f"batch {number} follows batch {self.batch}", at)
        self.batch = number

    def take(self, at, kind, payload):
        fields = Fields(payload, at + 5)
        if kind == HARD_STATE:
            self.hard_state = HardState(fields.number(8), fields.number(8), fields.number(8))
            fields.end()
        elif kind == ENTRY:
            entry = Entry(fields.number(8), fields.number(8), fields.number(1), fields.take(fields.left()))
            if entry.kind > 2:
                raise Damage(f"an entry of the unknown kind {entry.kind}", at)
            # At or below the oldest head's index: superseded what was released, and went with it.
            if entry.index <= self.began_after[0]:
                return
            if not self.began_after[0] < entry.index <= self.last[0] + 1:
                raise Damage(f"entry {entry.index} follows entry {self.last[0]}", at)
            for index in range(entry.index, self.last[0] + 1):
                self.entries.pop(index, None)
            self.entries[entry.index], self.last = entry, (entry.index, entry.term)
        elif kind == AUDIT:
            self.audits += 1
        elif kind == START:
            self.last = self.began_after = fields.number(8), fields.number(8)
            fields.end()
            self.entries.clear()
        else:
            raise Damage(f"a record of type {kind} where none belongs", at)


def zero(data, begin, end=None):
    """Whether these bytes are all zero (a place beyond the end is)."""
    end = len(data) if end is None else min(end, len(data))
    size = 4096
    while begin < end:
        part = data[begin:min(begin + size, end)]
        if part != ZEROS[:len(part)]:
            return False
        begin, size = begin + size, len(ZEROS)
    return True


def begins(data, keyring, number):
    """The head of the segment that begins with these bytes, or the Damage that opening it met."""
    try:
        _, kind, payload = Walk(Segment(data, keyring, 1, number)).next()
        if kind != HEAD:
            raise Damage("its first record is no head", HEADER)
        return parse_head(payload)
    except Damage as damage:
        return damage


def opens(segment, at):
    try:
        return segment.record(at)
    except Damage:
        return None


def missing_sector(data, begin, end, part_begin, part_end):
    """Whether begin..end meets a sector of which the part within part_begin..part_end is all zero, or the end of the file.

    The first three bytes of a record are zero anyway in a short one: a part that ends with them says nothing.
    """
    if part_end > len(data):
        return True
    for sector in range(begin // SECTOR * SECTOR, end, SECTOR):
        low, high = max(sector, part_begin), min(sector + SECTOR, part_end)
        if high > begin + 3 and zero(data, low, high):
            return True
    return False


def another_batch(segment, after):
    """Whether a batch begins anywhere after a place: a record that opens, or one that looks like it and whose successor opens."""
    data, at = segment.data, after
    while (at := data.find(b"\0\0\0\x10\x02", at + 1)) >= 0:
        if opens(segment, at) or opens(segment, at + BATCH_RECORD):
            return True
    return False


def bad_beginning(segment, at):
    """Where a batch should begin, nothing opens: a torn batch, or damage."""
    data = segment.data
    if not missing_sector(data, at, at + BATCH_RECORD, at, at + BATCH_RECORD):
        raise Damage("a record does not open, and no sector of it is missing", at)
    if another_batch(segment, at):
        raise Damage("a record does not open, and a later batch follows", at)


def bad_inside(segment, at, batch, batch_end):
    """Inside a batch whose first record is good, a record does not open."""
    data = segment.data
    if not zero(data, batch_end):
        raise Damage("a record does not open, and a later batch follows", at)
    length, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 5]
    claimed = OVERHEAD + length if length <= RECORD_MAX and kind != b"\0" else 5
    end = min(at + claimed, batch_end)
    if not missing_sector(data, at, end, batch, batch_end):
        raise Damage("a record does not open, and no sector of it is missing", at)


class Batches:
    """Holds the order of records inside batches."""

    ORDER = {HARD_STATE: 1, ENTRY: 2, AUDIT: 3, START: 4}

    def __init__(self, log):
        self.log, self.at, self.end, self.stage = log, HEAD_END, HEAD_END, 0

    def take(self, at, kind, payload, after):
        if at == HEADER:
            return
        if kind == END:
            if at != self.end:
                raise Damage("an end inside a batch", at)
        elif kind == BATCH:
            if at != self.end:
                raise Damage("a batch begins inside another", at)
            fields = Fields(payload, at + 5)
            number, length = fields.number(8), fields.number(8)
            fields.end()
            if length < BATCH_RECORD:
                raise Damage("a batch shorter than its first record", at)
            self.log.take_batch(number, at)
            self.at, self.end, self.stage = at, at + length, 0
        else:
            if at == self.end:
                raise Damage("no batch begins where one should", at)
            if after > self.end:
                raise Damage("a record goes beyond its batch", at)
            stage = self.ORDER.get(kind, 0)
            if stage < self.stage or (stage == self.stage and kind in (HARD_STATE, START)):
                raise Damage(f"a record of type {kind} out of order in its batch", at)
            self.stage = stage
            self.log.take(at, kind, payload)


def read_closed(segment, extent, log):
    """A segment with a successor: what the successor's head says counts."""
    batches, count = Batches(log), 0
    for at, kind, payload in walk_extents(segment, [extent]):
        batches.take(at, kind, payload, at + OVERHEAD + len(payload))
        count += 1
    return extent[0], count


def read_last(segment, log):
    """The last segment: to its end, to nothing but zeros, or to a torn batch. Where it ends, and records."""
    walk, batches, data = Walk(segment), Batches(log), segment.data
    while not walk.ended:
        at = walk.at
        if zero(data, at):
            break
        try:
            _, kind, payload = walk.next()
        except Damage as damage:
            if damage.what == "its end is not that of what was read":
                raise
            if at == batches.end:
                bad_beginning(segment, at)
            else:
                bad_inside(segment, at, batches.at, batches.end)
            log.torn = at
            break
        batches.take(at, kind, payload, walk.at)
    return walk.at, walk.records


def read_log(files, keyring, report):
    """Reads all segments, [(name, number, load)] in growing order; calls report(name, records, bytes, verdict) for each.

    load() gives the bytes, load(n) the first n: most of a file may not be written.
    """
    log = Log()
    files = list(files)
    for (_, before, _), (name, number, _) in zip(files, files[1:]):
        if number != before + 1:
            raise Damage(f"segment {before + 1} is missing before it", None, name)
    heads = [begins(load(HEAD_END), keyring, number) for _, number, load in files]
    while files and isinstance(heads[-1], Damage) and zero(files[-1][2](), HEAD_END):
        report(files.pop()[0], 0, 0, "never began")
        heads.pop()
    for place, (name, number, load) in enumerate(files):
        head, last = heads[place], place + 1 == len(files)
        try:
            if isinstance(head, Damage):
                raise head
            if head.predecessor != number - 1 and not (place == 0 and head.predecessor == 0):
                raise Damage(f"its head names predecessor {head.predecessor}", HEADER)
            log.take_head(head, place == 0)
            if last:
                length, records = read_last(Segment(load(), keyring, 1, number), log)
            else:
                successor = heads[place + 1]
                if isinstance(successor, Damage):
                    raise successor.within(files[place + 1][0])
                if successor.predecessor != number:
                    raise Damage(f"its head names predecessor {successor.predecessor}", HEADER, files[place + 1][0])
                segment = Segment(load(successor.extent[0]), keyring, 1, number)
                length, records = read_closed(segment, successor.extent, log)
        except Damage as damage:
            raise damage.within(name)
        log.lengths[number] = length
        report(name, records, length, f"whole, torn batch at byte {log.torn}" if last and log.torn else "whole")
    return log
