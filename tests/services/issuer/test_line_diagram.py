"""
Monitoring points and the single-line diagram.

https://cdm.unfccc.int/IRCheck/iss_forms/CFXAJGKND4MBQ9I/viewPublic: how the monitoring point of a
parameter represents what is supplied to a recipient;
https://cdm.unfccc.int/IRCheck/iss_forms/IHF4UGKWQ5R1TYJ/viewPublic: auxiliaries in the diagram.
"""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import pytest
from pypdf import PdfReader

from mrv.packs.reader import read_pack
from mrv.registry.project import CheckMeter
from mrv.report import make
from mrv.statement.diagram import diagram, in_pages, line_diagram
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.plan_reader import read_plan
from mrv.verify import verify
from services.issuer.pack import export
from services.issuer.report import facts_of
from tests import registering
from tests.findings import worded
from tests.invoked import tonne
from tests.mrv.plant import FLEET, PV
from tests.services.issuer import logged, plant
from tests.services.issuer.test_monitoring import HOSTILE

DAY = plant.us("2026-03-02"), plant.us("2026-03-03")
POINT = "M1, 0.4 kV side of the transformer, before the auxiliaries of the plant"
PLACED = plant.REGISTRY.replace(
    "    serial: A1\n",
    f"    serial: A1\n    attributes: {{point: '{POINT}', feeds: [grid 22 kV, auxiliaries],"
    " gas_basis: dry}\n",
)


def _drawn(points):
    plan = MonitoringPlan(PV, FLEET.devices[:2], {"inv-1": "A1"}, points=points)
    return read_plan(plan.to_json()), line_diagram(plan)


def _texts(svg):
    root = ET.fromstring(svg)  # noqa: S314 - our own output
    return [e.text for e in root.iter() if e.tag.endswith("text")]


