"""Monitoring plans: versions in force, requirements of the methodology, the drawing, due dates."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date

import pytest
import yaml

from mrv.registry.monitoring_plan import Line, Version, in_force
from mrv.registry.project import CheckMeter, ProjectDevice
from mrv.statement.diagram import diagram
from mrv.statement.plan_extract import MonitoringPlan
from services.issuer.planning import _end_of_next, draft_of, due
from services.registry.files import RETAINED
from services.store.registry.entries_from_rows import load_registry
from tests import registering
from tests.invoked import tonne
from tests.mrv.plant import BUS, CERTIFICATES, FLEET, PV
from tests.planted import planted
from tests.services.issuer import logged, plant

MORE = """\
    surveys:
      - {parameter: sfc_l_per_100km, population: 90, n: 40, mean: 34, sd: 2,
         drawn: at random, taken: 2024-02-29}
    events:
      - {from: 2026-03-01, what: anomaly, found: a value that stands, devices: [bus-1]}
registrations:
  - project: bus
    forms: [{name: PDD form, version: "2", since: 2020-01-01, until: 2026-12-31}]
    methodologies:
      - {name: ams-iii-c, version: "15.0", since: 2020-01-01, until: 2025-12-31}
      - {name: ams-iii-c, version: "16.0", since: 2026-01-01}
    validation: {forward_actions: [{id: FAR-1, text: check the odometers}]}
"""


@pytest.fixture
def who(database_url, tmp_path):
    return planted(logged.issued, database_url, tmp_path)[0]


def _due(url, project):
    with logged.issuer(url) as conn:
        return {(one.kind, one.what): one for one in due(conn, project)[1]}


def test_each_meter_is_due_and_the_next_statement_follows_the_last(database_url, who):
    """Due calibrations and missing periods are listed."""
    found = _due(database_url, "pv")
    assert found["calibration", "inv-1"].day == date(2027, 12, 20)
    assert found["calibration", "inv-1"].responsible == "Operator"
    late = found["calibration", "inv-2"]
    assert (late.day, late.state(date(2026, 3, 4))) == (date(2026, 3, 3), "overdue")
    assert late.state(date(2026, 3, 3)) == "soon"
    assert late.state(date(2025, 3, 3)) == "later"
    assert found["statement", "2026-03-03 .. 2026-03-03"].day == date(2026, 3, 4)
    assert found["crediting_period", "2035-12-31"].responsible == "Energy manager"
    name = logged.submitted(database_url, who, "2026-03-03", "2026-03-04")
    assert _due(database_url, "pv")["verification", name].responsible == "verifier"


@pytest.mark.parametrize(
    ("first", "begin", "end"),
    [
        (date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)),
        (date(2027, 1, 1), date(2027, 2, 1), date(2027, 3, 1)),
        (date(2026, 1, 5), date(2026, 4, 5), date(2026, 7, 5)),
        (date(2026, 3, 2), date(2026, 3, 9), date(2026, 3, 16)),
    ],
)
def test_a_statement_of_months_is_followed_by_one_of_months(first, begin, end):
    """After November's 30 days, 31 December would be in no statement."""
    assert _end_of_next(first, begin) == end


def test_surveys_and_actions_are_due_again(database_url, who, tmp_path):
    """Surveys and forward actions that are due are listed."""
    registering.register(database_url, tmp_path, plant.REGISTRY + MORE)
    found = _due(database_url, "bus")
    assert found["survey", "sfc_l_per_100km"].day == date(2026, 2, 28)
    assert found["forward_action", "FAR-1"].day is None
    assert found["anomaly", "bus-1, 2026-03-01"].state(date(2026, 3, 2)) == "open"
    assert found["registered_version", "PDD form 2"].day == date(2026, 12, 31)
    assert not [what for kind, what in found if what == "ams-iii-c 15.0"]
    assert found["calibration", "ch-1"].state(date(2026, 3, 2)) == "open"


