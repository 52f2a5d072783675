"""Columns through PostgreSQL's binary COPY and back, value for value."""

import math

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.model import NULL
from services.store.postgres.binary_copy import Blob, Float8, Int8, Text, Time, Words, encode
from tests.soak import often

NAMES = ["", "a", "inv-001", "Nhà máy", "x" * 64]
INT8 = st.integers(-(2**63) + 1, 2**63 - 1)
TIMES = st.integers(-60_000_000_000_000_000, 200_000_000_000_000_000)
ROW = st.tuples(
    st.integers(0, len(NAMES) - 1),
    st.none() | INT8,
    st.none() | st.floats(allow_nan=False),
    st.none() | TIMES,
    st.none() | st.binary(max_size=40),
    st.none() | st.sampled_from(['{"a": "out_of_range"}', "[]", '"é"']),
)


@pytest.fixture(scope="module")
def cursor(timescale):
    """A cursor with a table of every kind of column."""
    with psycopg.connect(timescale.url) as connection, connection.cursor() as opened:
        opened.execute("SET timezone = 'UTC'")
        opened.execute(
            "CREATE TEMP TABLE kinds (row bigint, name text, whole bigint, real double precision,"
            " at timestamptz, raw bytea, document jsonb)"
        )
        yield opened


@settings(deadline=None, max_examples=often(30, 60), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROW, max_size=20))
def test_what_goes_in_comes_out(cursor, rows):
    """A register that changes by one in storage is a wrong tonne that no one can explain."""
    name, whole, real, at, raw, document = zip(*rows, strict=True) if rows else [()] * 6
    fields = [
        Int8(np.arange(len(rows), dtype=np.int64)),
        Text(Words.of(NAMES), np.array(name, dtype=np.int32)),
        Int8(_int64(whole)),
        Float8(np.array([np.nan if v is None else v for v in real], dtype=np.float64)),
        Time(_int64(at)),
        Blob(raw),
        Blob([None if d is None else d.encode() for d in document], version=b"\x01"),
    ]
    cursor.execute("TRUNCATE kinds")
    with cursor.copy("COPY kinds FROM STDIN (FORMAT binary)") as copy:
        copy.write(encode(fields, len(rows)))
    cursor.execute(
        "SELECT name, whole, real, (extract(epoch FROM at) * 1000000)::bigint, raw,"
        " document::text FROM kinds ORDER BY row"
    )
    found = cursor.fetchall()
    assert found == [(NAMES[row[0]], *row[1:]) for row in rows]
    for (_, _, back, *_), row in zip(found, rows, strict=True):  # minus zero too
        assert back is None or math.copysign(1, back) == math.copysign(1, row[2])


def _int64(values):
    return np.array([NULL if v is None else v for v in values], dtype=np.int64)
