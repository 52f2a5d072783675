"""
The tutorial, line by line, on real servers, as a newcomer types it.

`tonne` is forked from a process that holds its modules; `make soak` has it from the environment.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from services.local import packages
from tests import commands
from tests.soak import SOAK

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/tutorial.md"
SECOND = "# second terminal\n"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = [pytest.mark.integration, pytest.mark.timeout(700)]


def script(page: str) -> str:
    """Return the page's lines as one script; what has a name is written to that file."""
    lines = ["set -e"]
    for language, text in BLOCK.findall(page):
        if language == "sh" and "make setup" in text:
            continue  # it is prepared: this test runs in it
        if language == "sh" and text.startswith(SECOND):
            lines.append(f"({text.removeprefix(SECOND).strip()}) >run.log 2>&1 & RUN=$!")
            lines.append("trap 'kill $RUN; tonne local down >/dev/null' EXIT")
            lines.append("until grep -q '\"receiving\"' run.log; do sleep 0.1; done")
        elif language == "sh":
            lines.append(text)
            if "send.py" in text:
                lines.append(WAIT)
        else:
            name = re.match(r"# (\S+)\n", text)
            assert name is not None, f"a block without a name: {text[:40]}"
            lines.append(f"cat >{name[1]} <<'END'\n{text}END\n")
    return "\n".join(lines)


# a reader reads on for a moment; ten days are 960 quarter hours
WAIT = """for _ in $(seq 180); do
  N=$(tonne intervals --project my-project --from 2026-03-01 --to 2026-03-11 --json |
    python -c 'import json, sys; print(len(json.load(sys.stdin)))')
  [ "$N" -ge 960 ] && break; sleep 1; done; [ "$N" -ge 960 ]"""


def test_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    """A newcomer would stop at the first line that fails, and not come back."""
    packages.require()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TONNE_")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    if not SOAK:
        (tmp_path / "bin").mkdir()
        commands.on_path(tmp_path / "bin")
        environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    home = tmp_path / "plant"
    home.mkdir()
    done = subprocess.run(
        ["bash", "-c", script(PAGE.read_text("utf-8"))],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is issued and may be relied on" in done.stdout
    assert re.search(r"credited +1 whole t", done.stdout)
