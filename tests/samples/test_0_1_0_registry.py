"""Registry files of 0.1.0, and its exports of them, in the present version."""

import pytest
import yaml

from tests.samples import sample
from tests.samples.sample import SAMPLE, must

FILES = SAMPLE / "registry"
# what was imported, and what 0.1.0 exported afterwards
SETS = {
    "every-key.export.yaml": (FILES / "every-key.yaml", FILES / "devices.csv"),
    "haiphong.export.yaml": (FILES / "haiphong",),
}


@pytest.fixture
def environment(database_url):
    """Return an environment with an empty registry."""
    return {"TONNE_DATABASE_URL": database_url}


@pytest.mark.parametrize("exported", SETS)
def test_files_of_0_1_0_import_and_mean_the_same(environment, exported):
    """A city would have to write its registry again for an update."""
    must(environment, "registry", "import", *SETS[exported])
    now = yaml.safe_load(must(environment, "registry", "export"))
    then = yaml.safe_load((FILES / exported).read_text())
    assert list(sample.holds(now, then)) == []
    # a registry that was kept as a file says nothing new
    told = must(environment, "registry", "import", FILES / exported)
    assert "0 created, 0 updated" in told
