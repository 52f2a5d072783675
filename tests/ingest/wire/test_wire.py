"""Records between bridge and worker: content is unchanged, and invalid content is rejected."""

import hashlib
import struct
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import classes
from ingest.decode import Rejected
from ingest.model import NULL, Device, Fleet, Frame
from ingest.wire import Parcel, WireError, decode, encode, partition_of, sort
from tests.soak import often

from . import schema_1

CLASSES = ("pv_inverter", "vehicle", "air_station")
FLEET = Fleet([Device(f"dev-{i}", "s", CLASSES[i % 3]) for i in range(9)])
TEXT = st.text(max_size=12)
INTEGERS = st.integers(NULL, 2**53)


@st.composite
def frames(draw, class_id: str, messages: int) -> Frame:
    n = draw(st.integers(1, 6))
    members = [i for i, d in enumerate(FLEET.devices) if d.class_id == class_id]
    pick = st.lists(st.sampled_from(members), min_size=n, max_size=n)
    columns = {}
    for name, channel in classes.load()[class_id].channels.items():
        register = channel.kind == "register"
        values = draw(st.lists(INTEGERS if register else st.floats(), min_size=n, max_size=n))
        columns[name] = np.array(values, dtype=np.int64 if register else np.float64)
    return Frame(
        class_id,
        np.array(draw(pick), dtype=np.int32),
        np.array(draw(st.lists(INTEGERS, min_size=n, max_size=n)), dtype=np.int64),
        np.sort(
            np.array(
                draw(st.lists(st.integers(0, messages - 1), min_size=n, max_size=n)), dtype=np.int32
            )
        ),
        columns,
        draw(st.dictionaries(st.integers(0, n - 1), st.dictionaries(TEXT, TEXT, min_size=1))),
    )


@st.composite
def parcels(draw) -> Parcel:
    n = draw(st.integers(1, 8))

    def of(strategy):
        return draw(st.lists(strategy, min_size=n, max_size=n))

    refusals = st.builds(Rejected, st.integers(0, n - 1), TEXT, TEXT)
    return Parcel(
        of(TEXT),
        of(st.binary(max_size=30)),
        of(st.none() | TEXT),
        of(st.booleans()),
        of(TEXT),
        draw(st.integers(0, 2**52)),
        [draw(frames(c, n)) for c in CLASSES if draw(st.booleans())],
        draw(st.lists(refusals, max_size=4)),
    )


def same(one: Parcel, two: Parcel) -> None:
    for name in ("topics", "payloads", "content_types", "repeated", "codecs", "received_us"):
        assert getattr(one, name) == getattr(two, name), name
    assert one.rejected == two.rejected
    assert len(one.frames) == len(two.frames)
    for a, b in zip(one.frames, two.frames, strict=True):
        assert (a.class_id, a.flags) == (b.class_id, b.flags)
        assert list(a.columns) == list(b.columns)
        for name, values in a.columns.items():
            np.testing.assert_array_equal(values, b.columns[name], name)
            assert values.dtype == b.columns[name].dtype
        for name in ("device", "time_us", "message"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)
            assert getattr(a, name).dtype == getattr(b, name).dtype


@settings(max_examples=often(30, 60), deadline=None)
@given(parcels())
def test_a_parcel_comes_out_as_it_went_in(parcel):
    """A value that changed on the way would be a tonne that no one measured."""
    same(parcel, decode(encode(parcel, FLEET), FLEET))
    same(parcel, decode(schema_1.encode(parcel, FLEET), FLEET))


@settings(max_examples=often(20, 40), deadline=None)
@given(parcels(), st.integers(1, 5), st.data())
def test_sorting_loses_and_doubles_nothing(parcel, partitions, data):
    """A message in no partition is lost; one in two is counted twice."""
    keys = data.draw(
        st.lists(st.sampled_from(["a", "b", "c"]), min_size=len(parcel), max_size=len(parcel))
    )
    parts = sort(parcel, np.array([partition_of(key, partitions) for key in keys], np.int32))
    assert sum(len(p) for p in parts.values()) == len(parcel)
    rows = sum(len(f) for f in parcel.frames)
    assert sum(len(f) for p in parts.values() for f in p.frames) == rows
    assert sum(len(p.rejected) for p in parts.values()) == len(parcel.rejected)
    for number, part in parts.items():
        kept = [k for k, key in enumerate(keys) if partition_of(key, partitions) == number]
        assert part.payloads == [parcel.payloads[k] for k in kept]
        same(part, parcel.take(np.array(kept, np.int32)))


