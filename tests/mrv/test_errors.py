"""
Errors of statements.

Texts of findings: every code has words in every language, and no other code has.

Conditions of methodologies: codes with values, in each language, and as 0.1.0 signed them.
"""

import ast
import pickle
import re
import string
from fractions import Fraction
from pathlib import Path

import pytest

from ingest.errors import InputError
from mrv import methodologies
from mrv.accounting.rounded_figures import findings
from mrv.errors import VerificationError
from mrv.model import Candidate, CandidateDevice, Reductions
from mrv.rounding import significant
from mrv.rules import titled
from mrv.texts import (
    RELEASE_0_1_0,
    Text,
    joined,
    joint,
    languages,
    lines,
    plain,
    render,
    text,
    words,
)

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
    assert titled(certified.rule, "vi").startswith("AMS-I.D, giám sát: thiết bị đo")
    assert joined(certified.lines, "vi") == "m-1 không có giấy chứng nhận hiệu chuẩn"
    assert joined(certified.lines, "ja") == "m-1に校正証明書がない"
    assert joined(certified.lines, "de") == "m-1 hat keinen Kalibrierschein"
    assert joined(limit.lines, "vi").startswith("capacity_mw = 1.200 vượt 15")
    assert titled(limit.rule) == "AMS-I.D limit, capacity of 15 MW"
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


ROOT = Path(__file__).parents[2]


def _literals():
    """Yield strings of the product's code, and whether they begin a call of `text`."""
    for folder in ("mrv", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            yield from ((one, False) for one in re.findall(r"\"([^\"\s]*\.[^\"\s]*)\"", source))
            if "text(" not in source:
                continue
            for node in ast.walk(ast.parse(source)):
                called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                if called and node.func.id == "text" and node.args:
                    yield from ((one, True) for one in _strings(node.args[0]))


def _strings(tree):
    found = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return (one for one in found if isinstance(one, str) and "." in one)


def test_no_text_stays_in_english():
    """A reader of another language would get a sentence in English."""
    for code, pattern in words("en").items():
        literals = [literal for literal, *_ in string.Formatter().parse(pattern)]
        if any(map(str.isalpha, "".join(literals))):
            for language in languages()[1:]:
                assert words(language)[code] != pattern, (language, code)


def test_words_are_those_of_the_texts_that_the_product_makes():
    """A finding would be shown as its code, or unused texts would be kept permanently."""
    known, literals = words("en").keys(), set(_literals())
    made = {one for one, called in literals if called}
    begun = tuple(one for one in made if one.endswith(("_", ".")))  # a code that is put together
    assert {one for one in made - known if one not in begun} == set()
    said = {one for one, _ in literals}
    clauses = {
        f"clause.{one.clause}"
        for method in methodologies.load().values()
        for one in (*method.applicability, *method.conditions, methodologies.hosted(()))
    }
    assert {one for one in known if one.startswith("clause.")} == clauses
    assert {one for one in known - said - clauses if not one.startswith(begun)} == set()


@pytest.mark.parametrize(
    ("language", "shown"), [("en", "1,234.5 %"), ("vi", "1.234,5%"), ("ja", "1,234.5%")]
)
def test_numbers_have_the_form_of_the_language(language, shown):
    """A Vietnamese reader would take 1,234.5 t for one tonne and a bit."""
    one = text(
        "cross_check.differs", kind=text("cross_check.invoice"), against="evn-1",
        devices=("inv-1", "inv-2"), percent="1234.5", tolerance="4", effect="-0.25",
    )  # fmt: skip
    assert shown in render(one, language)
    assert "inv-1, inv-2" in render(one, language)


def test_a_code_of_another_release_is_shown_with_its_values():
    """A finding of a later release would be shown without its values."""
    one = text("MTR-99.odd", device="inv-1", wh=5)
    assert render(one, "vi") == "MTR-99.odd (device = inv-1, wh = 5)"
    assert list(one.named("device")) == ["inv-1"]
    assert list(text("a.b", device=("a", "b"), why=one).named("device")) == ["a", "b", "inv-1"]


def test_more_lines_than_are_shown_are_counted():
    """A finding about two thousand meters would be two thousand lines."""
    found = lines([*plain("a"), *plain("b"), *plain("c")], 2)
    assert joined(found) == "a; b; and 1 more"
    assert plain("") == ()


def test_texts_are_ordered_and_equal_by_their_values():
    """Which of two equal bounds gives its reason would be left to chance."""
    assert text("a.b", x=1, y=2) == Text("a.b", (("x", 1), ("y", 2)))
    assert text("a.b", x=1) < text("a.c", x=0)
    assert len({text("a.b", x=1), text("a.b", x=1)}) == 1


def test_a_failed_step_says_which_what_and_what_to_do() -> None:
    """An auditor would read that a pack is wrong, but not where or what to do."""
    error = VerificationError("3 readings", "root is ab, not cd", "ask for the readings again")
    assert str(error) == "3 readings: root is ab, not cd; ask for the readings again"
    assert isinstance(error, InputError)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes, as a process pool sends
    assert (again.step, again.what, again.remedy) == (error.step, error.what, error.remedy)
