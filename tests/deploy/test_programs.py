"""A newcomer's machine: what tests call is there, for deploy/test_packages.sh brings it."""

import os
import shutil
import subprocess

import pytest

from tests import programs

pytestmark = pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="this is no Debian")


def test_tests_find_no_program_that_nothing_installs(tmp_path):
    """A test that calls jq would pass here and fail for everybody who begins on a fresh machine."""
    theirs, limited = tmp_path / "theirs", tmp_path / "limited"
    theirs.mkdir()
    limited.mkdir()
    for name in ("jq", "curl"):
        (theirs / name).write_text(f"#!/bin/sh\necho {name}\n")
        (theirs / name).chmod(0o755)
    path = programs.limit(f"{theirs}:{os.environ['PATH']}", limited)
    assert shutil.which("jq", path=path) is None
    assert subprocess.check_output(["sh", "-c", "curl"], env={"PATH": path}) == b"curl\n"
    # and this run has begun so
    assert shutil.which("jq") is None
    assert {shutil.which(name) is None for name in ("sh", "awk", "git", "python3")} == {False}


def test_what_is_missing_is_named_by_its_package(tmp_path):
    """Who may install nothing would learn from a traceback which package a test wants."""
    path = programs.limit(os.environ["PATH"], tmp_path, set())
    (tmp_path / "apt-get").unlink(missing_ok=True)
    told = subprocess.run(
        ["sh", programs.LIST], env={"PATH": path}, capture_output=True, text=True, check=True
    ).stderr
    names = " ".join(dict.fromkeys(programs.listed().values()))
    assert told == f"tests: not installed: {names}; as root: apt-get install {names}\n"
