"""
Emission factors: direction, validity, source, exact values.

Unverified factors are marked in a period.
"""

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from mrv import factors
from mrv.accounting import entered_values as acceptance
from mrv.accounting.live_emissions import compile_bindings
from mrv.errors import FactorError, MethodologyError
from mrv.factors.ledger import Ledger, book_of, centres, departures, records_of, unpublished
from tests.mrv.plant import BUS, FLEET


def test_factors_that_were_read_need_no_acceptance():
    """Every statement would carry a condition that is not its own."""
    read = [f for f in factors.load() if f.certainty != "M"]
    assert acceptance.unaccepted(read, frozenset()) == []


def test_the_live_account_reads_the_same_parameters():
    """A project that accepts a factor would stop `tonne run`."""
    accepting = {**BUS.parameters, acceptance.KEY: ["ams-iii-c-improvement"]}
    assert compile_bindings([replace(BUS, parameters=accepting)], FLEET, factors.load()).projects


@pytest.mark.parametrize("names", ["ams-iii-c-improvement", [1], {"a": 1}])
def test_what_is_no_list_of_names_is_refused(names):
    """Each letter of a text would count as an accepted factor."""
    with pytest.raises(MethodologyError, match=r"accept_factors = .* must be a list"):
        acceptance.accepted({acceptance.KEY: names}, "p")


ENTRY = """
[[factor]]
id = "a"
kind = "k"
value = "0.1"
unit = "t"
direction = "avoided"
source = "s"
certainty = "M"
verified = false
"""


@pytest.mark.parametrize(
    ("kind", "direction", "at", "value"),
    [
        ("jcm-vn-am007.case-1", "avoided", None, "0.333"),
        ("jcm-vn-am007.case-3", "avoided", date(2030, 1, 1), "0.533"),
        ("grid.vn", "consumed", date(2014, 1, 1), "0.6612"),
        ("grid.vn", "consumed", date(2022, 12, 31), "0.6766"),
        ("diesel.ncv", "avoided", None, "41.4"),
        ("diesel.ncv", "consumed", None, "43.3"),
        ("diesel.ncv", "either", None, "43"),
    ],
)
def test_a_factor_is_found_by_kind_direction_and_day(kind, direction, at, value):
    """A factor is selected by kind, direction and date."""
    factor = factors.load().select(kind, direction, at)
    assert factor.value == Fraction(value)
    assert not factor.provisional


@pytest.mark.parametrize(
    ("kind", "direction"), [("jcm-vn-am007.case-1", "consumed"), ("grid.vn", "avoided")]
)
def test_a_factor_of_the_other_direction_is_refused(kind, direction):
    """0.333 for charging would claim 2,990 t where 798 t are right."""
    with pytest.raises(FactorError, match="overstate"):
        factors.load().select(kind, direction, date(2023, 1, 1))


def test_a_year_without_official_value_is_provisional():
    """A factor of an earlier year is marked as provisional."""
    late = factors.load().select("grid.vn", "consumed", date(2026, 1, 1))
    official = factors.load().select("grid.vn", "consumed", date(2023, 6, 1))
    assert (late.id, late.provisional) == ("vn-grid-2023", True)
    assert late.sha256 == official.sha256


def test_a_day_before_the_first_value_and_an_unknown_kind_are_refused():
    """A guess would appear in a statement as if someone had published it."""
    with pytest.raises(FactorError, match="valid on 2013-12-31"):
        factors.load().select("grid.vn", "consumed", date(2013, 12, 31))
    with pytest.raises(FactorError, match=r"known kinds: .*grid\.vn"):
        factors.load().select("grid.np", "consumed")


def test_every_factor_says_where_it_comes_from():
    """An unverified factor must not be taken for one compared with its source."""
    for factor in factors.load():
        assert factor.source
        assert factor.certainty in {"R", "T", "r", "B", "M"}
        assert not (factor.verified and factor.certainty == "M")
        assert len(factor.sha256) == 64


def test_the_hash_covers_value_and_source():
    """A factor edited in place would keep the statement's hash."""
    (one,) = factors.read(ENTRY, "x")
    (same,) = factors.read(ENTRY.replace("[[factor]]\n", "[[factor]] # note\n"), "x")
    changed = [
        factors.read(ENTRY.replace(*swap), "x")[0].sha256
        for swap in (('"0.1"', '"0.10"'), ('"s"', '"t"'), ("avoided", "either"))
    ]
    assert one.sha256 == same.sha256
    assert len({one.sha256, *changed}) == 4


