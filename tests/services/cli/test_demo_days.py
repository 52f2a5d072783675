"""
The demo's catalog at the present date: what moves, what stays, and the result of its month.

The output of `tonne demo` before it starts anything.
"""

import csv
import hashlib
import json
import re
import shutil
from datetime import date, timedelta

import pytest
import yaml

from deploy import examples
from mrv.calendar import period_us
from mrv.documents.statement import claims_of
from mrv.statement.conditions import unmet
from services.cli.local.demo import SIMULATED, what_next
from services.cli.local.demo_catalog import ZONE, invoices_of, moved
from services.cli.local.demo_stage import DAYS, SILENT, Stage, fleet_of, forked
from services.issuer.close import preview_period
from services.processing.registry_import import deliver
from services.registry.invoices import read
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from tests.bench.year import frames
from tests.fix_timescale import _fresh
from tests.invoked import tonne
from tests.registering import imported
from tests.services.issuer.plant import store_of
from tests.soak import SOAK


def test_resume_without_an_earlier_demo_says_what_to_run(monkeypatch, tmp_path):
    """Servers without data would start, and an empty console would look like a defect."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    told = tonne("demo", "--resume", code=2)
    assert f"no demo was run in {tmp_path}; run `tonne demo` first" in told.stderr
    assert not (tmp_path / "local.json").exists()


def test_once_and_resume_exclude_each_other():
    """
    `--once` ends after verification, and `--resume` verifies
    nothing: both together are refused.
    """
    assert tonne("demo", "--once", "--resume").exit_code == 2


def test_what_to_do_next_can_be_typed_as_it_stands(tmp_path, capsys, monkeypatch):
    """After `make demo` no PATH leads to `tonne`: the next command would be "not found"."""
    stage = Stage(tmp_path)
    what_next(stage)
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert len(told) == 4
    assert [word for word in told if shutil.which(word) is None] == []
    (tmp_path / "tonne").write_text("#!/bin/sh\n")
    (tmp_path / "tonne").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    what_next(stage)
    assert capsys.readouterr().out.count("  tonne ") == 4


# in the hot months, and over a new year: the catalog's own month is a January
FIRST = (date(2025, 6, 14), date(2024, 12, 9))  # what is to come cannot be registered yet


@pytest.fixture(params=FIRST, ids=str)
def city(request, tmp_path):
    """Return the catalog of a demo begun on some day, and its month."""
    end = request.param + timedelta(days=DAYS - 1)
    return tmp_path / "city", moved(examples.CITY, tmp_path / "city", request.param, end, SILENT[0])


def test_every_date_of_the_simulated_projects_moves_and_no_other(city):
    """A certificate would have run out, or the real inverter's days would be others."""
    folder, month = city
    by = month.first - examples.FIRST
    for path in examples.CITY.glob("*.yaml"):
        before, after = (one.read_text("utf-8") for one in (path, folder / path.name))
        if path.name == "replay.yaml":
            assert after == before
            continue
        devices = yaml.load(after, yaml.CSafeLoader).get("devices", ())
        expected = {one["id"]: one["commissioned"] for one in devices if "commissioned" in one}
        assert expected == ({SILENT[0]: month.first} if path.name == "energy.yaml" else {})
        after = re.sub(r"^ +commissioned: .*\n", "", after, flags=re.MULTILINE)
        for was, now in zip(_dates(before), _dates(after), strict=True):
            assert now - was == by, path.name


def _dates(text):
    found = []

    def walk(one):
        if isinstance(one, dict):
            one = list(one.values())
        if isinstance(one, list):
            for each in one:
                walk(each)
        elif hasattr(one, "year"):
            found.append(date(one.year, one.month, one.day))

    walk(yaml.load(text, yaml.CSafeLoader))
    return found


def test_each_document_and_invoice_is_written_for_that_month(city):
    """A reader would find no file behind a hash, or an invoice of another month."""
    folder, month = city
    held = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (folder / "documents").iterdir()}
    with invoices_of(folder, month).open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert {(row["from"], row["to"]) for row in rows} == {(str(month.first), str(month.end))}
    assert {row["sha256"] for row in rows} <= held
    for path in folder.glob("*.yaml"):
        for project in yaml.load(path.read_text("utf-8"), yaml.CSafeLoader).get("projects", ()):
            if path.name != "replay.yaml":
                named = {one["sha256"] for one in project.get("documents", {}).values()}
                assert named <= held, project["id"]


@pytest.mark.skipif(not SOAK, reason="long: `make soak`; the catalog's own month is closed anyway")
def test_the_statements_of_any_month_have_no_open_finding(city, timescale, migrated_template):
    """`make demo` would end in a refusal on some days of the year."""
    folder, month = city
    for url in _fresh(timescale, migrated_template):
        planned = imported(url, folder)
        assert not planned.refused, [r.messages for r in planned.results if r.messages]
        with connect(url, autocommit=True) as conn:
            deliver(conn, read(invoices_of(folder, month)), "test", write=True)
        span = period_us(month.first, month.end, ZONE)
        with connect(url, role="tonne_ingest", autocommit=True) as conn:
            store = store_of(conn)
            index = store.plan.fleet.by_id
            for some in frames(folder, index, *span, 1, as_registered=True, of=SIMULATED):
                store.commit(conn, some, [], Letters([], [], [], [], 0))
            store.remake_requested(conn)
        with connect(url, role="tonne_mrv", autocommit=True) as conn:
            for name in SIMULATED:
                claims = claims_of(preview_period(conn, name, *span).document)
                assert [str(one) for one in unmet(claims)] == [], name
                assert int(claims.credited.t) >= 1, name


def test_a_demo_that_is_run_again_has_the_days_that_it_had(tmp_path):
    """Its statements would be of one month, and its catalog of another."""
    stage = Stage(tmp_path)
    earlier = stage.packs / "catalog-2026-03-05"
    earlier.mkdir(parents=True)
    fleet = fleet_of(stage)
    assert fleet.registry == earlier
    assert (fleet.month.first, fleet.today) == (date(2026, 3, 5), date(2026, 3, 5) + timedelta(31))


def test_a_forked_command_is_the_command(tmp_path):
    """A step of the demo would print another thing than what a person gets who types it."""
    code, out, err = forked(("registry", "check", str(examples.CITY), "--json"), {})
    assert (code, err) == (0, "")
    assert json.loads(out)
    code, out, err = forked(("registry", "check", str(tmp_path / "none.yaml")), {"TONNE_HOME": "x"})
    assert (code, out) == (2, "")
    assert "none.yaml" in err
