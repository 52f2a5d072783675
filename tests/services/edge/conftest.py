"""A secured pipeline and a plant, one of each for all tests of the gateway."""

import gc

import pytest

from tests.fix_pipeline import on_servers
from tests.services.edge.plant import DEVICES, Plant, SecurePipeline, registry


@pytest.fixture(scope="package")
def pipeline(tmp_path_factory, migrated_cluster):
    """A secured pipeline with two gateways, and devices behind the first."""
    home = tmp_path_factory.mktemp("secure")
    with on_servers(migrated_cluster, home, SecurePipeline) as found:
        found.register(registry(*DEVICES))
        found.enrol()
        yield found


@pytest.fixture(scope="package", autouse=True)
def _kept_from_before():
    """Keep the collector off what other tests left, which it would look through after each."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_left_open(_kept_from_before):
    """A resource that a test left open is reported by that test, not by a later one."""
    yield
    gc.collect()


@pytest.fixture(scope="package")
def plant():
    """The plant's servers."""
    found = Plant()
    yield found
    found.close()
