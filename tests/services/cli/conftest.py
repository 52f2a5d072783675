"""A pack as an auditor receives it."""

import pytest

from tests.mrv.packs import folder


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """Return the folder of an issued statement's pack."""
    path = tmp_path_factory.mktemp("export") / "pack"
    path.mkdir()
    folder(path)
    return path
