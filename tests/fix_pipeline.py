"""Servers of their own for `tonne run`, which a test may start, stop and kill."""

import pytest

from tests.running import Pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """Return running servers with a migrated database, and ways to run commands on them."""
    found = Pipeline(tmp_path_factory.mktemp("pipeline"))
    found.tonne("migrate")
    found.open_session()
    yield found
    found.close()
