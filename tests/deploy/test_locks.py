"""The locks: whole, hashed, without a host, and good for the oldest pip of a supported Python."""

import ensurepip
import hashlib
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from sysconfig import get_config_var
from zipfile import ZipFile

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.files import ROOT
from tests.soak import SOAK

LOCKS = (
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-setup.lock",
    "requirements-docs.lock",
)
NO_NETWORK = ("connection", "resolution", "unreachable", "proxy", "timed out")


def entries(name):
    """Requirement and number of hashes of each pin; a package may have one for each marker."""
    lock = (ROOT / name).read_text(encoding="utf-8")
    for block in re.findall(r"^[a-z0-9].*(?:\n[ ].*)*", lock, re.MULTILINE):
        yield Requirement(block.split("\\")[0].strip()), block.count("--hash=sha256:")


def pinned(name):
    """Extras by package, of what this interpreter installs."""
    return {
        canonicalize_name(pin.name): pin.extras
        for pin, _ in entries(name)
        if pin.marker is None or pin.marker.evaluate()
    }


def needs(pin, extras):
    """What an installed package asks for here."""
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


def without_files(name, folder):
    """
    Copy a lock for wheels that hold nothing but what pip decides by, and make these.

    They say what the installed packages say: version, needs, extras, Python and platform.  Of each
    there is a newer one, too, as an index has it some day.
    """
    out, here = [], False
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if re.match("[a-z0-9]", line):
            pin = Requirement(line.removesuffix("\\"))
            here = pin.marker is None or pin.marker.evaluate()
            out.append(line)
            if here:
                digest = hashlib.sha256(hollow(distribution(pin.name), folder)).hexdigest()
                out.append(f"    --hash=sha256:{digest}")
        elif not (here and "--hash" in line):
            out.append(line)
    lock = folder / name
    lock.write_text("\n".join(out), encoding="utf-8")
    return lock


def hollow(installed, folder):
    """Write two wheels without files, named for the platforms of what was installed; the first."""
    said = {file: installed.read_text(file) for file in ("METADATA", "WHEEL")}
    tags = (t.split("-") for t in re.findall(r"^Tag: (\S+)$", said["WHEEL"], re.MULTILINE))
    runs_on = "-".join(".".join(dict.fromkeys(kind)) for kind in zip(*tags, strict=True))
    version = installed.version
    for newer in ("99999", version):
        stem = f"{canonicalize_name(installed.name).replace('-', '_')}-{newer}"
        wheel = folder / f"{stem}-{runs_on}.whl"
        told = said["METADATA"].replace(f"\nVersion: {version}\n", f"\nVersion: {newer}\n", 1)
        with ZipFile(wheel, "w") as out:
            out.writestr(f"{stem}.dist-info/METADATA", told)
            out.writestr(f"{stem}.dist-info/WHEEL", said["WHEEL"])
            out.writestr(f"{stem}.dist-info/RECORD", "")
    return wheel.read_bytes()


def taken(lock, tmp_path, *options):
    """Have the pip that this interpreter brings take a lock, dry; what it says, or None."""
    # where `python -m venv` takes it from; to lay out an environment around it shows nothing
    wheels = get_config_var("WHEEL_PKG_DIR") or Path(ensurepip.__file__).parent / "_bundled"
    (bundled,) = Path(wheels).glob("pip-*.whl")
    with ZipFile(bundled) as wheel:
        wheel.extractall(tmp_path / "pip")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed",
         "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:",
         *options, "-r", lock],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "pip")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stderr if done.returncode else None


# development's holds all of the product's, and takes three times as long
@pytest.mark.parametrize("name", LOCKS[:2] if SOAK else LOCKS[:1])
def test_the_interpreter_s_own_pip_takes_the_lock(name, tmp_path):
    """Whoever has nothing but Python 3.11 and its pip of 2023 could not install tonne."""
    lock = without_files(name, tmp_path)
    assert taken(lock, tmp_path, "--no-index", "--find-links", str(tmp_path)) is None


# pip reads each file, and all are 400 MB
@pytest.mark.skipif(not SOAK, reason="long: `make soak` runs it")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", LOCKS[:2])
def test_the_interpreter_s_own_pip_takes_it_from_the_index(name, tmp_path):
    """A file that the index has no more, or with another hash, would end each installation."""
    said = taken(ROOT / name, tmp_path)
    if said is not None and any(word in said.lower() for word in NO_NETWORK):
        pytest.skip(f"no package index: {said.splitlines()[-1]}")
    assert said is None
