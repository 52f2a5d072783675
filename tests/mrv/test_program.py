"""The digest of the program that computes statements."""

import pytest

from mrv.program import PACKAGES, digest, named, program
from mrv.verify import verify
from tests.mrv.packs import pack


@pytest.fixture
def root(tmp_path):
    for package in PACKAGES:
        (tmp_path / package / "inner" / "__pycache__").mkdir(parents=True)
        (tmp_path / package / "inner" / "step.py").write_text("WH = 1\n")
    return tmp_path


def _digest(root):
    return digest(root / package for package in PACKAGES)


def test_a_program_that_reckons_otherwise_has_another_digest(root):
    """A changed calculation program has another digest."""
    before = _digest(root)
    (root / "mrv" / "README.md").write_text("for people")
    (root / "mrv" / "inner" / "__pycache__" / "step.pyc").write_bytes(b"1")
    assert _digest(root) == before
    (root / "ingest" / "inner" / "step.py").write_text("WH = 2\n")
    assert _digest(root) != before
    (root / "ingest" / "inner" / "step.py").write_text("WH = 1\n")
    assert _digest(root) == before
    (root / "mrv" / "factors.toml").write_text("")
    assert _digest(root) != before


def test_an_auditor_reads_by_which_program_it_was_computed_again():
    """The check states with which program version it recalculated."""
    by = [one for one in verify(pack()).relied if one.startswith("rules: ")]
    assert by[0].endswith(f"with {program()}")
    assert named(program()) == program()[: len("tonne 0.2.0 sha256:") + 16]