def small() -> Parcel:
    columns = {
        name: np.array([5], dtype=np.int64 if c.kind == "register" else np.float64)
        for name, c in classes.load()["vehicle"].channels.items()
    }
    one = np.array([1], dtype=np.int64)
    frame = Frame("vehicle", one.astype(np.int32), one, np.zeros(1, np.int32), columns)
    return Parcel(["t"], [b"p"], [None], [False], ["json"], 7, [frame], [])


WRITERS = pytest.mark.parametrize("write", [encode, schema_1.encode], ids=["schema-2", "schema-1"])


@WRITERS
def test_every_truncation_is_told(write):
    """Half a record stored as a whole one would lose the other half without a message."""
    record = write(small(), FLEET)
    for end in range(len(record)):
        with pytest.raises(WireError):
            decode(record[:end], FLEET)


def resealed(record: bytes, content: bytes) -> bytes:
    """Return other content in a record of the same schema, with its own digest."""
    return record[:6] + hashlib.sha256(content).digest() + content


@WRITERS
@settings(max_examples=often(30, 60), deadline=None)
@given(at=st.integers(0, 10_000), value=st.integers(0, 255), end=st.integers(0, 10_000))
def test_a_record_of_a_foreign_hand_is_refused_or_read(write, at, value, end):
    """One record with a right digest and wrong content would end every worker that reads it."""
    record = write(small(), FLEET)
    content = bytearray(record[38:])
    content[at % len(content)] = value
    with suppress(WireError):  # and nothing else
        decode(resealed(record, bytes(content[: max(1, end % (2 * len(content)))])), FLEET)


def test_a_length_that_cannot_be_is_refused_before_memory_is_taken():
    """A record of a few bytes that promises four gigabytes would take a worker down."""
    record = encode(small(), FLEET)
    with pytest.raises(WireError, match="cannot be unpacked to"):
        decode(resealed(record, struct.pack(">I", 2**32 - 1) + record[42:]), FLEET)


def test_a_channel_that_changed_its_kind_is_refused():
    """A register read as a gauge is a number that no meter showed."""
    name, channel = next(iter(classes.load()["vehicle"].channels.items()))
    assert channel.kind == "register"
    parcel = small()
    parcel.frames[0].columns[name] = np.array([5.0])
    with pytest.raises(WireError, match="arrived as a gauge"):
        decode(encode(parcel, FLEET), FLEET)


@pytest.mark.parametrize("topic", ["plain", "surrogate \udcff"])
def test_a_topic_that_is_no_utf_8_passes(topic):
    """A device with a strange topic would stop its whole partition."""
    parcel = small()
    parcel.topics = [topic]
    assert decode(encode(parcel, FLEET), FLEET).topics == [topic.replace("\udcff", "?")]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", "foreign_record"),
        (b'{"ts": 1}', "foreign_record"),
        (b"TONW\x00\x63" + bytes(40), "unknown_schema"),
        (b"TONW\x00\x00" + bytes(40), "unknown_schema"),
        (b"TONW\x00\x03" + bytes(40), "unknown_schema"),
        (b"TONW\x00\x01" + bytes(40), "damaged_record"),
        (b"TONW\x00\x02" + bytes(40), "damaged_record"),
    ],
)
def test_what_is_no_parcel_says_so(record, reason):
    """An operator must learn whether to upgrade, to look at the disk or for an intruder."""
    with pytest.raises(WireError) as told:
        decode(record, FLEET)
    assert told.value.reason == reason


def test_devices_travel_by_name():
    """Two registries number devices differently; a reading must not change its owner."""
    other = Fleet([Device("first", "s", "vehicle"), *FLEET.devices])
    assert decode(encode(small(), FLEET), other).frames[0].device.tolist() == [2]


@WRITERS
def test_a_device_that_the_worker_lacks_is_refused_and_kept(write):
    """A reading of a device removed meanwhile must not vanish."""
    for fleet in (Fleet([]), Fleet([Device("dev-1", "s", "pv_inverter")])):
        found = decode(write(small(), FLEET), fleet)
        assert not found.frames
        assert [(r.message, r.reason) for r in found.rejected] == [(0, "unknown_device")]


def test_partitions_are_stable():
    """A release that moved devices between partitions would break their order."""
    assert [partition_of(f"inv-{i:03d}", 8) for i in range(6)] == [1, 7, 5, 3, 0, 6]


def test_run_never_loads_arrow():
    """`tonne run` on a small gateway should not pay for what only Kafka needs."""
    probe = "import sys, ingest.wire, services.cli.run; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
