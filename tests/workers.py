"""
The processes in which all tests run, forked from one that has imported every test.

Importing the tests, and the product through them, takes each process of `pytest-xdist` four seconds
of processor time, and seventeen if nothing is compiled yet. Here one process imports them, as
`pytest --collect-only` does, and each process that xdist starts is a fork of it: it collects again,
from loaded modules. Instead of Python, xdist starts a script that requests the fork and runs as
long as it does.
"""

import atexit
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest

from tests.command_server import KEEP, Server, address, become, leave, listen, read_files
from tests.commands import ROOT, forwarding

# what several of the processes would read in the middle of a test, seconds each
_READ_LATER = ("scipy.stats", "pvlib")


def forked(specs: Sequence[str], words: Sequence[str], folder: Path) -> list[str]:
    """
    Return xdist's specifications of processes, with forks in place of new ones.

    `words` are the command line of pytest; the script is written to `folder`.
    """
    run = uuid4().hex
    subprocess.run(
        [sys.executable, "-m", "tests.workers", run, *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        check=True,
    )
    keeper = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    keeper.connect(address(run))
    keeper.sendall(KEEP)  # answered once all is read; nobody waits for it
    atexit.register(keeper.close)
    script = forwarding(folder / "python", run, "")
    return [f"{spec}//python={script}" if spec == "popen" else spec for spec in specs]


def _read_tests(words: Sequence[str]) -> None:
    """
    Collect the tests of the run; an import error also stops the processes that would run them.

    Nothing is captured: loggers that modules make would continue to write to a closed file.
    """
    with suppress(SystemExit):
        pytest.main([*words, "--collect-only", "-qq", "-n", "0", "--capture=no"])
    for name in _READ_LATER:
        with suppress(ImportError):
            importlib.import_module(name)
    with suppress(ImportError):  # of the console, where its extra is missing
        read_files()
    gc.collect()
    gc.freeze()  # a fork that looks for cycles would copy all of it


def main(run: str, *words: str) -> None:
    """Serve the processes of a run of tests until pytest ends."""
    listener = listen(run)
    if listener is None or os.fork():
        return
    _read_tests(words)
    server = Server(listener)
    start = server.serve()
    if start is None:
        for pid in server.running():  # pytest was ended before them
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        return
    become(start)
    sys.argv = ["-c"]
    sys.modules["__main__"] = own = ModuleType("__main__")
    exec(start.words[-1], own.__dict__)  # noqa: S102 - as `python -c` does
    leave(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
