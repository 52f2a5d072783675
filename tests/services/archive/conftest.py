"""A plant with three sealed days, made once and copied for each test."""

import pytest

from tests.fix_timescale import _fresh
from tests.planted import planted
from tests.services.archive import shelved


@pytest.fixture
def _sealed(timescale, migrated_template, tmp_path_factory):
    for url in _fresh(timescale, migrated_template):
        yield url, planted(shelved.sealed, url, tmp_path_factory.mktemp("sealed"))


@pytest.fixture
def who(_sealed):
    """Signers of the plant in `sealed_url`."""
    return _sealed[1]


@pytest.fixture
def sealed_url(_sealed):
    """URL of a database with three sealed days."""
    return _sealed[0]
