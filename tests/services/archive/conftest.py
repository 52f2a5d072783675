"""A plant with three sealed days, made once and copied for each test."""

import pytest

from tests.planted import planted
from tests.services.archive import shelved


@pytest.fixture
def _sealed(database_url, tmp_path_factory):
    return planted(shelved.sealed, database_url, tmp_path_factory.mktemp("sealed"))


@pytest.fixture
def who(_sealed):
    """Signers of the plant in `sealed_url`."""
    return _sealed


@pytest.fixture
def sealed_url(database_url, _sealed):
    """URL of a database with three sealed days."""
    return database_url