def test_the_command_lists_what_is_due(database_url, who, monkeypatch):
    """An operator would look through the registry for the next date."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    done = tonne("plan", "due", "pv", "--within", "36500", "--json")
    said = json.loads(done.output)
    assert {one["kind"] for one in said["due"]} == {"calibration", "statement", "crediting_period"}
    assert done.exit_code == (1 if any(o["state"] == "overdue" for o in said["due"]) else 0)
    listed = tonne("plan", "due", "pv", "--within", "36500").output
    assert "crediting period" in listed
    assert tonne("plan", "due", "nothing").exit_code == 2


RULE = "PLN-01"
LINE = Line("generation", None, "energy_export_kwh", "C", "continuous", "0.5S", "checked", "O&M")


def _version(name, begins, *lines):
    return Version(name, begins, "Manager", "why", {}, lines or (LINE,))


def test_the_version_of_the_day_counts():
    """The plan version in force on the day applies."""
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


PLAN = plant.PLAN


def _import(tonne, folder, text):
    file = folder / "registry.yaml"
    file.write_text(text, "utf-8")
    return tonne("registry", "import", str(file))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("option: C", "option: B", "tonne invoice import"),
        ("option: C", "option: D", "must be A, B or C"),
        ("frequency: continuous", "frequency: monthly", "coarser"),
        ("frequency: continuous", "frequency: sometimes", "must be one of"),
        ("channel: energy_export_kwh", "channel: energy_import_kwh", "possible channels:"),
        ("channel: energy_export_kwh, ", "", "channel is missing"),
        ('accuracy_class: "0.5S"', "accuracy_class: good", "neither an accuracy class of"),
        ("parameter: generation", "parameter: generation, device: inv-1", "no line for inv-2"),
        ("parameter: generation", "parameter: wind", "unknown to jcm-vn-am007"),
        ("parameter: generation", "parameter: generation, device: ch-1", "no role 'generation'"),
        ("responsible: Operator", 'responsible: ""', "responsible"),
        ("from: 2026-01-01\n        responsible", "from: soon\n        responsible", "not a date"),
    ],
)
def test_what_the_methodology_needs_is_checked_at_import(tonne, tmp_path, old, new, word):
    """The import compares the plan with the methodology's requirements."""
    assert old in plant.REGISTRY
    done = _import(tonne, tmp_path, plant.REGISTRY.replace(old, new))
    assert done.exit_code == 2
    assert word in done.output


def test_versions_are_added_and_never_rewritten(tonne, database_url, tmp_path):
    """Plan versions are added and never changed."""
    assert _import(tonne, tmp_path, plant.REGISTRY).exit_code == 0
    changed = _import(tonne, tmp_path, plant.REGISTRY.replace("monthly comparison", "daily looks"))
    assert changed.exit_code == 2
    assert "cannot be changed; add another version" in changed.output
    more = PLAN.replace('"1"', '"2"\n        kind: permanent_change').replace(
        "2026-01-01", "2026-03-02"
    )
    text = plant.REGISTRY.replace(PLAN, more.replace("monthly comparison", "daily looks"))
    assert _import(tonne, tmp_path, text).exit_code == 0
    shown = tonne("plan", "show", "pv").output
    assert shown.index("version 1") < shown.index("version 2")
    exported = tonne("registry", "export").output
    assert "unchanged project   pv" in _import(tonne, tmp_path, exported).output
    subject = _closed(database_url)
    assert [v["version"] for v in subject["monitoringPlan"]] == ["1", "2"]
    assert subject["monitoredParameters"][0]["plan"]["qaQc"].startswith("daily looks")
    assert {c["rule"]: c["holds"] for c in subject["applicability"]}[RULE] is True


CHANGED = PLAN.replace('"1"', '"2"\n        kind: permanent_change').replace(
    "monthly comparison with invoices", "none"
)
UNAPPROVED = PLAN[PLAN.index("        approval:") : PLAN.index("        procedures:")]


def _closed(database_url):
    plant.fill_pv(database_url, minutes=15)
    return logged.subject(database_url, "2026-03-01", "2026-03-03")