@pytest.mark.parametrize(
    ("swap", "says"),
    [
        (('"0.1"', "0.1"), "text in quotes"),
        (('"0.1"', '"nan"'), "decimal number"),
        (('"0.1"', '"x"'), "decimal number"),
        (('"avoided"', '"up"'), "direction = 'up'"),
        (("= false", '= "no"'), "true or false"),
        (('unit = "t"', 'units = "t"'), "unknown key 'units'"),
        (("verified", 'valid_from = "2020"\nverified'), "must be a date"),
        (("[[factor]]", "[[factor]"), "x.toml"),
    ],
)
def test_a_wrong_factor_file_is_refused(swap, says):
    """A factor file with an error is rejected."""
    with pytest.raises(FactorError, match=says.replace("[", r"\[")):
        factors.read(ENTRY.replace(*swap), "x.toml")


def test_two_factors_for_one_day_are_refused():
    """Which of two factors is applied would depend on the order of files."""
    twice = factors.read(ENTRY + ENTRY.replace('"a"', '"b"'), "x")
    with pytest.raises(FactorError, match="both valid"):
        factors.FactorBook(twice)


def test_a_ledger_lists_what_was_used():
    """A statement would list factors that it does not rest on, or leave one out."""
    ledger = Ledger(factors.load())
    ledger.select("grid.vn", "consumed", date(2026, 1, 1))
    ledger.select("diesel.co2", "either")
    ledger.select("grid.vn", "consumed", date(2026, 1, 1))
    assert [f.id for f in ledger.used()] == ["diesel-co2", "vn-grid-2023"]


def test_factors_that_a_registry_brought_are_told_from_ours():
    """A verifier would take an operator's number for a published one."""
    text = ENTRY.replace('"k"', '"grid.vn"').replace('"avoided"', '"consumed"')
    (brought,) = factors.read(text + "valid_from = 2031-01-01\n", "t.toml")
    book = factors.load().with_more([brought])
    assert unpublished(book) == ["a"]
    assert unpublished(factors.load()) == []
    assert departures(book) == []
    assert book.select("grid.vn", "consumed", date(2032, 1, 1)).id == "a"
    # one whose id is ours stays out, whatever it says
    assert list(book.with_more([brought])) == list(book)


def row(name, begin=None, end=None, **more):
    """Return a factor of the kind `k`."""
    days = {"valid_from": begin, "valid_to": end}
    entry = {"id": name, "kind": "k", "value": "1", "unit": "t", "direction": "either",
             "source": "s", "certainty": "r", "verified": False, **more}  # fmt: skip
    return factors.parse_entry({**entry, **{k: v for k, v in days.items() if v}}, "x")


def test_bounds_lie_on_either_side_of_the_centre():
    """A bound on the wrong side would raise what it is there to lower."""
    book = factors.load()
    bounds = [f for f in book if f.bound]
    assert {f.bound for f in bounds} == {"lower", "upper"}
    for one in bounds:
        centre = book.select(one.kind, "either")
        assert (one.value < centre.value) == (one.bound == "lower"), one.id
        assert one.direction == {"lower": "avoided", "upper": "consumed"}[one.bound]
        assert "table 1." in one.source


def test_a_factor_that_supersedes_counts_from_its_day_on():
    """A corrected value would rewrite the years before it, or never count."""
    old, new = row("a"), row("b", date(2024, 1, 1), supersedes="a")
    book = factors.FactorBook([old, new])
    assert book.select("k", "either", date(2023, 12, 31)) is old
    assert book.select("k", "either", date(2024, 1, 1)) is new
    assert [f.id for f in book] == ["a", "b"]


def test_a_factor_that_supersedes_all_of_another_leaves_it_in_the_book():
    """A pack with a superseded factor could not be read with the new factor book."""
    span = date(2024, 1, 1), date(2025, 1, 1)
    book = factors.FactorBook([row("a", *span), row("b", *span, supersedes="a")])
    assert book.select("k", "either", date(2024, 6, 1)).id == "b"
    assert [f.id for f in book] == ["a", "b"]
    again = book_of(records_of(["k"], book))
    assert again.select("k", "either", date(2024, 6, 1)).supersedes == "a"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("b", supersedes="a")], "not another factor"),
        ([row("b", supersedes="b")], "not another factor"),
        ([row("a", date(2024, 1, 1)), row("b", supersedes="a")], "before 2024"),
        ([row("a"), row("b", date(2024, 1, 1))], "supersedes"),
        (
            [row("a"), *(row(n, date(2024, 1, 1), supersedes="a") for n in "bc")],
            "is already superseded",
        ),
    ],
)
def test_a_chain_of_factors_that_does_not_hold_is_refused(rows, said):
    """Two values of one day would leave the account to chance."""
    with pytest.raises(FactorError, match=said):
        factors.FactorBook(rows)


def test_older_rules_know_no_bounds():
    """A period that was closed before bounds were asked for would come to other tonnes."""
    book = centres(factors.load())
    assert book.select("diesel.co2", "consumed").text == "74.1"
    assert book.select("diesel.co2", "avoided").text == "74.1"
