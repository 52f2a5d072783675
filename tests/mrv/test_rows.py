"""Canonical bytes of rows."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.errors import CanonicalError
from mrv.signatures.day_digests import column_bytes, row_count

TIMES = np.array([1_000_000, 2_000_000, 3_000_000], np.int64)


def test_bytes_are_as_documented() -> None:
    """An auditor who follows the description would get another hash than the statement's."""
    written = column_bytes(
        TIMES,
        {
            "unit": np.array(["Wh", None, "kW\u00b7h"], object),
            "energy": np.array([5, 6, -7], np.int32),
            "power": np.array([1.5, np.nan, -0.0], np.float32),
            "empty": np.array([None] * 3, object),
        },
    )
    expected = b"tonne-r1" + struct.pack("<QI3q", 3, 3, *TIMES.tolist())
    expected += b"\x06\x00energyi" + b"\x07" + struct.pack("<3q", 5, 6, -7)
    expected += b"\x05\x00powerf" + b"\x05" + struct.pack("<3d", 1.5, 0.0, 0.0)
    expected += b"\x04\x00units" + b"\x05" + struct.pack("<3I", 2, 0, 5)
    expected += "WhkW\u00b7h".encode()
    assert written == expected
    assert row_count(written) == 3


_row = st.tuples(
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    st.floats(allow_infinity=False),
    st.one_of(st.none(), st.text("ab\u00e9", max_size=2)),
)


def _bytes(rows: list[tuple[int, int | None, float, str | None]]) -> bytes:
    columns = {
        "n": np.array([row[1] for row in rows] + [None], object)[:-1],
        "x": np.array([row[2] for row in rows], np.float64),
        "t": np.array([row[3] for row in rows] + [None], object)[:-1],
    }
    return column_bytes(np.array([row[0] for row in rows], np.int64), columns)


@given(st.lists(_row, max_size=8), st.randoms(use_true_random=False))
def test_row_order_does_not_matter(rows: list[tuple[int, None, float, None]], random) -> None:  # type: ignore[no-untyped-def]
    """The hash would depend on the order in which a query or a file returns rows."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert _bytes(rows) == _bytes(shuffled)  # type: ignore[arg-type]


@given(st.lists(_row, min_size=1, max_size=6), st.integers(0, 5), st.integers(1, 1000))
def test_any_changed_value_changes_the_bytes(
    rows: list[tuple[int, int | None, float, str | None]], place: int, step: int
) -> None:
    """A reading could be changed under a signed statement."""
    place %= len(rows)
    time, number, value, text = rows[place]
    changed = [
        (time + step, number, value, text),
        (time, (number or 0) ^ step if number is not None else step, value, text),
        (time, number, value, (text or "") + "a"),
    ]
    for row in changed:
        assert _bytes(rows) != _bytes([*rows[:place], row, *rows[place + 1 :]])
    assert _bytes(rows) != _bytes(rows[:place] + rows[place + 1 :])


def test_sources_that_say_the_same_give_the_same_bytes() -> None:
    """A statement made from the database could not be verified from Parquet files."""
    plain = column_bytes(
        TIMES, {"a": np.array([1, 0, 3], np.int64)}, {"a": np.array([True, False, True])}
    )
    for values, valid in [
        (np.array([1, None, 3], object), None),
        (np.array([1, 99, 3], ">i4"), {"a": np.array([1, 0, 1], np.uint8)}),
        (np.array([1, 2**63, 3], np.uint64), {"a": np.array([True, False, True])}),
        (np.array([True, None, 3], object), None),
    ]:
        assert column_bytes(TIMES, {"a": values}, valid) == plain
    texts = {"a": np.array(["x", "y", ""])}
    assert column_bytes(TIMES, texts) == column_bytes(TIMES, {"a": np.array(["x", "y", ""], "O")})
    big_endian = column_bytes(TIMES.astype(">i8"), {"a": np.array([1.5, 2, 3], ">f8")})
    assert big_endian == column_bytes(TIMES, {"a": np.array([1.5, 2.0, 3.0], object)})


def test_a_channel_added_later_does_not_change_old_days() -> None:
    """A new column of a device class would make every earlier statement unverifiable."""
    energy = {"energy": np.array([1, 2, 3])}
    added = {**energy, "soc": np.full(3, np.nan), "state": np.array([None] * 3, object)}
    assert column_bytes(TIMES, added) == column_bytes(TIMES, energy)


def test_no_rows_have_bytes_too() -> None:
    """A day without readings could not be distinguished from a lost one."""
    empty = column_bytes(np.array([], np.int64), {"a": np.array([], np.float64)})
    assert row_count(empty) == 0
    assert len(empty) == 20


@pytest.mark.parametrize(
    ("values", "valid", "named"),
    [
        (np.array([1, 2]), None, "for each of 3 times"),
        (np.array([1, 2, 3]), np.array([True]), "for each of 3 times"),
        (np.array([1.0, np.inf, 2.0]), None, "infinite"),
        (np.array([1, 2, 2**63], np.uint64), None, "beyond 64 bits"),
        (np.array([1, 2, 2**63], object), None, "beyond 64 bits"),
        (np.array([1, "x", None], object), None, "int, str"),
        (np.array([1, 1.5, None], object), None, "float, int"),
        (np.array([1j, 2, 3]), None, "complex128"),
        (np.array([1, 2, 3], "M8[us]"), None, "datetime64"),
        (np.array([1, 2, 3], np.longdouble), None, "wider"),
    ],
)
def test_what_cannot_be_written_names_the_column(
    values: np.ndarray, valid: np.ndarray | None, named: str
) -> None:
    """A value would be rounded or dropped on its way into the hash."""
    with pytest.raises(CanonicalError) as error:
        column_bytes(TIMES, {"a": values}, None if valid is None else {"a": valid})
    assert "'a'" in str(error.value)
    assert named in str(error.value)


def test_times_are_whole_microseconds() -> None:
    """Times given as floats would lose microseconds."""
    with pytest.raises(CanonicalError, match="time"):
        column_bytes(TIMES.astype(np.float64), {})  # type: ignore[arg-type]


def test_foreign_bytes_have_no_row_count() -> None:
    """Bytes of another format would be sealed as rows."""
    for data in (b"", b"PAR1" + bytes(20), b"tonne-r1"):
        with pytest.raises(CanonicalError, match="column_bytes"):
            row_count(data)


def test_one_text_of_all_rows_is_written_as_any_text_is() -> None:
    """A statement of one quantity would have other digests than the same rows read otherwise."""
    times = np.arange(5, dtype=np.int64)
    item = np.array(["water"], dtype=object)
    once = column_bytes(times, {"quantity": np.broadcast_to(item, (5,))})
    assert once == column_bytes(times, {"quantity": np.repeat(item, 5)})
