"""Digest over device-days."""

import json
from datetime import date
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.errors import CanonicalError
from mrv.signatures.day_digests import (
    DayKey,
    DayLeaf,
    Digest,
    column_bytes,
    day_leaf,
    differences,
    digest_leaves,
)


def _rows(*energy: int) -> bytes:
    return column_bytes(np.arange(len(energy)), {"energy_wh": np.array(energy, np.int64)})


def _digest(days: list[tuple[DayKey, bytes]]) -> Digest:
    return digest_leaves(day_leaf(key, data) for key, data in days)


DAYS = [
    (DayKey(device, date(2026, 1, day), table), _rows(day, day + 1))
    for table in ("reading_pv_inverter", "interval_quantity")
    for day in (2, 1, 10)
    for device in ("inv-2", "inv-10")
]


def test_root_is_as_documented() -> None:
    """An auditor who follows the description could not get the statement's root."""
    key = DayKey("inv-1", date(2026, 1, 2), "reading_pv_inverter")
    leaf = json.dumps(
        {
            "day": "2026-01-02",
            "device": "inv-1",
            "rows": 2,
            "sha256": sha256(_rows(3, 4)).hexdigest(),
            "table": "reading_pv_inverter",
        },
        separators=(",", ":"),
    )
    found = _digest([(key, _rows(3, 4))])
    assert found.root == sha256(b"\x00" + leaf.encode()).hexdigest()
    two = _digest([(key, _rows(3, 4)), (key._replace(device="inv-0"), _rows(3, 4))])
    hashes = [one.hash() for one in two.leaves]
    assert two.root == sha256(b"\x01" + hashes[0] + hashes[1]).hexdigest()
    assert [one.device for one in two.leaves] == ["inv-0", "inv-1"]
    assert _digest([]).root == sha256(b"").hexdigest()


@given(st.permutations(DAYS))
def test_order_of_days_does_not_matter(days: list[tuple[DayKey, bytes]]) -> None:
    """Two runs over the same readings would sign different statements."""
    assert _digest(days) == _digest(DAYS)


def test_leaves_survive_json() -> None:
    """The leaves of an evidence pack could not be checked against the root."""
    digest = _digest(DAYS)
    text = json.dumps([leaf.to_json() for leaf in digest.leaves])
    again = digest_leaves(DayLeaf.from_json(record) for record in json.loads(text))
    assert again == digest


@pytest.mark.parametrize(
    "change",
    [{"rows": "2"}, {"rows": True}, {"extra": 1}, {"sha256": "AB"}, {"sha256": 5}, {"day": None}],
)
def test_damaged_leaves_are_refused(change: dict[str, object]) -> None:
    """A leaf list edited by hand would fail far from where it is wrong."""
    record = {**_digest(DAYS).leaves[0].to_json(), **change}
    with pytest.raises(CanonicalError, match="leaf"):
        DayLeaf.from_json(record)


def test_a_day_given_twice_is_refused() -> None:
    """Rows of a day could be counted in two places."""
    with pytest.raises(CanonicalError, match="inv-2 on 2026-01-02 occurs twice"):
        _digest([*DAYS, DAYS[0]])


def test_the_changed_device_day_is_named() -> None:
    """A verifier would learn that something is wrong, but not where to look."""
    was = _digest(DAYS).leaves
    key = DAYS[4][0]
    assert (key.device, key.table) == ("inv-2", "reading_pv_inverter")
    changed = _digest([*DAYS[:4], (key, _rows(10, 12)), *DAYS[5:]]).leaves
    assert [str(found) for found in differences(was, changed)] == [
        "reading_pv_inverter of inv-2 on 2026-01-10: values among its 2 rows were changed"
    ]
    assert differences(was, was) == []


def test_missing_added_and_shortened_days_are_told_apart() -> None:
    """Deleted readings would look like changed ones."""
    leaf = day_leaf(*DAYS[0])
    other = leaf._replace(device="inv-3")
    assert [found.change for found in differences([leaf], [other])] == [
        "rows are missing",
        "2 rows were added",
    ]
    assert differences([leaf], [leaf._replace(rows=1)])[0].change == "2 rows became 1"
