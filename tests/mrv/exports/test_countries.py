"""Codes of countries and Parties, compared with the ISO 3166 data of another project."""

import pycountry

from mrv.exports import source


def test_codes_are_those_of_iso_3166():
    """A Party that exists would be refused, or a code that is none written into a submission."""
    found = source._countries()
    codes = {one.alpha_3 for one in pycountry.countries}
    assert set(found["names"]) == codes
    assert set(found["not_parties"]) <= codes