def _finding(subject):
    return next(one for one in subject["applicability"] if one["rule"] == RULE)


def _codes(subject):
    said = (one for one in subject["applicability"] if one["rule"] == RULE)
    return [text["code"] for one in said for text in one.get("texts", ())]


def test_a_version_entered_after_its_period_is_a_finding(tonne, database_url, tmp_path):
    """A plan version entered after its period is reported."""
    text = plant.REGISTRY.replace(PLAN, PLAN + CHANGED[CHANGED.index("      - version") :])
    done = _import(tonne, tmp_path, text.replace(UNAPPROVED, "", 1))
    assert done.exit_code == 0, done.output
    subject = _closed(database_url)
    assert _finding(subject)["holds"] is True  # decided before the period
    (shown,) = subject["monitoringPlan"]
    assert shown["kind"] == "permanent_change"
    assert shown["reason"] == "first plan"
    assert shown["entered"]
    assert [one["code"] for one in shown["differs"]] == ["plan.changed"]
    assert shown["differs"][0]["values"]["now"] == "none"


@pytest.mark.parametrize(
    ("decided", "codes"),
    [
        ("", ["PLN-01.not_approved", "PLN-01.entered_late"]),
        ("2026-03-02", ["PLN-01.entered_late"]),
        ("2026-03-01\n          # no hash", ["PLN-01.entered_late"]),
        ("2026-03-01", []),
    ],
)
def test_what_is_not_decided_by_then_is_a_finding(tonne, database_url, tmp_path, decided, codes):
    """A plan change without approval in time is reported."""
    more = CHANGED[CHANGED.index("      - version") :]
    more = more.replace("2025-12-15", decided) if decided else more.replace(UNAPPROVED, "")
    if "no hash" in decided:
        more = "".join(line for line in more.splitlines(keepends=True) if "sha256" not in line)
    assert _import(tonne, tmp_path, plant.REGISTRY.replace(PLAN, PLAN + more)).exit_code == 0
    assert _codes(_closed(database_url)) == codes
    if not codes:
        return
    # an approval may come later; the version and the day of its entry stay
    more = CHANGED[CHANGED.index("      - version") :]
    again = _import(tonne, tmp_path, plant.REGISTRY.replace(PLAN, PLAN + more))
    assert (again.exit_code == 0) == (not decided), again.output
    other = _import(tonne, tmp_path, plant.REGISTRY.replace("JC-2025-17", "JC-2025-18"))
    assert other.exit_code == 2
    assert "stored approval of version '1' is different" in other.output


def test_a_deviation_ends_and_the_plan_holds_again(tonne, database_url, tmp_path):
    """After a temporary deviation the plan applies again."""
    kind = "temporary_deviation\n        to: 2026-03-02"
    more = CHANGED[CHANGED.index("      - version") :].replace("permanent_change", kind)
    more = more.replace("from: 2026-01-01", "from: 2026-03-01")
    text = plant.REGISTRY.replace(PLAN, PLAN + more)
    refused = _import(tonne, tmp_path, text.replace("\n        to: 2026-03-02", ""))
    assert "`to` is required for a temporary_deviation" in refused.output
    assert _import(tonne, tmp_path, text).exit_code == 0
    subject = _closed(database_url)
    assert [(v["version"], v.get("to")) for v in subject["monitoringPlan"]] == [
        ("2", "2026-03-02"),
        ("1", None),
    ]
    assert subject["monitoredParameters"][0]["plan"]["qaQc"] == "monthly comparison with invoices"


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("kind: permanent_change", "kind: other", "must be one of"),
        ("kind: permanent_change", "kind: registered", "cannot be 'registered'"),
        ("kind: permanent_change", "to: 2026-05-01", "`to` is required for a temporary_deviation"),
        ("by: Joint Committee", "by: energy  Manager", "is responsible for the plan"),
        ("date: 2025-12-15", "date: 2999-01-01", "in the future"),
        ("reference: JC-2025-17", "reference: ''", "reference"),
        ("sha256: ab", "sha256: xy", "64 digits"),
    ],
)
def test_an_import_refuses_a_version_that_does_not_say_what_it_is(tonne, tmp_path, old, new, word):
    """A plan version without kind or approval is rejected."""
    more = CHANGED[CHANGED.index("      - version") :]
    assert old in more
    done = _import(tonne, tmp_path, plant.REGISTRY.replace(PLAN, PLAN + more.replace(old, new)))
    assert done.exit_code == 2
    assert word in done.output


