"""
The close of a case as in operation: registry file, readings, documents,
preview, in a database.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from psycopg import Connection

from ingest import classes
from ingest.errors import TonneError
from ingest.model import NULL, Frame
from mrv.accounting.period_result import PeriodResult
from mrv.calendar import midnight_us
from mrv.documents.statement import claims_of
from mrv.methodologies import hosted
from mrv.signatures.key_bounds import KeyBounds
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.statement.conditions import findings as findings_of
from services.issuer.close import Closed, preview_period
from services.issuer.planning import draft_of
from services.processing.registry_import import deliver
from services.registry.invoices import read as read_invoices
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.registry import signing_keys
from services.store.statements import units
from tests import databases, memory, registering
from tests.docket import distortions
from tests.docket.cases import cases, false_in
from tests.docket.shapes import HOUR_US
from tests.docket.world import PROJECT, Readings, World, begin, send, sha, truth
from tests.fix_timescale import _TEMPLATE, Quick, _make_cluster
from tests.services.issuer import logged
from tests.services.issuer.plant import store_of, together

OPERATOR = "Plant Operating Company"
UG = 10**12
# of what a device metered: what is taken off it without a line
SILENT = Decimal("0.001")
_RANK = ("observation", "CL", "CAR")


class Outcome(NamedTuple):
    """
    Result of a case: tonnes, true tonnes, findings, deductions of rules.

    `rests` is the share of the reduction by grade of evidence, according to the statement. `listed`
    are the false items of a fraud, with their grades in the verifier's worklist. `silent` are
    devices whose quantity differs by more than the lines of the statement explain, `statements` the
    documents of the projects, `remedied` the result after the case's remedy.
    """

    t: float
    truth_t: float
    findings: dict[str, str]
    costs: dict[str, tuple[float, float]]
    details: dict[str, list[str]]
    refused: str = ""
    rests: dict[str, float] | None = None
    listed: dict[str, str] | None = None
    silent: tuple[str, ...] = ()
    statements: tuple[dict[str, Any], ...] = ()
    remedied: Outcome | None = None


@contextmanager
def server() -> Iterator[Quick]:
    """Start a separate database server, in memory if there is room."""
    with tempfile.TemporaryDirectory() as usual, memory.folder(Path(usual)) as home:
        _make_cluster(home)
        one = Quick(home)
        one.start()
        try:
            yield one
        finally:
            one.stop()


def run(server_url: str, name: str) -> Outcome:
    """Close a case of the docket, and again after its remedy if it has one."""
    case = cases()[name]
    first = close(server_url, name, case)
    if "remedy" not in case:
        return first
    return first._replace(remedied=close(server_url, name, {**case, **case["remedy"]}))


def close(server_url: str, name: str, case: Mapping[str, Any]) -> Outcome:
    """
    Close a case in a separate database, since rules compare the projects of one database.

    Cases of one `name` have the same month.
    """
    month = {key: case[key] for key in ("first", "end", "after_days") if key in case}
    world = begin(case["plant"], name, month)
    world.period = case.get("period")
    distortions.apply(world, case["do"], distortions.HAPPENED)
    # `params`: what is true where the plant's own file is what is typed
    _, tonnes = truth(world, case.get("params", {}))
    send(world)
    distortions.apply(world, case["do"], distortions.SAID)
    url = databases.make(server_url, _TEMPLATE)
    try:
        return _closed(
            url, world, float(tonnes), false_in(case) if case["label"] == "fraud" else ()
        )
    finally:
        databases.drop(url)


def _closed(url: str, world: World, truth_t: float, false: Collection[str]) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "registry.yaml"
        try:
            _enrol(url, world)
            _register(url, file, world)
            _remake(url)  # what no device has sent is done at once, and not metered twice
            _store(url, world.readings, world.arrived)
            _remake(url)
            _issue(url, Path(folder), world)
            for change in world.later:
                change(world.document)
                _imported(url, file, world.document)
                _remake(url)
            _certify(url, world)
            refused = _bill(url, Path(folder), world)
            with connect(url, role="tonne_mrv", autocommit=True) as conn:
                projects = world.closed or [one["id"] for one in world.document["projects"]]
                closed = [preview_period(conn, one, *world.period_us) for one in projects]
            return _outcome(closed, truth_t, false)._replace(refused=refused)
        except (TonneError, RefusedError) as error:
            said = str(error).replace(f"{folder}/", "")
            return Outcome(0.0, truth_t, {}, {}, {}, f"{type(error).__name__}: {said}"[:300])


HOSTED = hosted(()).clause


def _outcome(closed: list[Closed], truth_t: float, false: Collection[str]) -> Outcome:
    """Return the sum of the results of a case's projects; most cases have one project."""
    findings: dict[str, str] = {}
    details: dict[str, list[str]] = {}
    costs: dict[str, tuple[float, float]] = {}
    for found in closed:
        # comparisons with check meters and invoices as well
        for one in findings_of(claims_of(found.document)):
            if one.rule == HOSTED:  # all plants stand on one grid, whatever their programme
                continue
            before = findings.get(one.rule, _RANK[0])
            findings[one.rule] = max(before, one.severity, key=_RANK.index)
            details.setdefault(one.rule, []).append(one.words())
        for effect in found.result.rules:
            alone, beside = float(effect.deducted_alone_t), float(effect.returns_if_resolved_t)
            if effect.applied and (alone or beside):
                whole = costs.get(effect.rule, (0.0, 0.0))
                costs[effect.rule] = whole[0] + alone, whole[1] + beside
    tonnes = sum(one.result.net.reduction.ug for one in closed) / UG
    shares = claims_of(closed[0].document).evidence.shares
    rests = {grade: float(share) for grade, share in shares.items()}
    listed = dict[str, str]()
    for item in (item for one in closed for item in claims_of(one.document).evidence.items):
        if item.name in false:
            listed[item.name] = max(item.grade, listed.get(item.name, item.grade))
    silent = tuple(name for one in closed for name in _silent(one.result))
    statements = tuple(one.document for one in closed)
    return Outcome(tonnes, truth_t, findings, costs, details, "", rests, listed, silent, statements)


