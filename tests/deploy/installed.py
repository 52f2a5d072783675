"""tonne as installed by a user: a wheel of this tree in a separate environment."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.deploy.files import ROOT
from tests.fix_timescale import once

NO_NETWORK = (
    "connection", "resolution", "unreachable", "proxy", "timed out", "dns error",
    "error sending request", "service unavailable", "bad gateway", "too many requests",
)  # fmt: skip


def run(*words, **options):
    """Run a step of the set-up; skip the test if the package index cannot be reached."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    said = f"{done.stdout}{done.stderr}"
    if done.returncode and any(word in said.lower() for word in NO_NETWORK):
        pytest.skip(f"no package index: {said.splitlines()[-1]}")
    assert done.returncode == 0, said
    return done.stdout


def uv(*words):
    """Run the locked installer, with retries of the index."""
    patient = {"UV_HTTP_TIMEOUT": "120", "UV_HTTP_RETRIES": "6"}
    return run(sys.executable, "-m", "uv", *words, cwd=ROOT, env=os.environ | patient)


def python313():
    """Return the image's Python if it is available, else that of the tests."""
    return shutil.which("python3.13", path="/usr/local/bin:/usr/bin") or sys.executable


def wheel(factory):
    """Return the wheel of this tree, built once per run."""

    def build(home):
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", home, cwd=ROOT)

    (built,) = once(factory, "wheel", build).glob("*.whl")
    return built


def install(factory, name, extras, python=sys.executable):
    """Create an environment as deploy/Dockerfile does, and return its `bin`."""
    folder = factory.mktemp(name) / "tonne"
    uv("venv", "--quiet", "--python", python, folder)
    here = ("--quiet", "--python", folder / "bin/python")
    asked = [word for extra in extras for word in ("--extra", extra)]
    uv(
        "pip", "install", *here, "--no-build", "--require-hashes",
        "-c", "requirements.lock", "-r", "pyproject.toml", *asked,
    )  # fmt: skip
    uv("pip", "install", *here, "--no-deps", "--no-index", wheel(factory))
    return folder / "bin"
