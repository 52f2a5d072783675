"""Conditions of methodologies: codes with values, in each language, and as 0.1.0 signed them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mrv import methodologies
from mrv.accounting.rounded_figures import findings
from mrv.model import Candidate, CandidateDevice, Reductions
from mrv.quantity_text import significant
from mrv.rules import titled
from mrv.texts import RELEASE_0_1_0, joined, joint, languages, render, text

SMALL = "a small-scale project saves at most 60000 a year; give one year, or use a large-scale"
LIMIT = "a small-scale project reduces at most 60000 a year; give one year, or use"


def _wind(capacity):
    meter = CandidateDevice("m-1", "generation", "energy_meter", 0, nets=False)
    return Candidate({"capacity_mw": capacity}, (meter,), 2026, None, "VN")


def test_a_condition_names_its_meter_and_says_it_in_the_readers_language():
    """A verifier in Hai Phong would get the heart of the statement in English."""
    found = findings(methodologies.find("ams-i-d").applicability, _wind(Fraction(1200)))
    assert [one.devices for one in found] == [("m-1",), ("m-1",), ()]
    certified, _, limit = found
    assert titled(certified.rule, "vi").startswith("AMS-I.D: giám sát, thiết bị đo")
    assert joined(certified.lines, "vi") == "m-1 không có giấy chứng nhận hiệu chuẩn"
    assert joined(certified.lines, "ja") == "m-1に校正証明書がない"
    assert joined(certified.lines, "de") == "m-1 hat keinen Kalibrierschein"
    assert joined(limit.lines, "vi").startswith("capacity_mw = 1.200 vượt 15")
    assert titled(limit.rule) == limit.rule == "AMS-I.D limit: 15 MW"
    assert titled("a clause of another release", "vi") == "a clause of another release"


@pytest.mark.parametrize(
    ("code", "values", "signed"),
    [
        ("capacity", {"mw": "1200000"}, "capacity_mw 1.2e+06 is above 15; a larger plant"),
        ("saved", {"mwh": "1234570", "most": 60_000}, f"1.23457e+06 MWh are saved, and {SMALL}"),
        (
            "reduced",
            {"amount": "64000.126", "most": 60_000},
            f"64000.126 t are reduced, and {LIMIT}",
        ),
        ("no_certificate", {"device": ("a", "b")}, "no calibration certificate for a, b"),
        ("no_role", {"roles": joint("text.or", ["x", "y"])}, "no device has the role x or y"),
        ("weather", {"slope": "1.50", "least": "2"}, "the slope is 1.50 times its standard error"),
    ],
)
def test_a_condition_of_0_1_0_keeps_its_sentence(code, values, signed):
    """A statement of tonne 0.1.0 would not be computed again byte for byte."""
    assert render(text(f"condition.{code}", **values), RELEASE_0_1_0).startswith(signed)


def test_a_number_of_a_condition_has_no_exponent():
    """A reader would take 1.2e+06 for 1.2."""
    assert significant(Fraction(1234567891, 1000)) == "1234570"
    assert significant(Fraction(1, 1_000_000)) == "0.000001"
    sold = Reductions(Fraction(0), Fraction(0), Fraction(0), Fraction(2_000_000))
    (limit,) = methodologies.find("rice-awd").conditions
    for language in languages():
        said = render(limit.test({}, sold), language)
        assert "2,000,000" in said.replace(".", ","), language
