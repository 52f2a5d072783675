"""The locks: complete, with hashes and without a host."""

import re
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.files import ROOT

LOCKS = (
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-setup.lock",
    "requirements-docs.lock",
)


def entries(name):
    """
    Return requirement and number of hashes of each pin; a package may
    have one for each marker.
    """
    lock = (ROOT / name).read_text(encoding="utf-8")
    for block in re.findall(r"^[a-z0-9].*(?:\n[ ].*)*", lock, re.MULTILINE):
        yield Requirement(block.split("\\")[0].strip()), block.count("--hash=sha256:")


def pinned(name):
    """Return the extras of each package that this interpreter installs."""
    return {
        canonicalize_name(pin.name): pin.extras
        for pin, _ in entries(name)
        if pin.marker is None or pin.marker.evaluate()
    }


def needs(pin, extras):
    """Return the requirements of an installed package for this interpreter."""
    try:
        asked = requires(pin) or []
    except PackageNotFoundError:
        return
    for need in map(Requirement, asked):
        environments = [default_environment() | {"extra": e} for e in ("", *extras)]
        if need.marker is None or any(need.marker.evaluate(e) for e in environments):
            yield need


@pytest.mark.parametrize("name", LOCKS)
def test_an_extra_that_is_asked_for_is_pinned(name):
    """An old pip takes the newest `coverage` for `coverage[toml]` if only `coverage` is pinned."""
    pins = pinned(name)
    lost = [
        f"{pin} asks for {need.name}[{','.join(sorted(need.extras))}]"
        for pin, extras in pins.items()
        for need in needs(pin, extras)
        if not need.extras <= pins.get(canonicalize_name(need.name), set())
    ]
    assert pins
    assert not lost


@pytest.mark.parametrize("name", LOCKS)
def test_what_a_package_needs_is_pinned_with_its_hash(name):
    """A package that a lock misses stops every set-up on the day that it is needed."""
    pins = pinned(name)
    lost = {
        f"{pin} needs {need.name}"
        for pin, extras in pins.items()
        for need in needs(pin, extras)
        if canonicalize_name(need.name) not in pins
    }
    assert not lost
    assert all(hashes for _, hashes in entries(name))
    assert all(str(pin.specifier).startswith("==") for pin, _ in entries(name))


def test_development_only_adds():
    """Tests that run on other versions than the product's prove nothing of it."""
    product, tests = ({str(p.name): p.specifier for p, _ in entries(n)} for n in LOCKS[:2])
    assert {name: tests.get(name) for name in product} == product
    assert len(tests) > len(product)
    assert not product.keys() & {"pytest", "mypy", "ruff", "hypothesis", "uv", "hatchling"}
