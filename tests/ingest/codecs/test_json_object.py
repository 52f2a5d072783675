"""Plain JSON: one bad value does not cost its neighbours."""

import json

import pytest

from tests.ingest.reading_messages import read, reasons, rows


@pytest.mark.parametrize("bad", ["7", True, [1], {"a": 1}, 10**400])
def test_one_bad_value_keeps_the_others(bad):
    """A firmware that sends one state as text would lose a fleet's energy."""
    payload = [
        {"ts": 1767225600000, "id": 1, "values": {"energy_export_kwh": 1, "state": bad}},
        {"ts": 1767225660000, "id": 2, "values": {"energy_export_kwh": 2.5, "state": 4}},
    ]
    decoded = read(json.dumps(payload), device_class="pv_inverter")
    assert [row["energy_export_wh"] for row in rows(decoded)] == [1000, 2500]
    assert ["state" in row for row in rows(decoded)] == [False, True]
    assert reasons(decoded) == ["not_a_number"]
    assert "'state' is" in decoded.rejected[0].detail
    assert [reading.id for reading in decoded.seen[0]] == [1, 2]


def test_a_reading_of_bad_values_alone_is_refused_once():
    """A dead letter would tell two causes of one fault."""
    decoded = read('{"ts": 1767225600000, "values": {"state": "on"}}', device_class="pv_inverter")
    assert rows(decoded) == []
    assert reasons(decoded) == ["not_a_number"]
