"""Monitoring plans: versions in force, what the methodology asks for, the drawing."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date

import pytest

from mrv.registry.monitoring_plan import Line, Version, in_force
from mrv.registry.project import CheckMeter, ProjectDevice
from mrv.statement.diagram import diagram
from mrv.statement.plan_extract import MonitoringPlan
from services.store.postgres.pool import connect
from tests.invoked import tonne
from tests.mrv.plant import BUS, CERTIFICATES, FLEET, PV
from tests.services.issuer import plant
from tests.services.issuer.sealed import close_period

RULE = "PLN-01"
LINE = Line("generation", None, "energy_export_kwh", "C", "continuous", "0.5S", "checked", "O&M")


def _version(name, begins, *lines):
    return Version(name, begins, "Manager", "why", {}, lines or (LINE,))


def test_the_version_of_the_day_counts():
    """A plan that was made afterwards would excuse what was done before."""
    one, two, three = (_version(n, date(2026, m, 1)) for n, m in (("1", 1), ("2", 3), ("3", 3)))
    every = (one, two, three)
    assert in_force(every, date(2026, 1, 1), date(2026, 3, 1)) == (one,)
    assert in_force(every, date(2026, 2, 1), date(2026, 4, 1)) == (one, three)
    assert in_force(every, date(2026, 3, 1), date(2026, 4, 1)) == (three,)
    assert in_force(every, date(2025, 1, 1), date(2026, 1, 1)) == ()


HOSTILE = "\"><script>alert('x')</script>&\u202e\x00 " + "Công ty " * 40


@pytest.mark.parametrize("project", [PV, BUS])
def test_a_drawing_holds_hostile_names_as_text(project):
    """A name in a registry file would run as a program in an auditor's browser."""
    devices = tuple(d for d in FLEET.devices if d.id in {b.device for b in project.devices})
    plan = MonitoringPlan(
        replace(project, name=HOSTILE),
        devices,
        {devices[0].id: HOSTILE},
        {devices[0].id: CERTIFICATES["inv-1"]},
        checks=(CheckMeter(devices[0].id, devices[1].id, 2),),
        versions=(replace(_version("1", date(2026, 1, 1)), responsible=HOSTILE),),
    )
    drawn = diagram(plan)
    root = ET.fromstring(drawn)  # noqa: S314 - our own output
    assert {e.tag.rpartition("}")[2] for e in root.iter()} == {
        "svg",
        "title",
        "style",
        "rect",
        "text",
        "path",
    }
    assert "\x00" not in drawn
    assert "\u202e" not in drawn
    assert any("<script>" in (e.text or "") for e in root.iter())
    assert all(len(e.text or "") <= 200 for e in root.iter() if e.tag.endswith("text"))


def test_two_thousand_meters_still_fit_on_a_page():
    """A city's drawing would be a hundred metres long."""
    bound = tuple(ProjectDevice(f"inv-{i}", "generation", {"case": 1}) for i in range(2000))
    devices = tuple(replace(FLEET.devices[0], id=d.device) for d in bound)
    drawn = diagram(MonitoringPlan(replace(PV, devices=bound), devices))
    assert "and 1994 more meters" in drawn
    assert len(drawn) < 10_000


@pytest.fixture
def run(database_url, monkeypatch):
    """Return a way to run `tonne` against the database."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    return tonne


PLAN = plant.PLAN


def _import(run, folder, text):
    file = folder / "registry.yaml"
    file.write_text(text, "utf-8")
    return run("registry", "import", str(file))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("option: C", "option: B", "tonne invoice import"),
        ("option: C", "option: D", "must be A, B or C"),
        ("frequency: continuous", "frequency: monthly", "coarser"),
        ("frequency: continuous", "frequency: sometimes", "must be one of"),
        ("channel: energy_export_kwh", "channel: energy_import_kwh", "channels that it reads from"),
        ("channel: energy_export_kwh, ", "", "channel is missing"),
        ('accuracy_class: "0.5S"', "accuracy_class: good", "no class of"),
        ("parameter: generation", "parameter: generation, device: inv-1", "no line for inv-2"),
        ("parameter: generation", "parameter: wind", "unknown to jcm-vn-am007"),
        ("parameter: generation", "parameter: generation, device: ch-1", "no role 'generation'"),
        ("responsible: Operator", 'responsible: ""', "responsible"),
        ("from: 2026-01-01\n        responsible", "from: soon\n        responsible", "no date"),
    ],
)
def test_what_the_methodology_needs_is_checked_at_import(run, tmp_path, old, new, word):
    """A plan would be found wanting a year later, by the verifier."""
    assert old in plant.REGISTRY
    done = _import(run, tmp_path, plant.REGISTRY.replace(old, new))
    assert done.exit_code == 2
    assert word in done.output


def test_versions_are_added_and_never_rewritten(run, database_url, tmp_path):
    """An operator would write into January's plan what is done since June."""
    assert _import(run, tmp_path, plant.REGISTRY).exit_code == 0
    changed = _import(run, tmp_path, plant.REGISTRY.replace("monthly comparison", "daily looks"))
    assert changed.exit_code == 2
    assert "is not rewritten" in changed.output
    more = PLAN.replace('"1"', '"2"').replace("2026-01-01", "2026-03-02")
    text = plant.REGISTRY.replace(PLAN, more.replace("monthly comparison", "daily looks"))
    assert _import(run, tmp_path, text).exit_code == 0
    shown = run("plan", "show", "pv").output
    assert shown.index("version 1") < shown.index("version 2")
    exported = run("registry", "export").output
    assert "unchanged project   pv" in _import(run, tmp_path, exported).output
    plant.fill_pv(database_url, minutes=15)
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        span = plant.us("2026-03-01"), plant.us("2026-03-03")
        subject = close_period(conn, "pv", *span, "test").document["credentialSubject"]
    assert [v["version"] for v in subject["monitoringPlan"]] == ["1", "2"]
    assert subject["monitoredParameters"][0]["plan"]["qaQc"].startswith("daily looks")
    assert {c["rule"]: c["holds"] for c in subject["applicability"]}[RULE] is True


def test_a_draft_waits_for_what_only_the_plant_knows(run, database_url, tmp_path):
    """An engineer would face an empty page, or a plan that nobody thought about would pass."""
    assert _import(run, tmp_path, plant.REGISTRY.replace(PLAN, "")).exit_code == 0
    draft = run("plan", "draft", "pv").output
    refused = _import(run, tmp_path, draft)
    assert refused.exit_code == 2
    assert "responsible" in refused.output
    filled = draft.replace("''", "filled in").replace(
        "accuracy_class: filled in", "accuracy_class: '1'"
    )
    done = _import(run, tmp_path, filled)
    assert done.exit_code == 0, done.output
    drawn = run("plan", "diagram", "pv").output
    assert "inv-1" in drawn
    assert "plan version 1" in drawn
    assert run("plan", "diagram", "nobody").exit_code == 2
