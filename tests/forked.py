"""
`tonne` as a process of its own, without the second that loading its modules takes.

Most of what a short command costs is its imports.  One process beside the tests does them
once, and forks for each command: what it forks has its own id, environment, files and
signals, is killed and waited for as any other, and runs `python -m services.cli` from there.
Whoever tests the start itself, or memory, or a preloaded library, takes `subprocess`.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import cache
from importlib import import_module
from pathlib import Path

CLI = "services.cli"
# what a command loads when it runs, beside the module in which it stands
LATER = {
    "api": (
        "services.api.app", "services.api.server", "services.api.oidc", "services.issuer.pack",
        "services.logs", "services.metrics", "uvicorn.lifespan.on", "uvicorn.loops.uvloop",
    ),
}  # fmt: skip
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux
_FILES = 3
_LOCK = threading.Lock()


class Popen(subprocess.Popen):
    """
    A `tonne WORDS`, or another `python -m MODULE WORDS`; all else is as with `subprocess.Popen`.

    `env` may change what Python reads when it starts: then it is started as usual.
    """

    def __init__(self, words, *, module=CLI, **more):
        self._module, self._words = module, list(map(str, words))
        super().__init__([sys.executable, "-m", module, *self._words], **more)

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *rest):
        pipes = rest[3:9]
        new_session = rest[-2]
        environment = dict(os.environ if env is None else env)
        if _of_the_loader(environment):
            super()._execute_child(
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *rest
            )
            return
        files = [
            theirs if theirs != -1 else own
            for theirs, own in zip((pipes[0], pipes[3], pipes[5]), range(_FILES), strict=True)
        ]
        ask = {
            "module": self._module,
            "words": self._words,
            "env": environment,
            "cwd": os.fspath(cwd or Path.cwd()),
            "session": bool(new_session),
        }
        self.pid = _server().fork(ask, files)
        self._child_created = True
        self._close_pipe_fds(*pipes)


def run(words, **more):
    """Run it to its end, as `subprocess.run` does; output is kept as text."""
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    check, limit = more.pop("check", False), more.pop("timeout", None)
    with Popen(words, **more) as process:
        try:
            out, err = process.communicate(timeout=limit)
        except BaseException:
            process.kill()
            raise
    if check and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args, out, err)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _of_the_loader(environment):
    """What an environment has of that which is read before the first line of Python runs."""
    heads = ("LD_", "PYTHON", "OPENBLAS", "MALLOC")
    own = {k: v for k, v in environment.items() if k.startswith(heads)}
    own.pop("PYTHONUNBUFFERED", None)  # is heeded
    return {k: v for k, v in own.items() if v != os.environ.get(k)}


class _Server:
    """The process that forks."""

    def __init__(self):
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={k: v for k, v in os.environ.items() if not k.startswith("TONNE_")},
            )

    def fork(self, ask, files):
        """Return the id of a new child of ours."""
        prctl = ctypes.CDLL(None).prctl
        with _LOCK:
            # the process between it and us ends at once, and its child becomes ours
            prctl(_SUBREAPER, 1)
            try:
                socket.send_fds(self._socket, [json.dumps(ask).encode()], files)
                return int(self._socket.recv(100))
            finally:
                prctl(_SUBREAPER, 0)

    def close(self):
        """End it."""
        self._socket.close()
        self._process.wait(10)


@cache
def _server():
    made = _Server()
    atexit.register(made.close)
    return made


def _serve(ours):
    """Fork for each that asks; return in the child alone, with what was asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy, as the command has it
    while True:
        data, files, *_ = socket.recv_fds(ours, 1 << 20, _FILES)
        if not data:
            sys.exit()
        ask = json.loads(data)
        for module in _loads(ask["module"], ask["words"]):
            import_module(module)
        gc.freeze()  # else a child's first collection copies all that was loaded
        answer, told = os.pipe()
        between = os.fork()
        if between == 0:
            os.close(answer)
            child = os.fork()
            if child:
                os.write(told, str(child).encode())
                os._exit(0)
            os.close(told)
            ours.close()
            for number, file in enumerate(files):
                os.dup2(file, number)
            for file in files:
                os.close(file)
            return ask
        os.close(told)
        os.waitpid(between, 0)
        ours.send(os.read(answer, 100))
        os.close(answer)
        for file in files:
            os.close(file)


def _loads(module, words):
    """Return the modules that a command is going to load."""
    if module != CLI:
        return [module]
    commands = import_module(f"{CLI}.main").COMMANDS
    name = next(iter(words), "")
    if name not in commands:
        return []
    return [f"{CLI}.{commands[name].where.partition(':')[0]}", *LATER.get(name, ())]


def _become(ask):
    """Be the program with these words, in this environment."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if ask["session"]:
        os.setsid()
    os.chdir(ask["cwd"])
    os.environ.clear()
    os.environ.update(ask["env"])
    time.tzset()
    if ask["env"].get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True)
    sys.argv = [ask["module"], *ask["words"]]
    if ask["module"] != CLI:
        sys.modules.pop(ask["module"], None)  # it runs as `__main__`
    runpy.run_module(ask["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _become(_serve(socket.socket(fileno=int(sys.argv[1]))))
