"""READMEs name the files that exist: who looks for a thing reads a list that is whole."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("readmes", ROOT / "deploy/readmes.py")
readmes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(readmes)


@pytest.mark.parametrize("folder", readmes.packages(), ids=lambda f: f"{f.relative_to(ROOT)}")
def test_each_file_of_a_package_is_named_once(folder):
    """A file that the list lacks is found by nobody; `make readmes` adds it."""
    text = (folder / "README.md").read_text("utf-8").partition(readmes.MARK)[2]
    named = re.findall(r"^\| \[?`([^`]+)`", text, re.MULTILINE)
    assert sorted(named) == sorted(readmes.entries(folder))
