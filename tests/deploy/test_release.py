"""
Missing preconditions of a release are listed in one run, before an hour of tests.

A release's checksums are signed, so that a changed file is detected.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mrv.registry.project import ACCOUNTING
from tests.deploy.files import DEPLOY, ROOT

SCRIPT = str(DEPLOY / "sign.sh")


def _keygen(path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a test", "-f", str(path)], check=True
    )
    return path


def _run(*words):
    return subprocess.run(
        ["sh", SCRIPT, *map(str, words)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def release(tmp_path):
    """Return a signed release of two files, a reader's file of signers, and the key."""
    dist = tmp_path / "dist"
    dist.mkdir()
    lines = []
    for name in ("tonne-0.2.0-py3-none-any.whl", "requirements.lock"):
        (dist / name).write_bytes(name.encode())
        lines.append(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n")
    (dist / "SHA256SUMS").write_text("".join(lines))
    key = _keygen(tmp_path / "key")
    done = _run(dist, key)
    assert done.returncode == 0, done.stderr
    signers = tmp_path / "signers"
    signers.write_bytes((dist / "release-signers").read_bytes())
    return dist, signers, key


def test_what_was_signed_is_taken(release):
    """A check that refuses the true release would be switched off."""
    dist, signers, _ = release
    done = _run("--check", dist, signers)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "how", ["file", "checksum", "both", "more", "fewer", "other key", "no signature", "elsewhere"]
)
def test_what_was_changed_is_refused(release, tmp_path, how):
    """A wheel with someone else's code would be installed where keys are."""
    dist, signers, key = release
    wheel = dist / "tonne-0.2.0-py3-none-any.whl"
    sums = dist / "SHA256SUMS"
    if how in {"file", "both"}:
        wheel.write_bytes(b"another")
    if how in {"checksum", "both"}:
        digest = hashlib.sha256(b"another").hexdigest()
        sums.write_text(sums.read_text().replace(sums.read_text()[:64], digest, 1))
    if how == "more":
        (dist / "tonne-0.2.1-py3-none-any.whl").write_bytes(b"another")
    if how == "fewer":
        wheel.unlink()
    if how == "other key":
        assert _run(dist, _keygen(tmp_path / "other")).returncode == 0
    if how == "no signature":
        (dist / "SHA256SUMS.sig").unlink()
    if how == "elsewhere":  # signed by the right key, for another purpose
        (dist / "SHA256SUMS.sig").unlink()
        subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "git", str(sums)],
            check=True,
            capture_output=True,
        )
    assert _run("--check", dist, signers).returncode == 1


def test_a_key_that_is_none_is_told(release, tmp_path):
    """A release would go out unsigned, and no one saw it."""
    dist, _, _ = release
    (tmp_path / "none").write_text("no key")
    done = _run(dist, tmp_path / "none")
    assert done.returncode == 2
    assert "does not sign" in done.stderr
    assert not (dist / "SHA256SUMS.sig").exists()


FILES = ("deploy/release.sh", "deploy/Dockerfile", "pyproject.toml", "CHANGELOG.md")


def _git(folder, *words):
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path):
    """Return a committed tree that can be released, with the signing key."""
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
    """A release check that refuses a clean tree would be skipped."""
    assert _checks(tree) == (0, [])


def test_all_that_is_missing_is_named_at_once(tree):
    """If only the first missing item were named, each item would cost another run."""
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
