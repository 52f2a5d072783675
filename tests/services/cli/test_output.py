"""How commands print: amounts, counts, times, tables; and what they ask back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ingest.errors import did_you_mean
from services.cli.output import amount_text, bytes_text, counted, mass_text, table, time_text


@pytest.mark.parametrize(
    ("micrograms", "shown"),
    [
        (532_800_000, "532.8 g"),
        (530_000_000_000, "530 kg"),
        (1_500_000_000_000_000, "1,500 t"),
        (12_345_678_000_000, "12.35 t"),
        (-8_336_000_000, "-8.336 kg"),
        (999, "999 µg"),
        (0, "0 g"),
    ],
)
def test_masses_have_units_that_fit(micrograms: int, shown: str) -> None:
    """532800000 is read as a tonne by one reader and as a kilogram by the next."""
    assert mass_text(micrograms) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0, "Wh", "0 Wh"),
        (999, "Wh", "999 Wh"),
        (1_500, "Wh", "1.5 kWh"),
        (12_345_678, "Wh", "12.35 MWh"),
        (2_400, "m", "2.4 km"),
        (7, "1", "7 1"),
        (3_600, "s", "3,600 s"),
    ],
)
def test_quantities_have_units_that_fit(value: int, unit: str, shown: str) -> None:
    """A column of ten-digit numbers hides a factor of ten."""
    assert amount_text(value, unit) == shown


def test_bytes() -> None:
    """An archive's size decides which disk is bought."""
    assert [bytes_text(n) for n in (0, 1_023, 1_536, 5 << 30)] == [
        "0 B",
        "1,023 B",
        "1.5 KiB",
        "5 GiB",
    ]


@pytest.mark.parametrize(
    ("number", "noun", "shown"),
    [(1, "device", "1 device"), (0, "row", "0 rows"), (1_200, "entry", "1,200 entries")],
)
def test_words_have_their_form(number: int, noun: str, shown: str) -> None:
    """`1 devices` makes a reader doubt the number beside it."""
    assert counted(number, noun) == shown


def test_times_are_those_that_options_take() -> None:
    """A time that is copied from a table must go into `--from` as it is."""
    moment = datetime(2026, 1, 31, 8, 0, 0, 123_456, tzinfo=UTC)
    assert time_text(moment) == "2026-01-31T08:00:00Z"
    assert time_text(moment, ZoneInfo("Asia/Ho_Chi_Minh")) == "2026-01-31T15:00:00+07:00"
    assert datetime.fromisoformat(time_text(moment)).tzinfo is not None
    assert time_text(None) == "-"


def test_a_table_has_a_head_and_numbers_to_the_right() -> None:
    """Digits that do not stand below each other are compared wrongly."""
    rows = [("a", 5, "1.5 kWh", None), ("long", 1_200, "12 Wh", None)]
    assert table(("name", "rows", "energy", "note"), rows, empty="").splitlines() == [
        "NAME  ROWS   ENERGY  NOTE",
        "a        5  1.5 kWh  -",
        "long  1200    12 Wh  -",
    ]
    assert table(("name",), [], empty="nothing is there") == "nothing is there"


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("nam-cau-kein", "did you mean 'nam-cau-kien'?"),
        ("NAM-CAU-KIEN", "did you mean 'nam-cau-kien'?"),
        ("nck", "did you mean 'nck-pv'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_near_names(name: str, question: str) -> None:
    """An id with two letters swapped looks right to anyone who typed it."""
    assert did_you_mean(name, ["nam-cau-kien", "nck-pv", "roof"]) == question
