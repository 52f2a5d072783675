"""
The command `tonne` as a separate process: `start(words)` and `run(words)`.

They correspond to `subprocess.Popen` and `subprocess.run` of `python -m services.cli`, through
`tests/command_server.py`, which avoids importing all modules at each start.  In `make soak`, or if
the environment has settings for the interpreter itself, Python is started normally.
"""

import atexit
import json
import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from tests.command_server import KEEP, NUMBER, address
from tests.soak import SOAK

CLI = "services.cli"
TONNE = (sys.executable, "-m", CLI)
ROOT = Path(__file__).parents[1]
SERVER = Path(__file__).with_name("command_server.py")
_TRIES = 3
# what the interpreter, the loader and libraries read once, while they start
_READ_ONCE = ("PYTHON", "LD_", "LC_", "LANG", "OPENSSL_", "OPENBLAS_", "OMP_", "MALLOC_")
_TAKEN_OVER = "PYTHONUNBUFFERED"


class Installed(NamedTuple):
    """Another Python in which tonne is installed, and the modules that its commands need."""

    python: Path
    modules: tuple[str, ...]


class Tonne(subprocess.Popen):
    """A running command, with the methods of `Popen`."""

    def __init__(
        self, words: Sequence[str], *, module: str, python: Installed | None = None, **options: Any
    ) -> None:
        self._module, self._python = module, python
        super().__init__(words, **options)

    def _execute_child(self, args: Sequence[str], *given: Any) -> None:
        # in the order in which `Popen` passes them on
        cwd, env, ends = given[4], given[5], given[9:15]
        stdin, stdout, stderr = (
            ends[k] if ends[k] >= 0 else number for number, k in enumerate((0, 3, 5))
        )
        asked = {
            "module": self._module,
            "words": [os.fspath(word) for word in args],
            "environment": dict(os.environ if env is None else env),
            "folder": os.fspath(cwd or os.getcwd()),  # noqa: PTH109
        }
        body = json.dumps(asked).encode()
        self._answers = _connected(self._python)
        socket.send_fds(self._answers, [NUMBER.pack(len(body))], [stdin, stdout, stderr])
        self._answers.sendall(body)
        self.pid = self._answer()
        self._child_created = True
        self._close_pipe_fds(*ends)

    def _answer(self) -> int:
        told = self._answers.recv(NUMBER.size, socket.MSG_WAITALL)
        if len(told) < NUMBER.size:
            raise RuntimeError("tests/command_server.py ended before the process that it started")
        return NUMBER.unpack(told)[0]

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and self._told(0):
            self.returncode = self._answer()
            self._answers.close()
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None and not self._told(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self._internal_poll() or 0

    def _told(self, timeout: float | None) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            return bool(selector.select(timeout))


def start(
    words: Sequence[Any],
    *,
    anew: bool = False,
    module: str = CLI,
    installed: Installed | None = None,
    **options: Any,
) -> subprocess.Popen:
    """
    Start a command, with `Popen`'s options; with `anew` by a new Python process.

    `module` is a program other than `tonne`, as for `python -m`; `installed` is a Python other than
    that of the tests.
    """
    if anew or _own_python(options.get("env")):
        python = installed.python if installed else sys.executable
        return subprocess.Popen([python, "-m", module, *map(str, words)], **options)
    return Tonne([str(word) for word in words], module=module, python=installed, **options)


def run(words: Sequence[Any], **options: Any) -> subprocess.CompletedProcess:
    """Run a command to its end, with the options of `subprocess.run`."""
    if options.pop("capture_output", False):
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    check, timeout, told = (options.pop(name, None) for name in ("check", "timeout", "input"))
    if told is not None:
        options["stdin"] = subprocess.PIPE
    with start(words, **options) as process:
        try:
            out, error = process.communicate(told, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess([*TONNE, *words], process.returncode, out, error)
    if check:
        done.check_returncode()
    return done


_FORWARD = """#!{python} -IS
import json, os, signal, socket, struct, sys

number = struct.Struct("!q")
body = json.dumps({{
    "module": {module!r}, "words": sys.argv[1:],
    "environment": dict(os.environ), "folder": os.getcwd(),
}}).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [number.pack(len(body))], [0, 1, 2])
    server.sendall(body)
    pid, = number.unpack(server.recv(number.size, socket.MSG_WAITALL))
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda sent, _: os.kill(pid, sent))
    code, = number.unpack(server.recv(number.size, socket.MSG_WAITALL))
sys.exit(code if code >= 0 else 128 - code)
"""


def on_path(folder: Path) -> None:
    """Write a `tonne` for shell scripts into a folder; its starts are forked too."""
    forwarding(folder / "tonne", _kept()[0], CLI)


def forwarding(script: Path, run: str, module: str) -> Path:
    """Write a script that starts a module through the server of a run."""
    script.write_text(
        _FORWARD.format(python=sys.executable, module=module, address=address(run)),
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script


def _own_python(env: Mapping[str, str] | None) -> bool:
    """Return whether a start with this environment needs a new interpreter."""
    told = {k: v for k, v in (env or {}).items() if k.startswith(_READ_ONCE)}
    return SOAK or any(os.environ.get(k) != v for k, v in told.items() if k != _TAKEN_OVER)


def _connected(python: Installed | None) -> socket.socket:
    """Return a connection to this run's server, or to that of another Python."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(address((_kept() if python is None else _kept(python))[0]))
    return connection


@cache
def _kept(python: Installed | None = None) -> tuple[str, socket.socket]:
    """
    Start this run's server unless another process did; return its name, and
    the file that keeps it.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex
    command = [sys.executable, "-m", "tests.command_server", run]
    if python is not None:
        run = uuid4().hex  # alone: apart from what stands in the checkout, and in the environment
        command = [str(python.python), "-I", str(SERVER), run, *python.modules]
    for _ in range(_TRIES):
        subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
        )
        keeper = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with suppress(ConnectionError):  # its last keeper left in this moment
            keeper.connect(address(run))
            keeper.sendall(KEEP)
            if keeper.recv(len(KEEP)):
                atexit.register(keeper.close)
                return run, keeper
        keeper.close()
    raise RuntimeError("tests/command_server.py does not start; its error stands above")