def test_what_a_plan_does_not_describe_is_a_finding(tonne, database_url, tmp_path):
    """A procedure missing in the plan is reported."""
    text = plant.REGISTRY
    for name in ("organisation", "emergency"):
        begin = text.index(f"          {name}: ")
        text = text[:begin] + f"          {name}: ' '" + text[text.index("\n", begin) :]
    done = _import(tonne, tmp_path, text)
    assert done.exit_code == 0
    assert "procedures has no 'emergency'" in done.output
    (one,) = _finding(_closed(database_url))["texts"]
    assert one == {
        "code": "PLN-01.no_procedure",
        "values": {"version": "1", "procedures": ["organisation", "emergency"]},
    }


def test_a_draft_waits_for_what_only_the_plant_knows(tonne, database_url, tmp_path):
    """An engineer would face an empty page, or a plan that no one thought about would pass."""
    assert _import(tonne, tmp_path, plant.REGISTRY.replace(PLAN, "")).exit_code == 0
    draft = tonne("plan", "draft", "pv").output
    refused = _import(tonne, tmp_path, draft)
    assert refused.exit_code == 2
    assert "responsible" in refused.output
    filled = draft.replace("''", "filled in").replace(
        "accuracy_class: filled in", "accuracy_class: '1'"
    )
    done = _import(tonne, tmp_path, filled)
    assert done.exit_code == 0, done.output
    drawn = tonne("plan", "diagram", "pv").output
    assert "inv-1" in drawn
    assert "plan version 1" in drawn
    assert tonne("plan", "diagram", "nobody").exit_code == 2


def test_an_old_draft_restores_no_document(database_url, tmp_path):
    """A document that was corrected after the draft would be back, as changed ex post."""
    plant.register(database_url, tmp_path, plant.documented())
    with logged.issuer(database_url) as conn:
        stored = load_registry(conn).projects["pv"].documents
        text = draft_of(conn, "pv")
    assert stored
    (project,) = yaml.safe_load(text)["projects"]
    assert not {*RETAINED} & {*project}
    text = text.replace("kind: ''", "kind: correction").replace(": ''", ": x")
    planned = registering.told(database_url, tmp_path, text)
    assert not planned.refused, [result.messages for result in planned.results]
    with logged.issuer(database_url) as conn:
        project = load_registry(conn).projects["pv"]
    assert project.documents == stored
    assert len(project.monitoring) == 2


@pytest.mark.parametrize(
    ("stated", "drafted"),
    [
        ('accuracy_class: "0.5S"', "0.5S"),
        ("max_error_percent: 0.8", "0.8 %"),
        ('accuracy_class: "0.5S", max_error_percent: 0.8', "0.8 %"),
        ("valid_until: 2027-12-31", None),
    ],
)
def test_the_drafted_class_is_what_certificates_state(database_url, tmp_path, stated, drafted):
    """A draft from our own template, whose certificates state an error, was refused at import."""
    file = yaml.safe_load(plant.documented().replace('accuracy_class: "0.5S"', stated))
    del file["projects"][0]["monitoring"]
    plant.register(database_url, tmp_path, yaml.safe_dump(file))
    with logged.issuer(database_url) as conn:
        text = draft_of(conn, "pv")
    (project,) = yaml.safe_load(text)["projects"]
    lines = {line["parameter"]: line for line in project["monitoring"][0]["lines"]}
    assert lines["generation"].get("accuracy_class") == drafted
    planned = registering.told(database_url, tmp_path, text.replace(": ''", ": x"))
    assert not planned.refused, [result.messages for result in planned.results]
