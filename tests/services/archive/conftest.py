"""A plant with three sealed days, made once and copied for each test."""

import pytest

from tests.fix_timescale import _fresh
from tests.planted import planted
from tests.services.archive import shelved


@pytest.fixture
def _sealed(request, timescale, migrated_template, tmp_path_factory, monkeypatch):
    make, home = shelved.sealed, tmp_path_factory.mktemp("sealed")
    if "shelf" in request.fixturenames:
        make = shelved.packed if "pack" in request.fixturenames else shelved.shelved
    for url in _fresh(timescale, migrated_template):
        who = planted(make, url, home)
        if make is not shelved.sealed:  # it was made elsewhere
            monkeypatch.setenv("TONNE_ARCHIVE_URL", str(home / shelved.SHELF))
        yield url, who, home


@pytest.fixture
def who(_sealed):
    """Return the signers of the plant in `sealed_url`."""
    return _sealed[1]


@pytest.fixture
def sealed_url(_sealed):
    """Return the URL of a database with three sealed days."""
    return _sealed[0]


@pytest.fixture
def shelf(_sealed):
    """Return the folder of the plant's archive; its data are no longer in the database."""
    return _sealed[2] / shelved.SHELF


@pytest.fixture
def pack(_sealed, shelf):
    """Return the pack of the three archived days, issued."""
    return _sealed[2] / shelved.PACK
