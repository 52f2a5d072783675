"""
Each codec's own cases: a payload, and its readings or its rejection.

Plain JSON: one bad value does not affect the others.
"""

import json

import pytest

from ingest import decode
from tests.every import every
from tests.ingest.codecs.cases import cases
from tests.ingest.metering import read, reasons, rows


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
    assert (decoded.seen.message, decoded.seen.id) == ([0, 0], [1, 2])


def test_a_reading_of_bad_values_alone_is_refused_once():
    """One fault would have two different reasons in the dead letters."""
    decoded = read('{"ts": 1767225600000, "values": {"state": "on"}}', device_class="pv_inverter")
    assert rows(decoded) == []
    assert reasons(decoded) == ["not_a_number"]


ALL = [(name, case) for name, held in cases().items() for case in held]


@pytest.mark.parametrize("by_type", [True, False], ids=["by its content type", "by its bytes"])
def test_a_payload_is_read_as_its_standard_says(by_type):
    """A device would be stored wrong, or refused for want of a content type."""

    @every(pytest.param(*one, id=f"{one[0]} {one[1]['file']}") for one in ALL)
    def _(name, case):
        codec = next(one for one in decode.CODECS if one.name == name)
        kind = codec.content_types[0] if by_type else case.get("content_type")
        decoded = read(
            case["bytes"], device_class=case["class"], profile=case["profile"], content_type=kind
        )
        assert decoded.codecs == [name]
        assert rows(decoded) == [pytest.approx(row, rel=1e-12, abs=0) for row in case["readings"]]
        assert reasons(decoded) == case.get("rejected", [])


def test_every_codec_has_a_case_and_a_name_of_its_own():
    """A codec without a tested payload would be unproven."""
    assert all(cases().values())
    types = [kind for codec in decode.CODECS for kind in codec.content_types]
    assert len(set(types)) == len(types)
    assert len(cases()) == len(decode.CODECS)
