"""
Starts `tonne` for the tests by forks of one server process, without importing the modules again.

A start of Python with the modules of a command takes most of a second of processor time, and the
tests start hundreds.  The server imports the modules of all commands and reads the product's common
files once, then forks for each requested start.  The fork gets the files, folder and environment of
the request, and runs its module as `python -m` does: it is killed, stopped and waited for like any
other process.  At its end it waits for its threads, runs exit handlers and writes its output as
Python does, but does not free its modules, which would copy them all (0.1 s).

A request is a JSON message with three open files; the answers are the process id and, at its end,
the exit status.  The server ends with the last process that keeps it.

Another Python, such as that of an installation, can also run it: this file needs nothing but
Python. The request lists the modules to import; missing ones are ignored.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

PACKAGES = ("ingest", "mrv", "services")
# what a process keeps of the product's own files once it has read them
KEPT = (
    "ingest.profiles.load",
    "mrv.factors.load",
    "services.api.console.render.edition",
    "services.api.console.maps.coastline",
)
# what commands read of libraries in the middle of their work, each start anew
LATER = (
    "faust.app",
    "faust.assignor.leader_assignor",
    "faust.assignor.partition_assignor",
    "faust.tables.manager",
    "faust.tables.sets",
    "faust.topics",
    "faust.worker",
    "numpy.ma",
    "pandas",
    "pvlib",
    "pyarrow.compute",
    "pyarrow.parquet",
    "anyio._backends._asyncio",
    "uvicorn.loops.uvloop",
)
NUMBER = struct.Struct("!q")
KEEP = b"keep run"  # in place of a request: stay as long as this connection does
_PEER = struct.Struct("3i")  # of struct ucred: process, user, group


class Start(NamedTuple):
    """Inputs of a new process."""

    module: str
    words: list[str]
    environment: dict[str, str]
    folder: str
    files: list[int]


def address(run: str) -> str:
    """Return the socket address of a run of tests; it is in no file system."""
    return f"\0tonne-commands-{run}"


def listen(run: str) -> socket.socket | None:
    """Return the socket for requests of a run, or None if another process has it."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(address(run))
    except OSError:
        server.close()
        return None
    server.listen(64)
    return server


def read_modules(some: Sequence[str] = ()) -> None:
    """Import every module of the product, or those of a list that exist."""
    for name in some or LATER:
        with suppress(Exception):  # whatever stops it stops the command that needs it, too
            importlib.import_module(name)
    for name in () if some else PACKAGES:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    if not some:
        read_files()
    gc.collect()
    gc.freeze()  # a fork that looks for cycles would copy all of it


def read_files() -> None:
    """Read the product's files that processes cache, and compile the console's pages."""
    for name in KEPT:
        module, _, read = name.rpartition(".")
        getattr(importlib.import_module(module), read)()
    pages = importlib.import_module("services.api.console.render")._environment()
    for page in pages.list_templates():
        pages.get_template(page)


class Server:
    """Server that forks at each request, and reports the end of each process."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener, self._kept = listener, 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def serve(self) -> Start | None:
        """Serve until the end, and return None; in a new process return its inputs."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._ended(key.fd, *key.data)
                elif key.fileobj is self._listener:
                    start = self._asked(self._listener.accept()[0])
                    if start is not None:
                        return start
                elif self._left(key.fileobj):
                    return None

    def _asked(self, client: socket.socket) -> Start | None:
        """Take a request; fork, and in the new process return its inputs."""
        peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        if _PEER.unpack(peer)[1] != os.getuid():
            client.close()
            return None
        head, files, *_ = socket.recv_fds(client, NUMBER.size, 3)
        if head == KEEP:
            self._selector.register(client, selectors.EVENT_READ)
            self._kept += 1
            with suppress(OSError):
                client.sendall(KEEP)
            return None
        found = _body(client, head)
        pid = os.fork() if found else -1
        if found and not pid:
            self._forget(client)
            return Start(**found, files=files)
        for file in files:
            os.close(file)
        if not found:
            client.close()
            return None
        with suppress(OSError):  # it was ended meanwhile
            client.sendall(NUMBER.pack(pid))
        self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, client))
        return None

    def running(self) -> list[int]:
        """Return the ids of the running processes."""
        return [key.data[0] for key in self._selector.get_map().values() if key.data]

    def _left(self, keeper: Any) -> bool:
        """Return whether no process keeps the server any more."""
        self._selector.unregister(keeper)
        keeper.close()
        self._kept -= 1
        return not self._kept

    def _forget(self, client: socket.socket) -> None:
        """Close the parent's files in a new process."""
        client.close()
        for key in list(self._selector.get_map().values()):
            if key.data is None:
                key.fileobj.close()  # type: ignore[union-attr]
            else:
                os.close(key.fd)
                key.data[1].close()
        self._selector.close()

    def _ended(self, file: int, pid: int, client: socket.socket) -> None:
        self._selector.unregister(file)
        os.close(file)
        _, status = os.waitpid(pid, 0)
        with suppress(OSError):  # nobody waits for it any more
            client.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))
        client.close()


def _body(client: socket.socket, head: bytes) -> dict[str, Any] | None:
    """Return the request, or None if the requester ended meanwhile."""
    if len(head) < NUMBER.size:
        return None
    (size,) = NUMBER.unpack(head)
    with client.makefile("rb") as body:
        told = body.read(size)
    return json.loads(told) if len(told) == size else None


def become(start: Start) -> None:
    """Give this new process the inputs of the request."""
    for number, file in enumerate(start.files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(start.folder)
    os.environ.clear()
    os.environ.update(start.environment)
    time.tzset()
    buffering = 1 if os.environ.get("PYTHONUNBUFFERED") else -1
    sys.stdin = sys.__stdin__ = _text(0, "<stdin>", "r", -1)
    sys.stdout = sys.__stdout__ = _text(1, "<stdout>", "w", buffering)
    sys.stderr = sys.__stderr__ = _text(2, "<stderr>", "w", 1, errors="backslashreplace")


def _text(file: int, name: str, mode: str, buffering: int, **more: str) -> Any:
    found: Any = os.fdopen(file, mode, buffering, encoding="utf-8", closefd=False, **more)  # type: ignore[call-overload]
    found.buffer.raw.name = name  # as Python's own has it
    return found


def leave(code: int) -> None:
    """End this process; return if its output cannot be written, so that Python reports it."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


def main(run: str, *some: str) -> None:
    """Serve the starts of a run of tests, unless another process does."""
    listener = listen(run)
    if listener is None or os.fork():
        return  # whoever started it may ask at once, and is answered once it has read all
    read_modules(some)
    start = Server(listener).serve()
    if start is not None:
        become(start)
        sys.argv = ["-m", *start.words]
        try:
            runpy.run_module(start.module, run_name="__main__", alter_sys=True)
        except SystemExit as error:
            if error.code is not None and not isinstance(error.code, int):
                raise  # Python says what it is
            leave(error.code or 0)
            raise
        leave(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
