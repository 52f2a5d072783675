"""Query results read as columns: single rows, and runs of arrays."""

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.model import NULL
from services.store.postgres.binary_copy import fetch_runs
from tests.soak import often

TYPES = {"at": "timestamptz", "whole": "int8", "real": "float8"}
ROW = st.tuples(
    st.integers(-(10**15), 10**15),
    st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
)
QUERY = (
    "SELECT run, array_agg(at ORDER BY row),"
    f" CASE WHEN count(whole) > 0 THEN array_agg(coalesce(whole, ({NULL})) ORDER BY row) END,"
    " CASE WHEN count(real) > 0 THEN array_agg(coalesce(real, 'NaN') ORDER BY row) END"
    " FROM lines GROUP BY run ORDER BY run DESC"
)


@pytest.fixture(scope="module")
def cursor(timescale):
    """Return a cursor with a table of rows that belong to runs."""
    with psycopg.connect(timescale.url) as connection, connection.cursor() as opened:
        opened.execute(
            "CREATE TEMP TABLE lines"
            " (row int, run int, at timestamptz, whole bigint, real double precision)"
        )
        yield opened


@settings(deadline=None, max_examples=often(30, 60), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(ROW, min_size=1, max_size=9), max_size=5))
def test_runs_come_as_they_are_stored(cursor, runs):
    """A period would be closed over readings that no one sent."""
    flat = [(number, *row) for number, run in enumerate(runs) for row in run]
    cursor.execute("TRUNCATE lines")
    cursor.executemany(
        "INSERT INTO lines VALUES (%s, %s, 'epoch'::timestamptz + %s * interval '1 us', %s, %s)",
        [(row, *line) for row, line in enumerate(flat)],
    )
    found = fetch_runs(cursor, QUERY, (), TYPES)
    assert found.run.tolist() == [number for number, *_ in flat]
    assert found.columns["at"].tolist() == [at for _, at, *_ in flat]
    wanted = [NULL if whole is None else whole for _, _, whole, _ in flat]
    assert found.columns["whole"].tolist() == wanted
    assert found.columns["whole"].dtype == np.int64
    real = [np.nan if real is None else real for *_, real in flat]
    assert np.array_equal(found.columns["real"], np.array(real, dtype=np.float64), equal_nan=True)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT 1, ARRAY[now()], ARRAY[1::bigint, NULL], NULL", "contains a NULL"),
        ("SELECT 1, ARRAY[now()], ARRAY[1::int], NULL", "not an array of int8"),
        ("SELECT 1, ARRAY[now()], ARRAY[1, 2]::bigint[], NULL", "have different lengths"),
        ("SELECT 1, ARRAY[now()], NULL", "2 columns instead of 3"),
    ],
)
def test_what_is_no_run_is_refused(cursor, query, says):
    """A column would be read as another one's bytes."""
    with pytest.raises(ValueError, match=says):
        fetch_runs(cursor, query, (), TYPES)
    cursor.connection.rollback()
    cursor.execute(
        "CREATE TEMP TABLE IF NOT EXISTS lines"
        " (row int, run int, at timestamptz, whole bigint, real double precision)"
    )


def test_a_value_that_no_run_has_costs_one(cursor):
    """Closing a month of meters with twelve channels would carry ten empty ones along."""
    query = "SELECT k, ARRAY[now(), now()], NULL, NULL FROM generate_series(1, 3) k"
    found = fetch_runs(cursor, query, (), TYPES)
    assert found.run.tolist() == [1, 1, 2, 2, 3, 3]
    assert found.columns["whole"].strides == (0,)
    assert found.columns["whole"].tolist() == [NULL] * 6
    assert np.isnan(found.columns["real"]).all()
