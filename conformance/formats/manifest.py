"""docs/formats/manifest.md and freshness.md: the two small sealed files."""

import collections

from sealed import Damage, Fields

Manifest = collections.namedtuple("Manifest", "generation index term hash configuration rooms unused segments")
Listed = collections.namedtuple("Listed", "number extent index")
Mark = collections.namedtuple("Mark", "generation segment bytes")
NO_INDEX = (0, 0, bytes(32))


def extent(fields):
    return fields.number(8), fields.number(8), fields.take(32)


def parse_manifest(payload, generation):
    fields = Fields(payload)
    if fields.number(1) != 2:
        raise Damage("an unknown version of the payload")
    found = fields.number(8)
    index, term, state_hash = fields.number(8), fields.number(8), fields.take(4)
    configuration, rooms, unused = fields.counted(), fields.counted(), fields.number(4)
    segments = [Listed(fields.number(4), extent(fields), extent(fields)) for _ in range(fields.number(4))]
    fields.end()
    if found != generation:
        raise Damage("its generation is not its name")
    numbers = [listed.number for listed in segments]
    if len(set(numbers)) != len(numbers) or any(number >= unused for number in numbers):
        raise Damage("it lists a segment twice, or one that was never used")
    return Manifest(found, index, term, state_hash, configuration, rooms, unused, segments)


def parse_mark(payload):
    fields = Fields(payload)
    if fields.number(1) != 1:
        raise Damage("an unknown version of the payload")
    mark = Mark(fields.number(8), fields.number(4), fields.number(8))
    fields.end()
    return mark
