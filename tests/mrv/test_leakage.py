"""Leakage, and what a project emits besides, is deducted whole."""

from decimal import Decimal

import pytest

from mrv import factors
from mrv.errors import MethodologyError
from mrv.methodologies import evaluate, find, load
from tests.golden import case
from tests.mrv.report import closed

BOOK = factors.load()


def _golden(name):
    return case(name, Decimal)["inputs"]


def test_the_methods_whose_text_names_leakage_take_it():
    """A verifier's finding of leakage could not be entered."""
    named = {m.id for m in load().values() if "leakage_t" in m.inputs}
    assert named >= {
        "ams-ii-d", "ams-ii-d-cupola", "ams-iii-c", "ams-iii-f", "ams-iii-f-monthly", "ams-iii-h",
        "ams-iii-i", "ams-iii-u",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ams-iii-f", "ams-iii-h", "ams-iii-u"])
def test_no_leakage_is_a_statement_that_a_document_shows(name):
    """Leakage of zero without a document is reported."""
    facts = closed.facts_of(closed.names()[name])
    codes = [
        each.code for one in facts.subject.applicability if not one.holds for each in one.texts
    ]
    assert codes.count("PAR-07.leakage") == 1


def test_refrigerant_that_is_filled_up_has_its_gas():
    """A chiller's leak of 10 kg R-410A is 19 t that no one would see."""
    with pytest.raises(MethodologyError, match="refrigerant_gwp = 0; give the refrigerant's"):
        evaluate(find("ams-ii-c"), _golden("ams-ii-c") | {"refrigerant_kg": 10}, BOOK, "x")
