"""Plan an import as `tonne registry import` does."""

import pytest

from services.registry.entries import Registry
from services.registry.files import read_files
from services.registry.plan import plan


@pytest.fixture
def load(tmp_path):
    """Plan an import of YAML (or CSV) text over a stored registry."""

    def run(text, stored=None, *, name="registry.yaml", strict=False):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return plan(stored or Registry(), read_files([file]), strict=strict)

    return run
