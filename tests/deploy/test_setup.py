"""
Set-up on machines without a requirement: one line states the remedy, and
the next attempt succeeds.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import pytest

from tests.deploy.files import ROOT

FILES = ("requirements.lock", "requirements-dev.lock", "requirements-setup.lock", "pyproject.toml")


@pytest.fixture
def project(tmp_path):
    """Return the folder of a project with the files that set-up reads; its path has spaces."""
    folder = tmp_path / "my project"
    (folder / "deploy").mkdir(parents=True)
    for name in (*FILES, "deploy/setup.sh"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def set_up(project, *extras, **environment):
    """Run set-up with an empty home and no index settings; return exit code and output."""
    done = subprocess.run(
        ["sh", "deploy/setup.sh", *extras],
        cwd=project, capture_output=True, text=True, check=False,
        env={
            "PATH": os.environ["PATH"], "HOME": str(project.parent / "a home"),
            "PIP_RETRIES": "1", "UV_HTTP_RETRIES": "1", "PYTHON": sys.executable, **environment,
        },
    )  # fmt: skip
    return done.returncode, done.stderr.splitlines()


def interpreter(folder, name, first):
    """Write an interpreter that runs a line of Python before its arguments."""
    path = folder / name
    path.write_text(
        f'#!/bin/sh\nshift\ncode=$1\nexec "{sys.executable}" -c "{first}\n$code"\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("import sys; sys.version_info = (3, 9, 2)", "is Python 3.9.2"),
        ("import sys; sys.modules['sqlite3'] = None", "lacks sqlite3"),
        (
            "import sys; sys.modules['venv'] = sys.modules['ensurepip'] = None",
            "lacks venv, ensurepip",
        ),
    ],
)
def test_an_interpreter_that_will_not_do_is_refused_at_once(project, tmp_path, first, reason):
    """Someone would download 400 MB to learn that the gateway's outbox cannot be opened."""
    chosen = interpreter(tmp_path, "python-of-mine", first)
    code, said = set_up(project, PYTHON=str(chosen))
    assert code == 2
    assert len(said) == 1
    assert reason in said[0]
    assert "Python 3.11 or newer with the modules venv, ensurepip, sqlite3" in said[0]
    assert not (project / ".venv").exists()


def test_a_name_that_is_no_interpreter_is_refused(project):
    """`make test PYTHON=python3.99` must not take another one without a message."""
    code, said = set_up(project, PYTHON="python3.99")
    assert code == 2
    assert said[0].startswith("setup: PYTHON=python3.99 cannot be run; Python 3.11 or newer")


def test_without_a_network_one_line_says_so(project, tmp_path):
    """A traceback of pip would hide a missing network, and an incomplete .venv would remain."""
    shims = tmp_path / "shims"
    shims.mkdir()
    for name in ("python3", "python3.13"):
        (shims / name).write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
        (shims / name).chmod(0o755)
    (shims / "python3.12").symlink_to(sys.executable)
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/tonne").touch()
    code, said = set_up(
        project,
        PYTHON="",
        PATH=f"{shims}:{os.environ['PATH']}",
        HOME="/proc/nobody",
        HTTPS_PROXY="http://127.0.0.1:9",
        HTTP_PROXY="http://127.0.0.1:9",
    )
    assert code == 2
    assert said[0].endswith("found as python3.12")
    assert said[1].startswith("setup: /proc/nobody/.cache cannot be written")
    assert said[2] == "setup: .venv is unfinished or of another interpreter: making it anew"
    assert said[3].startswith("setup: fetching the installer: uv ")
    assert said[4].startswith("setup: fetching the installer failed: the ")
    assert said[4].endswith("; then run this again")
    assert len(said) == 5
    assert not (project / ".venv/.prepared").exists()
    with refusing_proxy() as url:
        code, said = set_up(project, HTTPS_PROXY=url, HTTP_PROXY=url)
    assert code == 2
    assert said[1].startswith("setup: fetching the installer: uv ")
    assert f"the proxy refuses ({url}); set HTTPS_PROXY" in said[-1]
    assert len(said) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_without_room_is_told_before_anything_is_downloaded(project):
    """Set-up would fill the disk that a database writes to."""
    small = project.parent / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no mount here: {mounted.stderr.decode()}")
    try:
        shutil.copytree(project, small / "project")
        code, said = set_up(small / "project", "api")
    finally:
        subprocess.run(["umount", small], check=True)
    assert code == 2
    assert said[-1].startswith(f"setup: 500 MB are needed in {small}/project, ")
    assert len(said) == 2  # the interpreter, and this


@contextmanager
def refusing_proxy():
    """Yield a proxy that rejects everyone, as one that requires a password."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_refuse, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def _refuse(server):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
