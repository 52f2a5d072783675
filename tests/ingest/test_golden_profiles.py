"""Each device model's own cases: what it sends, and what must be read from it."""

import json
from pathlib import Path

import pytest

from ingest import columns, profiles
from ingest.reading import SIGNED_VALUE
from tests.every import every
from tests.ingest.reading_messages import read, reasons, rows

_LINES = (Path(__file__).parents[1] / "golden_profiles/cases.jsonl").read_text("utf-8")
CASES = [json.loads(line) for line in _LINES.splitlines()]


def test_a_device_is_read_as_its_maker_says():
    """A technician's device would be stored in a wrong unit, or from a wrong register."""

    @every(CASES)
    def _(case):
        decoded = read(
            json.dumps(case["payload"]),
            device_class=case["class"],
            profile=case["profile"],
            content_type=case.get("content_type"),
        )
        found = rows(decoded)
        assert [row.keys() for row in found] == [row.keys() for row in case["readings"]]
        for row, expected in zip(found, case["readings"], strict=True):
            assert row == pytest.approx(expected, rel=1e-12, abs=0)
            assert {type(v) for v in row.values()} <= {int, float}
        told = reasons(decoded)
        assert [reason for reason in told if reason != SIGNED_VALUE] == case.get("rejected", [])
        assert told.count(SIGNED_VALUE) == case.get("signed", 0)


def test_every_profile_has_a_case():
    """A profile that nobody ever read a payload with would be a guess."""
    held = {(case["class"], case["profile"]) for case in CASES}
    # the profiles of our own payload follow from the classes, and test_classes sends each channel
    made = {key for key in profiles.load() if key[1] == profiles.OWN}
    assert held | made == profiles.load().keys()


def test_every_profile_speaks_of_channels_and_units_that_there_are():
    """A slip in a profile would stop the pipeline when its first device sends."""

    @every((key,) for key in profiles.load())
    def _(key):
        assert columns.slots(*key)
        assert profiles.load()[key].source
