"""What tests start by way of `tests/command_server.py` is the command, as a process of its own."""

import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import commands
from tests.command_server import NUMBER
from tests.commands import TONNE
from tests.waiting import until

# of every kind: a table, an error of usage, a refused document, one that reads its input
WORDS = (
    ["--version"],
    ["registry", "schema"],
    ["no-such-command"],
    ["registry", "check", "missing.yaml"],
    ["evaluate", "jcm-vn-am007", "-"],
)
CLOSED = {"TONNE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_it_says_and_ends_as_a_start_of_python_does(words, tmp_path):
    """Tests would pass on a command that no user has."""
    options = {"cwd": tmp_path, "input": "{}", "capture_output": True, "text": True}
    ours = commands.run(words, **options)
    python = subprocess.run([*TONNE, *words], check=False, **options)
    assert (ours.returncode, ours.stdout, ours.stderr) == (
        python.returncode,
        python.stdout,
        python.stderr,
    )


@contextmanager
def watching(folder):
    """`tonne watch` without a database, once it has said so."""
    environment = {**os.environ, **CLOSED, "TONNE_METRICS_BIND": "", "TONNE_HOME": str(folder)}
    log = folder / "watch.log"
    with log.open("wb") as out:
        process = commands.start(["watch"], env=environment, cwd=folder, stderr=out)
    try:
        until(lambda: "database not seen" in log.read_text(), 120, log.read_text)
        yield process
    finally:
        process.kill()
        process.wait()


def test_it_is_a_process_that_can_be_stopped_and_killed(tmp_path):
    """A kill that meets nothing shows nothing."""
    with watching(tmp_path) as process:
        assert Path(f"/proc/{process.pid}/cwd").resolve() == tmp_path.resolve()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        assert process.poll() is None
        process.kill()
        assert process.wait(60) == process.poll() == -signal.SIGKILL
        assert not Path(f"/proc/{process.pid}").exists()
    with watching(tmp_path) as process:
        process.terminate()
        assert process.wait(60) == 0
        assert '"stopped"' in (tmp_path / "watch.log").read_text()


def test_whoever_is_ended_while_asking_ends_nothing():
    """One test that is cut off would take every later command of the run with it."""
    commands.run(["--version"], stdout=subprocess.DEVNULL, check=True)
    for told in (None, NUMBER.pack(1_000), NUMBER.pack(2) + b"{"):
        with commands._connected(None) as asking:
            if told is not None:
                with Path(os.devnull).open("r+b") as nothing:
                    socket.send_fds(asking, [told[:8]], [nothing.fileno()] * 3)
                asking.sendall(told[8:])
    commands.run(["--version"], stdout=subprocess.DEVNULL, check=True)


def test_two_starts_share_nothing(tmp_path):
    """What one leaves in its modules would be the beginning of the next."""
    for _ in range(2):
        environment = {"PATH": os.environ["PATH"], "TONNE_HOME": str(tmp_path / "home"), **CLOSED}
        done = commands.run(["migrate"], env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.count("\n") == 1
    done = commands.run(["migrate"], env={"PATH": "/bin"}, capture_output=True, text=True)
    assert done.returncode == 2
    assert "TONNE_DATABASE_URL" in done.stderr


def test_what_python_reads_at_its_start_is_told_to_a_python(tmp_path):
    """A setting of the interpreter's would be left out in silence."""
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    with commands.start(["--version"], env=environment, stdout=subprocess.DEVNULL) as process:
        assert type(process) is subprocess.Popen
    with commands.start(["--version"], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        assert type(process) is not subprocess.Popen
