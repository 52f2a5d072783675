"""The image: what goes in, from where, and who runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from tests.deploy.files import DEPLOY, PINNED, ROOT

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
STEPS = re.sub(r"\\\n\s*", " ", DOCKERFILE).splitlines()
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()


def locked(*words):
    done = subprocess.run(
        [sys.executable, str(DEPLOY / "locked.py"), *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(lock):
    return set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))


def closure(requirement, found):
    """What an installed package needs here, by its own metadata."""
    wanted = Requirement(requirement)
    name = wanted.name.lower().replace("_", "-")
    if (name, *sorted(wanted.extras)) in found:
        return
    found.add((name, *sorted(wanted.extras)))
    try:
        needs = requires(wanted.name) or []
    except PackageNotFoundError:
        return
    for need in map(Requirement, needs):
        environments = [default_environment() | {"extra": e} for e in ("", *wanted.extras)]
        if need.marker is None or any(need.marker.evaluate(e) for e in environments):
            closure(str(need).split(";")[0], found)


@pytest.mark.parametrize("extras", [(), ("kafka",), ("kafka", "simulate", "local")])
def test_the_lock_s_part_is_whole_and_holds_no_tool_of_ours(extras):
    """A package that is missed stops the build; a linter in the image is one more to patch."""
    found = set()
    asked = [f"tonne[{','.join(extras)}]" if extras else "tonne"]
    for requirement in asked:
        closure(requirement, found)
    part = names(locked(*extras))
    assert {name for name, *_ in found} - {"tonne"} <= part
    assert not part & {"pytest", "mypy", "ruff", "hypothesis", "kubernetes-validate", "hatchling"}
    assert ("faust-streaming" in part) == ("kafka" in extras)


def test_every_package_of_the_part_has_its_hashes():
    """Without a hash, a package that was swapped on its way would be installed."""
    for block in re.split(r"\n(?=[a-z])", locked("kafka")):
        assert "--hash=sha256:" in block, block.splitlines()[0]
    assert names(locked("--only", "hatchling")) >= {"hatchling", "pathspec", "pluggy"}


def test_an_extra_that_is_not_there_is_refused():
    """A misspelt build argument would make an image that lacks what it is for."""
    done = subprocess.run(
        [sys.executable, str(DEPLOY / "locked.py"), "kafak"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no extra kafak; there are" in done.stderr


def test_the_image_is_pinned_and_not_root():
    """A base that moves is another image every week; root in it is one flaw from the host."""
    bases = [line.split()[1] for line in STEPS if line.startswith("FROM ")]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert all(PINNED.match(base) for base in bases)
    users = [line.split()[1] for line in STEPS if line.startswith("USER ")]
    assert users == ["10001:10001"]
    assert STEPS.index("USER 10001:10001") > max(
        k for k, line in enumerate(STEPS) if line.startswith(("RUN", "COPY"))
    )
    assert 'ENTRYPOINT ["tonne"]' in STEPS


def test_nothing_is_installed_without_its_hash():
    """One `pip install` beside the lock brings whatever is newest that day."""
    installs = [
        part for line in STEPS if line.startswith("RUN") for part in line.split("&&")
        if "pip install" in part
    ]  # fmt: skip
    assert len(installs) == 3
    assert all("--require-hashes" in p or "--no-deps --no-index" in p for p in installs)


def test_what_is_copied_is_there_and_not_ignored():
    """The builder sees only what .dockerignore lets through."""
    copied = [
        source for line in STEPS if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]  # fmt: skip
    assert IGNORED[1] == "*"
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in IGNORED, source
