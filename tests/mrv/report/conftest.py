"""Statements that page and workbook are made of."""

import pytest

from tests.mrv.report import sample


@pytest.fixture(scope="module")
def facts():
    """Rooftop PV over a new year, electric buses, and a draft that no one signed."""
    pv = sample.pv_case()
    return {
        "pv": sample.issued(pv),
        "bus": sample.issued(sample.bus_case(), "unqualified", raise_findings=False),
        "draft": sample.draft(pv),
    }