def _silent(result: PeriodResult) -> Iterator[str]:
    """
    Yield devices whose deductions and gaps do not add up to the difference from their metered
    quantity.
    """
    for name in dict.fromkeys(one.device for one in result.devices):
        of = [one for one in result.devices if one.device == name]
        taken = sum(Decimal(one.deducted) * (-1 if one.side == "baseline" else 1) for one in of)
        added = sum(Decimal(one.substituted) for one in of)
        taken -= sum(Decimal(d.quantity) for d in result.deductions if d.device == name)
        # days without an analyser are gaps of a value, not of a register
        added -= sum(Decimal(g.substituted) for g in result.gaps if g.device == name)
        most = SILENT * sum(Decimal(one.metered) for one in of) + 1
        if abs(taken) > most or abs(added) > most:
            yield name


class RefusedError(Exception):
    """The import rejected the data of a case."""


def _issue(url: str, home: Path, world: World) -> None:
    """Issue statements of earlier periods, with a verifier's reason for each finding."""
    if world.issued:
        who = logged.signers(url, home)
        for project, first, last in world.issued:
            logged.issue(url, who, first, last, project)


def _enrol(url: str, world: World) -> None:
    """Enrol the operator's key, by which the plant's own documents are recognised."""
    operator = KeyBounds(world.plant.get("operator", OPERATOR))
    key = EnrolledKey(
        "operator", "operator", SigningKey.generate().public_multikey, bounds=operator
    )
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        signing_keys.enroll(conn, key)


def _register(url: str, file: Path, world: World) -> None:
    """Import the registry, then the completed draft of its monitoring plan."""
    _imported(url, file, world.document)
    roles = sorted((d["device"], d["role"]) for d in world.project["devices"])
    plan = world.plant["id"], world.month, *roles
    if plan not in _PLANS:
        with connect(url, role="tonne_mrv", autocommit=True) as conn:
            _PLANS[plan] = _drafted(conn)
    decision = {
        "by": "Programme authority", "date": world.month.before(40),
        "reference": "Decision on the plan", "sha256": sha("decision on the plan"),
    }  # fmt: skip
    approval = {"approval": decision} if world.approved else {}
    for one in world.document["projects"]:
        if one["methodology"] != world.project["methodology"]:
            continue
        one["monitoring"] = [{**version, **approval} for version in _PLANS[plan]]
    _imported(url, file, world.document)


