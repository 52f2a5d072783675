"""A secured pipeline and a plant, one of each for all tests of the gateway."""

import gc

import pytest

from tests.fix_pipeline import on_servers
from tests.services.edge.plant import DEVICES, Plant, SecurePipeline, registry


@pytest.fixture(scope="package")
def pipeline(tmp_path_factory, migrated_cluster):
    """Yield a secured pipeline with two gateways, and devices behind the first."""
    home = tmp_path_factory.mktemp("secure")
    with on_servers(migrated_cluster, home, SecurePipeline) as found:
        found.register(registry(*DEVICES))
        found.enrol()
        yield found


@pytest.fixture(scope="package", autouse=True)
def _kept_from_before():
    """
    Exclude objects of other tests from garbage collection, which would
    scan them after each test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_left_open(_kept_from_before):
    """Let each test report its own unclosed resources, not a later test."""
    yield
    gc.collect()


@pytest.fixture(scope="package")
def plant():
    """Yield the plant's servers."""
    found = Plant()
    yield found
    found.close()
