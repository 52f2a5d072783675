"""
Each methodology from a meter's messages to a verified statement, by `tonne` commands.

On a real database. Projects are those of `other_projects.yaml`, or else the first project of each
methodology in the catalog of Hai Phong. Each has documents, laboratory results, invoices and a
monitoring plan.
"""

import hashlib
import json
import re
from datetime import date
from functools import cache, partial
from itertools import chain
from pathlib import Path

import openpyxl
import pytest
import yaml

from ingest.mqtt import Router
from ingest.pipeline.admit import admit
from mrv import methodologies
from mrv.calendar import period_us
from mrv.rules.plausible_values import is_monitored
from services.simulator.fleet import read_fleet
from services.simulator.flow import messages
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from tests import holders
from tests.invoked import tonne as invoke
from tests.opinions import reported
from tests.services.issuer import plant
from tests.soak import SOAK

CATALOG = Path(__file__).parents[2] / "deploy" / "catalog" / "haiphong"
OTHERS = Path(__file__).with_name("other_projects.yaml")
FIRST, LAST = date(2026, 1, 5), date(2026, 1, 9)
SPAN = ("--from", FIRST, "--to", LAST)
BEGIN_US, END_US = period_us(FIRST, LAST, "Asia/Ho_Chi_Minh")
HOUR_US, CADENCE_S = 3_600_000_000, 900
# units of invoices by base unit: how many base units one is, and its name
UNITS = {
    "Wh": (1000, "kWh"), "g": (10**6, "t"), "mL": (1000, "L"), "s": (3600, "h"),
    "K s": (86_400, "K d"), "1": (1, "1"), "m": (1000, "km"),
}  # fmt: skip


@cache
def _catalog():
    """Return all entries of the files, by kind."""
    files = [OTHERS, *sorted(CATALOG.glob("*.yaml"))]
    read = [yaml.load(file.read_text("utf-8"), yaml.CSafeLoader) for file in files]
    kinds = ("sites", "devices", "projects")
    found = {kind: list(chain(*(one.get(kind, ()) for one in read))) for kind in kinds}
    return {**found, "programme": next(one["programme"] for one in read if "programme" in one)}


def _registry(name):
    """Return the registry of a project of a methodology, with a document for each value."""
    whole, known = _catalog(), methodologies.find(name).parameters
    of = [one for one in whole["projects"] if one["methodology"] == name]
    assert of, f"no project is of {name}; add an honest one to {OTHERS.name}"
    project = of[0]
    bound = project["devices"]
    # no official loss of the grid is at hand: the default counts
    given = {key: v for key, v in project.get("parameters", {}).items() if key != "tdl"}
    if "tdl" in known:
        given["accept_factors"] = [*given.get("accept_factors", ()), "tool05-tdl"]
    values = {key: v for one in (*bound, given) for key, v in one.items()}
    fixed = values.keys() - {"device", "role", "accept_factors"}
    measured = [key for key in given if key in known and is_monitored(known[key])]
    ids = {one["device"] for one in bound}
    project = {
        **project,
        "parameters": given,
        "documents": {
            **{key: _document(key, values[key]) for key in fixed},
            **project.get("documents", {}),
        },
        "laboratory": [_result(key, given[key]) for key in measured],
    }
    devices = [one for one in whole["devices"] if one["id"] in ids]
    return {**whole, "devices": devices, "projects": [project]}


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()


def _document(name, value):
    stated = {"value": value} if isinstance(value, int | float) else {}
    return {
        "document": f"Report on {name}",
        "by": "An office",
        "issued": "2025-12-01",
        "sha256": _hash(name),
        **stated,
    }


def _result(name, value):
    return {
        "parameter": name,
        "sample": f"S-{name}",
        "taken": "2026-01-07",
        "value": value,
        "method": "as the methodology asks",
        "laboratory": "A laboratory",
        "sha256": _hash(name),
    }


def _store_messages(url, file):
    """Store the messages of a registry's devices in the period, as `tonne run` does."""
    span = BEGIN_US - HOUR_US, END_US - BEGIN_US + 2 * HOUR_US
    sent = messages(read_fleet(file, CADENCE_S), *span, seed=1)
    _, topics, payloads, _ = zip(*sent, strict=True)
    received_us = END_US + HOUR_US
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = plant.store_of(conn)
        fleet, kinds = store.plan.fleet, [None] * len(topics)
        found = admit(fleet, Router(fleet).route, topics, payloads, kinds, received_us)
        assert not found.rejected
        store.commit(conn, found.frames, [], Letters([], [], [], [], 0))


