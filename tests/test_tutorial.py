"""
The tutorial and the day of another city, line by line, on real servers, as a newcomer types them.

`tonne` is forked from a process with its modules loaded; `make soak` runs it from the environment.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from services import local as machine
from services.local import backup
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import load_registry
from services.store.statements import statements
from tests import commands
from tests.deploy.files import accept, read
from tests.soak import SOAK

DOCS = Path(__file__).parents[1] / "docs"
SECOND = "# second terminal\n"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = [pytest.mark.integration, pytest.mark.timeout(700)]


def script(page: str) -> str:
    """Return the page's lines as one script; named blocks are written to that file."""
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


def _run(page: str, home: Path) -> str:
    """Run a page's lines in an empty folder; return their output."""
    machine.require()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TONNE_")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    if not SOAK:
        (home / "bin").mkdir()
        commands.on_path(home / "bin")
        environment["PATH"] = f"{home / 'bin'}:{environment['PATH']}"
    (home / "plant").mkdir()
    done = subprocess.run(
        ["bash", "-c", script((DOCS / page).read_text("utf-8"))],
        cwd=home / "plant",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is issued and may be relied on" in done.stdout
    return done.stdout


def test_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    """A newcomer would stop at the first line that fails, and not come back."""
    assert re.search(r"credited +1 whole t", _run("tutorial.md", tmp_path))


def test_another_city_has_a_statement_in_a_day_by_its_own_countrys_factor(
    tmp_path: Path, database_url: str
) -> None:
    """A planner abroad would stop in the middle, or get a statement by another country's grid."""
    printed = _run("another-city.md", tmp_path)
    assert re.search(r"credited +3 whole t", printed)
    city = printed[printed.index("TN-rathaus-solar") : printed.index("TN-elektrobusse")]
    assert "not met" not in city, city
    statement = json.loads((tmp_path / "plant/pack/statement.json").read_text("utf-8"))
    subject = json.dumps(statement, ensure_ascii=False)
    assert "Solarstrom auf dem Rathaus" in subject
    # what the city's document states counts, though tonne publishes less for the year before
    fixed = {p["parameter"]: p["value"] for p in statement["credentialSubject"]["fixedParameters"]}
    assert fixed["ef_grid_t_per_mwh"] == "0.36"
    carried = json.loads((tmp_path / "plant/pack/factors.json").read_text("utf-8"))
    assert {f["kind"] for f in carried} == {"grid.de"}
    assert "de-grid-2026" in {f["id"] for f in carried if f.get("documented")}
    assert not re.search(r"viet ?nam|ho_chi_minh|hai ?phong|decree", subject, re.IGNORECASE)
    by_hand = [sys.executable, "-W", "error", DOCS / "verify_by_hand.py", tmp_path / "plant/pack"]
    assert "3 credited; the statement says 3" in subprocess.check_output(by_hand, text=True)
    _goes_to_the_server(tmp_path / "plant/city.zip", database_url)


def _goes_to_the_server(file: Path, url: str) -> None:
    """
    Check that the server accepts the transferred data completely:
    registry, readings, statement.
    """
    held = backup.restore(url, file.parent / "there", file)
    assert held.rows > 1000
    with connect(url) as conn:
        registry = load_registry(conn)
        issued = statements.find(conn, "TN-rathaus-solar-20260601-20260604-1")
    assert registry.projects["rathaus-solar"].monitoring
    assert registry.factors["de-grid-2026"].record["document"]
    assert issued is not None
    assert issued.state == "issued"
    assert {one.name for one in (file.parent / "there/keys").iterdir()} >= {"stadt.json"}
    lines = re.findall(r"`docker compose -f (\S+) (.*?)`", (DOCS / "another-city.md").read_text())
    services = read(DOCS.parent / lines[0][0])[0]["services"]
    assert [words.split()[0] for _, words in lines] == ["up", "run"]
    service, command = re.search(r":ro\" (\S+) (.*)", lines[1][1]).groups()  # type: ignore[union-attr]
    assert service in services
    accept(shlex.split(command.replace("/city.zip", str(file))))
