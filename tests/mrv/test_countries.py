"""The grid that applies: countries of sites, and the factors of one country."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from zoneinfo import available_timezones

import pytest

from mrv import countries, factors
from mrv.accounting.live_emissions import compile_bindings
from mrv.countries import country_at
from mrv.errors import CountryFactorError
from mrv.factors import FactorBook, read
from mrv.factors.ledger import Ledger, centres, from_record, published, records_of, to_record
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
    values = {"VN": "0.6592", "IN": "0.7383", "DE": "0.344", "JP": "0.423", "ID": "0.675",
              "TH": "0.351", "PH": "0.525", "KE": "0.274"}  # fmt: skip
    for country, value in values.items():
        book = BOOK.within(country)
        assert book.select("grid", "consumed", IN_2026).text == value
        kinds = {k for k in book.kinds() if k.startswith("grid.")} - {"grid.losses"}
        assert f"grid.{country.lower()}" in kinds
        assert {factors.country_of(k) for k in kinds} == {country}
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


def test_a_grid_of_a_country_goes_before_the_country():
    """
    Electricity of Java would get the mean factor of Indonesia, and the pack would not state the
    grid.
    """
    java, borneo = (BOOK.within(f"ID.{grid}") for grid in ("jamali", "barito"))
    for book, chosen in ((java, "id-jamali-2019"), (borneo, "ifi-2021-grid.id")):
        used = book.select("grid", "consumed", IN_2026)
        assert (used.id, used.provisional) == (chosen, True)
        carried = FactorBook(map(from_record, records_of([used.kind], book))).within(book.grid)
        assert carried.select("grid", "consumed", IN_2026) == used
    assert {factors.national(k)[1] for k in java.kinds()} == {None, "ID", "ID.jamali"}
    with pytest.raises(CountryFactorError, match=r"kind: grid\.np\.east, value"):
        BOOK.within("NP.east").select("grid", "consumed", IN_2026)


def _chosen(book, *days):
    return [book.select("grid", "consumed", date.fromisoformat(day)).id for day in days]


def test_what_a_third_party_states_goes_before_what_tonne_publishes_for_its_days():
    """A city could not enter its regulator's value, and a new release would stop its account."""
    book = BOOK.with_more([_own(documented=True)]).within("DE")
    days = ("2024-12-31", "2025-01-01", "2026-01-01")
    assert _chosen(published(book), *days) == ["de-grid-2024", "own", "own"]
    # what a newer release publishes of a later year counts from there on
    newer = replace(_own(documented=True), valid_from=date(2023, 6, 1))
    assert _chosen(BOOK.with_more([newer]).within("DE"), "2023-05-31", "2023-06-01", *days) == [
        "de-grid-2023", "own", "de-grid-2024", "de-grid-2025", "de-grid-2025"
    ]  # fmt: skip


def test_what_a_registry_file_says_without_a_document_gives_way_to_what_tonne_publishes():
    """An owner's own figure would take the place of the authority's, or stop the whole account."""
    days = ("2024-06-01", "2025-01-01", "2026-01-01")
    book = BOOK.with_more([_own()]).within("DE")
    assert _chosen(book, *days) == ["de-grid-2024", "de-grid-2025", "own"]
    assert _chosen(published(book), *days) == ["de-grid-2024", "de-grid-2025", "de-grid-2025"]
    early = replace(_own(), valid_from=date(2020, 1, 1))
    assert _chosen(BOOK.with_more([early]).within("DE"), "2020-06-01", *days) == [
        "own", "de-grid-2024", "de-grid-2025", "de-grid-2025"
    ]  # fmt: skip


def test_two_of_one_giver_on_one_day_are_refused():
    """Which of two figures counts would be decided by their order in a file."""
    other = replace(_own(documented=True), id="other", valid_from=date(2025, 6, 1))
    with pytest.raises(factors.FactorError, match="are both valid on 2025-06-01"):
        BOOK.with_more([_own(documented=True), other])


def test_the_losses_of_the_country_go_before_the_default_of_all():
    """A grid that loses 5 % would be charged with 20 %."""
    text = OWN.replace("grid.de", "grid.losses.de").replace('"0.363"', '"0.05"')
    (one,) = read(text.replace("tCO2/MWh", "1"), "own.toml")
    book = BOOK.with_more([one])
    assert book.within("DE").select("grid.losses", "consumed", IN_2026).value == Fraction(1, 20)
    assert book.within("FR").select("grid.losses", "consumed", IN_2026).value == Fraction(1, 5)
    # Kenya's are above the default: the default would charge its buses too little
    kenya = book.within("KE").select("grid.losses", "consumed", IN_2026)
    assert (kenya.text, kenya.provisional) == ("0.212", True)


def test_a_pack_carries_the_factors_of_its_country_with_their_documents():
    """An auditor would have no factor to compute by, or not the document that states it."""
    book = BOOK.with_more([_own(documented=True)]).within("DE")
    records = records_of(["grid"], book)
    assert {r["id"] for r in records} == {
        "own", "ifi-2021-grid.de", "de-grid-2023", "de-grid-2024", "de-grid-2025"
    }  # fmt: skip
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
