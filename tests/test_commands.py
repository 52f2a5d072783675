"""Commands that tests start through `tests/command_server.py` run as separate processes."""

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import commands
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
    """Yield `tonne watch` without a database, once it has reported that."""
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
    """A kill without a running process proves nothing."""
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