_PLANS: dict[Any, Any] = {}


def _drafted(conn: Connection) -> Any:
    """Return a first plan, with the entries that its draft leaves to the plant."""
    text = re.sub("accuracy_class: .*", 'accuracy_class: "0.5S"', draft_of(conn, PROJECT))
    text = text.replace(": ''", ": The plant's engineer")
    return yaml.load(text, yaml.CSafeLoader)["projects"][0]["monitoring"]


def _imported(url: str, file: Path, document: dict[str, Any]) -> None:
    file.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False), "utf-8")
    planned = registering.imported(url, file, author="operator")
    if planned.refused:
        wrong = [m for r in planned.results if r.result == "error" for m in r.messages]
        raise RefusedError("; ".join(wrong))


def _certify(url: str, world: World) -> None:
    """Enter certificates of origin as `tonne certificates enter` does."""
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        for number, one in enumerate(world.certificates):
            begin, end = (
                datetime.fromtimestamp(midnight_us(one[edge], world.month.zone) / 10**6, UTC)
                for edge in ("begin", "end")
            )
            units.enter_certificate(
                conn,
                units.Certificate(
                    f"IREC-{number}", "I-REC", one["device"], begin, end, one["wh"],
                    "I-REC issuer", "certificate",
                ),
                "operator",
            )  # fmt: skip


def _bill(url: str, folder: Path, world: World) -> str:
    """Import invoices; those of a rejected file are omitted, and the error is recorded."""
    if not world.invoices:
        return ""
    file = folder / "invoices.yaml"
    file.write_text(yaml.dump({"invoices": world.invoices}, Dumper=yaml.CSafeDumper), "utf-8")
    with connect(url, autocommit=True) as conn:
        found = deliver(conn, read_invoices(file), "operator")
    messages = "; ".join(m for r in found.results for m in r.messages) if found.refused else ""
    return messages.replace(f"{folder}/", "")


def _store(url: str, readings: dict[str, Readings], arrived: dict[str, int | np.ndarray]) -> None:
    """Store readings as `tonne run` does, each received within its hour unless stated."""
    readings = {name: one for name, one in readings.items() if len(one.time_us)}
    first = min(int(one.time_us[0]) for one in readings.values())
    sent = (one for one in arrived.values() if isinstance(one, np.ndarray))
    last = max(int(one[-1]) for one in (*(r.time_us for r in readings.values()), *sent))
    hours = np.arange(first // HOUR_US, last // HOUR_US + 1)
    at_once = [name for name, us in arrived.items() if isinstance(us, int)]
    came = [*(hours * HOUR_US + HOUR_US - 1).tolist(), *(arrived[name] for name in at_once)]
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = store_of(conn)
        by_id = store.plan.fleet.by_id
        frames = []
        for name, one in readings.items():
            message = arrived.get(name, one.time_us) // HOUR_US - hours[0]
            if name in at_once:
                message = np.full(len(one.time_us), len(hours) + at_once.index(name))
            frames.append(_frame(by_id[name], one, message))
        store.commit(conn, together(frames), [], Letters([], [], [], [], came))


def _remake(url: str) -> None:
    """Recalculate intervals that a changed registry requires, as `tonne run` does."""
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store_of(conn).remake_requested(conn)


def _frame(index: int, some: Readings, message: np.ndarray) -> Frame:
    n, columns = len(some.time_us), {}
    for channel in classes.load()[some.class_id].channels.values():
        if channel.kind == "register":
            empty, kind = np.full(n, NULL, dtype=np.int64), np.int64
        else:
            empty, kind = np.full(n, np.nan), np.float64
        values = some.columns.get(channel.name, empty)
        columns[channel.name] = np.where(np.isnan(values), NULL, values).astype(kind) if (
            kind is np.int64 and values.dtype.kind == "f"
        ) else values.astype(kind)  # fmt: skip
    device = np.full(n, index, dtype=np.int32)
    return Frame(some.class_id, device, some.time_us, message.astype(np.int32), columns)
