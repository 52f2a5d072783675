"""Statements from which pages and workbooks are made."""

import pytest

from tests.mrv.report import sample


@pytest.fixture(scope="module")
def facts():
    """Return rooftop PV over New Year, electric buses, and a draft without signature."""
    pv = sample.pv_case()
    return {
        "pv": sample.issued(pv),
        "bus": sample.issued(sample.bus_case(), "unqualified", raise_findings=False),
        "draft": sample.draft(pv),
    }
