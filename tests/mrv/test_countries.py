"""Whose grid counts: countries of sites, and a factor book within one."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from zoneinfo import available_timezones

import pytest

from mrv import countries, factors
from mrv.accounting.live_emissions import compile_bindings
from mrv.countries import country_at
from mrv.errors import CountryFactorError
from mrv.factors import read
from mrv.factors.brought import published
from mrv.factors.centres import centres
from mrv.factors.ledger import Ledger
from mrv.factors.records import from_record, records_of, to_record
from tests.mrv.plant import BUS, FLEET

BOOK = factors.load()
IN_2026 = date(2026, 1, 1)
OWN = """
[[factor]]
id = "own"
kind = "grid.de"
value = "0.363"
unit = "tCO2/MWh"
direction = "consumed"
valid_from = 2025-01-01
source = "made up for this test"
certainty = "R"
verified = true
document = {document = "List", by = "Agency", issued = "2025-04-01", sha256 = "aa"}
"""


def _own(**marks):
    (one,) = read(OWN, "own.toml")
    return replace(one, brought=True, **marks)


def test_the_country_is_the_one_that_is_named_or_the_time_zones():
    """A city would be charged with another country's grid, or with none."""
    assert country_at(None, "Europe/Berlin") == "DE"
    assert country_at(None, "Asia/Saigon") == "VN"
    assert country_at("VN", "Asia/Bangkok") == "VN"
    assert country_at(None, "Asia/Jakarta, from 2030-01-01 Asia/Tokyo") == "ID"
    assert country_at(None, "UTC") is None
    every = [zone for zones in countries.known().values() for zone in zones]
    assert len(every) == len(set(every))
    assert set(every) <= available_timezones()


def test_a_book_answers_for_its_own_country_alone():
    """A German bus would be charged with Viet Nam's grid, which is twice as dirty."""
    for country, value in {"VN": "0.6592", "IN": "0.7383", "DE": "0.313", "KE": "0.274"}.items():
        book = BOOK.within(country)
        assert book.select("grid", "consumed", IN_2026).text == value
        assert {k for k in book.kinds() if k.startswith("grid.")} == {
            "grid.losses", f"grid.{country.lower()}"
        }  # fmt: skip
        for kept in (centres(book), published(book), published(Ledger(book)), book.with_more([])):
            assert kept.select("grid", "consumed", IN_2026).text == value
    with pytest.raises(CountryFactorError, match="country of the project is not known"):
        BOOK.select("grid", "consumed", IN_2026)


@pytest.mark.parametrize(("country", "day"), [("NP", IN_2026), ("DE", date(2019, 1, 1))])
def test_a_country_without_a_factor_says_which_row_brings_one(country, day):
    """Another country's factor would stand in, or the reader would not know what to do."""
    with pytest.raises(CountryFactorError, match=f"the grid of {country} is known for {day}") as no:
        BOOK.within(country).select("grid", "consumed", day)
    assert f"kind: grid.{country.lower()}, value: .., unit: tCO2/MWh" in str(no.value)


def test_what_a_third_party_states_counts_like_a_published_factor():
    """A regulator's own value would be overruled by a default of ten years ago."""
    stated = BOOK.with_more([_own(documented=True)]).within("DE")
    assert published(stated).select("grid", "consumed", IN_2026).id == "own"
    # years that it does not cover keep the default
    assert stated.select("grid", "consumed", date(2024, 1, 1)).id == "ifi-2021-grid.de"
    bare = BOOK.with_more([_own()]).within("DE")
    assert published(bare).select("grid", "consumed", IN_2026).id == "ifi-2021-grid.de"


def test_the_losses_of_the_country_go_before_the_default_of_all():
    """A grid that loses 5 % would be charged with 20 %."""
    text = OWN.replace("grid.de", "grid.losses.de").replace('"0.363"', '"0.05"')
    (one,) = read(text.replace("tCO2/MWh", "1"), "own.toml")
    book = BOOK.with_more([one])
    assert book.within("DE").select("grid.losses", "consumed", IN_2026).value == Fraction(1, 20)
    assert book.within("FR").select("grid.losses", "consumed", IN_2026).value == Fraction(1, 5)


def test_a_pack_carries_the_factors_of_its_country_with_their_documents():
    """An auditor would have no factor to compute by, or not the document that states it."""
    book = BOOK.with_more([_own(documented=True)]).within("DE")
    records = records_of(["grid"], book)
    assert {r["id"] for r in records} == {"own", "ifi-2021-grid.de"}
    assert [from_record(r) for r in records] == [f for f in book if f.kind == "grid.de"]
    changed = to_record(_own()) | {"document": {**_own().document._asdict(), "by": "Owner"}}
    with pytest.raises(factors.FactorError, match="a field was changed"):
        from_record(changed)


def test_a_project_without_a_factor_stops_no_other():
    """Readings of a whole city would wait for one project's missing factor."""
    none = replace(BUS, id="nepal", country="NP")
    both = compile_bindings([BUS, none], FLEET, BOOK)
    alone = compile_bindings([BUS], FLEET, BOOK)
    assert len(both.begin) == len(alone.begin) > 0
