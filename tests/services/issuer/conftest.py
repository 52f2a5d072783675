"""The plant with which most tests here begin, and commands on its database."""

import pytest

from tests.invoked import tonne as invoke
from tests.planted import planted
from tests.services.issuer import logged, plant


@pytest.fixture
def url(database_url, tmp_path):
    """Return the URL of a database with three days of two inverters, a reading each 15 minutes."""
    planted(plant.quarter_hours, database_url, tmp_path)
    return database_url


@pytest.fixture
def who(database_url, tmp_path):
    """Return the signers of that plant, including the log's."""
    return planted(logged.quarter_hours, database_url, tmp_path)


def _submitted(url, home):
    who = logged.quarter_hours(url, home)
    return who, logged.submitted(url, who, "2026-03-01", "2026-03-02")


@pytest.fixture
def submitted(database_url, tmp_path):
    """Return the signers of that plant, and a submitted statement."""
    return planted(_submitted, database_url, tmp_path)


@pytest.fixture
def conn(database_url, submitted):
    """Connect to the database of that statement, as the issuer does."""
    with logged.issuer(database_url) as opened:
        yield opened


@pytest.fixture
def tonne(database_url, monkeypatch):
    """Return a runner of `tonne` on the database."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    return invoke
