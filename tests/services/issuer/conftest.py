"""The plant that most tests here begin with, and commands on its database."""

import pytest

from tests.invoked import tonne as invoke
from tests.planted import planted
from tests.services.issuer import logged, plant


@pytest.fixture
def url(database_url, tmp_path):
    """URL of a database with three days of two inverters, a reading each 15-minute interval."""
    planted(plant.quarter_hours, database_url, tmp_path)
    return database_url


@pytest.fixture
def who(database_url, tmp_path):
    """Return the signers of that plant, the log's among them."""
    return planted(logged.quarter_hours, database_url, tmp_path)


def _submitted(url, home):
    who = logged.quarter_hours(url, home)
    return who, logged.submitted(url, who, "2026-03-01", "2026-03-02")


@pytest.fixture
def submitted(database_url, tmp_path):
    """Return the signers of that plant, and a statement that is submitted."""
    return planted(_submitted, database_url, tmp_path)


@pytest.fixture
def conn(database_url, submitted):
    """Connect as the issuer does, to the database of that statement."""
    with logged.issuer(database_url) as opened:
        yield opened


@pytest.fixture
def tonne(database_url, monkeypatch):
    """Return a way to run `tonne` against the database."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    return invoke
