"""Reports know the unit of every quantity of a meter, in every language."""

import pytest

from ingest.classes import QUANTITIES
from mrv import methodologies
from mrv.report import LANGUAGES
from mrv.report.printable_text import SCALES
from mrv.report.translations import SHOWN
from mrv.report.words import Words


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_quantity_and_role_has_a_unit_and_a_word(language):
    """A statement of lamps, rice or passengers could not be printed at all."""
    words = Words(language)
    for one in QUANTITIES:
        assert one.unit in SHOWN
        assert one.unit in SCALES
        assert words.get(f"quantity.{one.name}", "") != ""
    plastics = {"hdpe", "ldpe", "pet", "pp", "abs"}  # named alike everywhere
    for method in methodologies.load().values():
        for role in method.roles.keys() - plastics:
            assert words.get(f"role.{role}", "") != "", role
