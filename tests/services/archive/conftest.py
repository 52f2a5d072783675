"""A plant with three sealed days, made once and copied for each test."""

import pytest

from tests.fix_timescale import _execute, _fresh, _named
from tests.services.archive import shelved

_SEALED = "sealed_plant"


@pytest.fixture(scope="session")
def _sealed_template(timescale, migrated_template, tmp_path_factory):
    _execute(timescale, f"CREATE DATABASE {_SEALED} TEMPLATE {migrated_template}")
    who = shelved.sealed(_named(timescale.url, _SEALED), tmp_path_factory.mktemp("sealed"))
    _execute(timescale, f"ALTER DATABASE {_SEALED} ALLOW_CONNECTIONS false")
    _execute(
        timescale,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_SEALED}'",
    )
    return who


@pytest.fixture
def who(_sealed_template):
    """Signers of the plant in `sealed_url`."""
    return _sealed_template


@pytest.fixture
def sealed_url(timescale, _sealed_template):
    """URL of a database with three sealed days."""
    yield from _fresh(timescale, f"TEMPLATE {_SEALED}")
