"""Servers of their own for `tonne run`, which a test may start, stop and kill."""

import pytest

from tests.fix_timescale import copy_cluster
from tests.running import Pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory, migrated_cluster):
    """Return running servers with a migrated database, and ways to run commands on them."""
    home = tmp_path_factory.mktemp("pipeline")
    copy_cluster(migrated_cluster, home)
    found = Pipeline(home)
    found.tonne("migrate")
    found.open_session()
    yield found
    found.close()
