"""What a release lacks is named before an hour of tests, all of it in one run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mrv.registry.project import ACCOUNTING
from tests.deploy.files import ROOT

FILES = ("deploy/release.sh", "deploy/Dockerfile", "pyproject.toml", "CHANGELOG.md")


def _git(folder, *words):
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path):
    """A committed tree that may be released, with the key that signs it."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    pinned = tmp_path / "tests/closes/released.json"
    pinned.parent.mkdir(parents=True)
    pinned.write_text(json.dumps({str(ACCOUNTING): "0" * 64}))
    (tmp_path / "key").write_text("a key")
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-qm", "a release")
    return tmp_path


def _checks(tree):
    env = os.path.relpath(Path(sys.executable).parent.parent, tree)
    done = subprocess.run(
        ["sh", "deploy/release.sh", "--checks"],
        cwd=tree, capture_output=True, text=True, check=False,
        env=os.environ | {"VENV": env, "KEY": "key", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    missing = [line for line in done.stderr.splitlines() if "MISSING" in line]
    return done.returncode, missing


def test_a_whole_tree_may_be_released(tree):
    """A checklist that refuses a whole tree would be skipped."""
    assert _checks(tree) == (0, [])


def test_all_that_is_missing_is_named_at_once(tree):
    """Each missing thing named alone would cost a run of its own."""
    _git(tree, "tag", "v0.2.0")
    (tree / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.9\n")
    (tree / "tests/closes/released.json").write_text("{}")
    (tree / "key").unlink()
    code, missing = _checks(tree)
    assert code == 1
    for words in (
        "clean tree",
        "v0.2.0 is tagged",
        "begins with 0.1.9",
        "closes release",
        "KEY=FILE",
    ):
        assert any(words in line for line in missing), (words, missing)
