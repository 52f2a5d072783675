"""Separate servers for `tonne run`, which a test may start, stop and kill."""

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests import memory
from tests.fix_timescale import copy_cluster
from tests.running import Pipeline


@contextmanager
def on_servers(cluster, otherwise, kind=Pipeline, *, disk=False):
    """
    Yield running servers over a copy of a stopped one's databases, which have the schema; in
    memory if there is room.

    With `disk` they are in the system's folder for temporary files, for tests that watch how fast
    it fills.
    """
    with TemporaryDirectory() if disk else memory.folder(otherwise) as folder:
        home = Path(folder)
        copy_cluster(cluster, home)
        found = kind(home)
        found.migrated = True
        try:
            yield found
        finally:
            found.close()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory, migrated_cluster):
    """Return running servers with a migrated database, and methods to run commands on them."""
    with on_servers(migrated_cluster, tmp_path_factory.mktemp("pipeline")) as found:
        found.open_session()
        yield found