def _invoices(tonne, project):
    """Yield an invoice for the metered quantity of each meter of a project."""
    roles = methodologies.find(project["methodology"]).roles
    for bound in project["devices"]:
        device, needs = bound["device"], roles[bound["role"]]
        rows = json.loads(tonne("intervals", "--device", device, *SPAN, "--json").stdout)
        base = sum(one["value"] for one in rows if one["quantity"] == needs.quantity)
        scale, unit = UNITS[needs.unit]
        yield {
            "id": f"i-{device}",
            "project": project["id"],
            "issuer": "A supplier",
            "number": device,
            "issued": "2026-01-12",
            "devices": [device],
            "quantity": needs.quantity,
            "unit": unit,
            "from": FIRST,
            "to": LAST,
            "amount": round(base / scale, 3),
            "sha256": _hash(device),
        }


def _planned(draft):
    """Fill in the fields that the plan's draft leaves to the plant."""
    text = draft.replace("kind: ''", "kind: correction")
    approval = (
        f"approval: {{by: Joint Committee, date: 2025-12-15, reference: JC-1, sha256: {'ab' * 32}}}"
    )
    first = re.compile(r"^( +)responsible: ''", re.MULTILINE)
    text = first.sub(rf"\1{approval}\n\g<0>", text, count=1)
    return text.replace(": ''", ": The plant's engineer")


@pytest.fixture
def tonne(database_url, tmp_path, monkeypatch):
    """Run a command that must end with 0."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setenv("TONNE_HOME", str(tmp_path / "home"))
    return partial(invoke, code=0)


@pytest.fixture
def file(tmp_path):
    """Write a YAML file."""

    def write(name, content):
        path = tmp_path / name
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        path.write_text(text, "utf-8")
        return path

    return write


# the month of the catalog closes one project of nearly each (tests/services/test_catalog_month.py)
@pytest.mark.parametrize("name", [*methodologies.load()][0 if SOAK else 3 :: 1 if SOAK else 12])
def test_a_statement_of_it_may_be_relied_on(name, tonne, file, database_url, tmp_path):
    """An operator could not have a tonne verified, though everything is as it has to be."""
    registry = _registry(name)
    (project,) = registry["projects"]
    given = file("registry.yaml", registry)
    tonne("registry", "import", given)
    _store_messages(database_url, given)
    tonne("invoice", "import", file("invoices.yaml", {"invoices": [*_invoices(tonne, project)]}))
    draft = tonne("plan", "draft", project["id"]).stdout
    tonne("registry", "import", file("plan.yaml", _planned(draft)))
    for role, holder in (("operator", "plant"), ("verifier", "auditor")):
        tonne("keys", "create", "--role", role, "--name", holder, *holders.OPTIONS[role])
    tonne("log", "seal", "--until", "2026-01-11")

    closed = json.loads(tonne("period", "close", project["id"], *SPAN, "--json").stdout)
    statement, pack = closed["statement"], tmp_path / "pack"
    tonne("statement", "submit", statement, "--key", "plant")
    words = reported(partial(tonne, "statement"), statement, tmp_path)
    opinion = ("--opinion", "unqualified", "--assurance", "reasonable", *words)
    tonne("statement", "verify", statement, "--key", "auditor", *opinion)
    tonne("statement", "issue", statement)
    tonne("statement", "export", statement, "--out", pack)
    keys, status = tmp_path / "keys.json", tmp_path / "status.json"
    tonne("keys", "export", "--out", keys)
    tonne("statement", "status-list", project["id"], "--key", "plant", "--out", status)
    report = json.loads(tonne("verify", pack, "--keys", keys, "--status", status, "--json").stdout)

    assert (report["state"], report["exit"], report["missing"]) == ("issued", 0, [])
    if project["methodology"].startswith("jcm-"):
        given = ("--keys", keys, "--status", status, "--out", tmp_path / "jcm")
        tonne("export", "jcm", pack, *given, code=4)  # without a registration it is a draft
        book = openpyxl.load_workbook(tmp_path / "jcm" / "monitoring.xlsx")
        cells = [cell.value for sheet in book for row in sheet.iter_rows() for cell in row]
        assert sum(isinstance(one, str) and one.startswith("=") for one in cells) > 2
    subject = json.loads((pack / "statement.json").read_text("utf-8"))["credentialSubject"]
    open_ = {
        one["rule"]
        for one in subject["applicability"]
        if not one["holds"] and one["severity"] != "observation"
    }
    assert open_ == set()
    assert closed["credit_t"] > 0