def test_a_statement_says_where_its_meters_measure(database_url, tmp_path, monkeypatch):
    """A statement states the monitoring point of each meter."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    registering.register(database_url, tmp_path, PLACED)
    plant.fill_pv(database_url, minutes=15)
    who = logged.signers(database_url, tmp_path / "home")
    name = logged.verified(database_url, who)
    with logged.issuer(database_url) as conn:
        facts = facts_of(conn, name)
        pack = export(conn, name, tmp_path / "pack")
    meter = next(one.meter for one in facts.parameters if one.device == "inv-1")
    assert (meter.point, meter.feeds) == (POINT, ("grid 22 kV", "auxiliaries"))
    assert meter.gas_basis == "dry"
    text = "".join(
        page.extract_text() for page in PdfReader(BytesIO(make(facts, "pdf", "en"))).pages
    )
    assert "grid 22 kV, auxiliaries" in " ".join(text.split())
    assert "(dry gas)" in " ".join(text.split())
    assert verify(read_pack(pack)).consistent
    drawn = tonne("plan", "diagram", "pv", "--single-line", code=0).stdout
    assert POINT in " ".join(_texts(drawn))  # wrapped, nothing cut
    assert "delivered" not in drawn
    plan = json.loads((pack / "plan.json").read_text("utf-8"))
    assert {d["id"]: d.get("feeds") for d in plan["devices"]}["inv-1"]
    checks = json.loads(tonne("submission", "check", name, "--json", code=4).stdout)["checks"]
    assert next(c for c in checks if c["check"] == "points")["lacking"] == ["inv-2"]


def test_a_meter_that_moved_is_asked_for_its_document(database_url, tmp_path):
    """A moved meter requires a document."""
    registering.register(database_url, tmp_path, PLACED)
    plant.fill_pv(database_url, minutes=15)
    who = logged.signers(database_url, tmp_path / "home")
    logged.seal_now(database_url, who)
    issued = logged.issue(database_url, who, "2026-03-01", "2026-03-02")

    def said(text):
        registering.register(database_url, tmp_path, text)
        claims = logged.subject(database_url, *DAY)
        return [
            (one["severity"], worded(one))
            for one in claims["applicability"]
            if one["rule"] == "REG-03" and not one["holds"]
        ]

    assert issued
    assert said(PLACED) == []
    moved = PLACED.replace(POINT, "delivery point").replace("grid 22 kV, auxiliaries", "grid 22 kV")
    ((severity, words),) = said(moved)
    assert severity == "CL"
    assert f"inv-1 measured at {POINT} and fed grid 22 kV, auxiliaries" in words
    assert "now it measures at delivery point and feeds grid 22 kV" in words
    ((severity, _),) = said(PLACED.replace(POINT, "M1"))
    assert severity == "observation"
    # the ratio of its transformers is part of the point: another one multiplies every reading
    ((severity, words),) = said(PLACED.replace(POINT, f"{POINT}, CT 400/5 A"))
    assert severity == "observation"
    assert "CT 400/5 A" in words
    event = "{from: 2026-03-02, what: moved, found: the utility moved its meter, devices: [inv-1]"
    before = "    monitoring:\n"
    undocumented = moved.replace(before, f"    events: [{event}}}]\n{before}", 1)
    assert said(undocumented)[0][0] == "CL"
    documented = moved.replace(before, f"    events: [{event}, document: record 7}}]\n{before}", 1)
    assert said(documented) == []
    # a move of long ago explains none of today
    old = documented.replace("from: 2026-03-02, what: moved", "from: 2026-01-02, what: moved")
    assert said(old)[0][0] == "CL"


def test_columns_follow_what_feeds_what():
    """A single-line diagram is drawn from the registry: each meter and what it supplies."""
    points = {"inv-1": ("a", ("inv-2",)), "inv-2": (None, ("grid",))}
    plan, drawn = _drawn(points)
    assert plan.points == points
    root = ET.fromstring(drawn)  # noqa: S314 - our own output
    at = {e.text: int(e.get("x")) for e in root.iter() if e.get("class") == "s"}
    assert at["inv-1"] < at["inv-2"] < at["grid"]
    assert line_diagram(replace(plan, points={})) is None


def test_meters_that_feed_otherwise_have_lines_of_their_own():
    """A meter would seem to feed the auxiliaries that only its neighbour feeds."""
    drawn = _drawn({"inv-1": ("a", ("bus",)), "inv-2": ("b", ("auxiliaries", "bus"))})[1]
    paths = [e.get("d") for e in ET.fromstring(drawn).iter() if e.tag.endswith("path")]  # noqa: S314
    turns = {path[1:].split("H")[1].split("V")[0] for path in paths}
    assert (len(paths), len(turns)) == (3, 2)


def test_rings_hostile_names_and_two_thousand_meters_are_drawn():
    """A registry file could hang the report, run a program in it, or make it a hundred metres."""
    assert _texts(_drawn({"inv-1": (None, ("inv-2",)), "inv-2": (None, ("inv-1",))})[1])
    drawn = _drawn({"inv-1": (HOSTILE, (HOSTILE,))})[1]
    assert "<script>" in " ".join(_texts(drawn))
    assert "\x00" not in drawn
    points = {f"inv-{i}": (f"roof {i}", ("bus", "grid")) for i in range(2000)}
    drawn = line_diagram(MonitoringPlan(PV, FLEET.devices[:1], points=points))
    assert "and 1976 more meters" in " ".join(_texts(drawn))
    assert len(drawn) < 30_000
    assert _printed_whole(drawn) == 26


def _printed_whole(drawn):
    """Return the number of boxes of a drawing, each complete on a printed page."""
    parts = [ET.fromstring(part) for part in in_pages(drawn)]  # noqa: S314
    views = [[int(n) for n in part.get("viewBox").split()] for part in parts]
    assert all(wide == 738 and 0 < high <= 880 for _, _, wide, high in views)  # 8 points on A4
    names = ("x", "y", "width", "height")
    rects = [[int(e.get(n)) for n in names] for e in parts[0].iter() if e.get("rx")]
    for x, y, w, h in rects:
        assert any(
            left <= x and x + w <= left + wide and top <= y and y + h <= top + high
            for left, top, wide, high in views
        )
    return len(rects)


@pytest.mark.parametrize("levels", [2, 3, 5, 6, 9, 14])
def test_a_drawing_is_as_wide_as_a_page_and_cuts_nothing(levels):
    """Serial numbers and due dates of certificates would print cut, or below 8 points."""
    names = [f"meter-{i}-of-a-rather-long-name" for i in range(levels)]
    points = {a: ("low-voltage side of the transformer", (b,)) for a, b in pairwise(names)}
    drawn = _drawn(points)[1]
    assert _printed_whole(drawn) == levels
    assert len(in_pages(drawn)) == max(1, -(-(levels - 1) // 4))
    assert "\u2026" not in drawn
    plan = MonitoringPlan(PV, FLEET.devices[:2], {"inv-1": "SERIAL-" * 9})
    flow = diagram(replace(plan, accounting=2, checks=(CheckMeter("inv-1", "inv-2", 2),)))
    assert "\u2026" not in flow
    assert "SERIAL-" * 9 in "".join(_texts(flow)).replace("\n", "")
    assert "check meter inv-2, may differ by 2 %" in " ".join(_texts(flow))
    assert f'width="{24 * 2 + 324 * 2 + 42}"' in flow
