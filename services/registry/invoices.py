"""
Invoice files of issuers, and signing of files before the import.

A file is YAML with a list `invoices`, or CSV with the same columns, devices separated by
spaces, commas or semicolons.
The amount is in kWh (km, m3, t), or in `unit`; `from` and `to` are days, or times at which the
supplier read the meter.  A row with `corrects` replaces another one and states the reason.

`sign_file` signs a file of invoices, or a registry file with `laboratory` and `documents` of
projects.  It changes only the rows of the signer's organisation.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ingest.errors import InputError, RegistryError
from ingest.model import INTERVAL_US
from mrv.calendar import local_date, midnight_us
from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.registry import YEARS, Sample
from mrv.registry.project import Invoice, Project
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.signatures.organisations import affiliated
from mrv.statement.signed_rows import SignedRow, row_of, sign, signed_row, unsigned
from services.clock import now_us
from services.registry import limits, parse
from services.registry.declared import document_of
from services.registry.fields import Row, amount
from services.registry.files import read_document
from services.registry.located import decoded

TOLERANCE_PERCENT = 2
_KEYS = ("id", "project", "issuer", "number", "issued", "devices", "quantity", "from", "to",
         "amount", "unit", "tolerance_percent", "sha256", "corrects", "reason",
         "signed")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entered:
    """Invoice of a file, with its project, correction and position."""

    project: str
    invoice: Invoice
    corrects: str | None
    reason: str | None
    place: str


@dataclass(frozen=True, slots=True)
class Result:
    """Result of an invoice row: `created`, `unchanged` or `error`, with errors or warnings."""

    id: str
    result: str
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Import:
    """Results of all rows, and the invoices to store."""

    results: list[Result] = field(default_factory=list)
    new: list[Entered] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """Return whether an error prevents storing."""
        return any(row.result == "error" for row in self.results)


def plan(
    rows: Iterable[Row],
    projects: Mapping[str, Project],
    stored: Mapping[str, tuple[str, Invoice, str | None, str | None]],
    keys: Sequence[EnrolledKey],
    others: Mapping[str, Collection[str]],
) -> Import:
    """
    Return the effect of an import of invoices.

    `rows`: one per invoice.
    `projects`: projects by id.
    `stored`: (project, invoice, corrects, reason) by id of the invoice.
    `keys`: public keys for signatures of rows.
    `others`: by project, other meters that it names in its boundary and in common meters.
    """
    result = Import()
    known = dict(stored)
    for row in rows:
        item = entered_invoices(row, projects)
        problems = [*row.problems]
        if not problems and item is not None:
            problems = [
                f"{item.place}: {text}" for text in _check(item, projects, known, keys, others)
            ]
        name = item.invoice.id if item is not None else row.path
        if problems or item is None:
            result.results.append(Result(name, "error", tuple(problems)))
            continue
        record = (item.project, item.invoice, item.corrects, item.reason)
        same = known.get(name) == record
        doubts = () if same else _doubts(item.invoice, projects[item.project].timezone)
        notes = tuple(f"warning: {item.place}: {text}" for text in doubts)
        result.results.append(Result(name, "unchanged" if same else "created", notes))
        if not same:
            result.new.append(item)
            known[name] = record
    return result


def read(path: Path) -> list[Row]:
    """Return the rows of a file. Raises RegistryError when it cannot be read as a whole."""
    top = Row(read_document(path, "invoices"), str(path), "file", 1)
    top.only("invoices")
    rows = top.rows("invoices") or []
    if top.problems:
        raise RegistryError("\n".join(top.problems))
    for i, row in enumerate(rows):
        row.path = f"invoices[{row.table.cells.get('id', i)}]"
    return rows


def entered_invoices(row: Row, projects: Mapping[str, Project]) -> Entered | None:
    """Return the invoice of a row; None if it has errors, which are recorded."""
    row.only(*_KEYS)
    project = row.identifier("project")
    name, issuer, number = row.identifier("id"), row.text("issuer"), row.text("number")
    issued = row.required("issued", row.day("issued"), "the date on the invoice")
    first, end = (
        row.required(key, _edge(row, key), what)
        for key, what in (
            ("from", "the first local day that it covers"),
            ("to", "the local day after the last day that it covers"),
        )
    )
    devices = _devices(row)
    quantity = row.optional("quantity") or _default_quantity(projects.get(project), devices)
    credit = str(row.table.cells.get("amount", "")).startswith("-")
    if credit:
        row.problem(
            "amount",
            "is below 0; for a credit note, enter the invoice again with the amount that remains,"
            " an id of its own, `corrects` and `reason`",
        )
    value = 0 if credit else amount(row, quantity)
    percent = row.number("tolerance_percent", 0, 100)
    digest = row.sha256("sha256")
    if project and project not in projects:
        row.problem("project", f"{project!r} is not registered; known: {', '.join(projects)}")
    for key, day in (("from", first), ("to", end)):
        if day is not None and not YEARS[0] <= day.year <= YEARS[1]:
            row.problem(key, f"{day} is not within the years {YEARS[0]} to {YEARS[1]}")
    if issued is not None and issued > _latest_today():
        row.problem("issued", f"{issued} is in the future; enter the date on the invoice")
    begin_us = end_us = 0
    if not row.problems:
        zone = projects[project].timezone
        begin_us, end_us = _edge_us(first, zone), _edge_us(end, zone)
        if begin_us >= end_us:
            row.problem(
                "to", f"{end} is not after {first}; `to` is the day after the last invoiced day"
            )
    corrects = row.identifier("corrects") if row.has("corrects") else None
    reason = row.optional("reason")
    if (corrects is None) != (reason is None):
        row.problem("reason", "enter both `corrects` and `reason`, or neither")
    if row.problems:
        return None
    invoice = Invoice(
        name,
        issuer,
        number,
        issued,
        devices,
        quantity,
        begin_us,
        end_us,
        value,
        Decimal(TOLERANCE_PERCENT if percent is None else percent),
        digest,
        signed=row.optional("signed"),
    )
    return Entered(project, invoice, corrects, reason, f"{row.file}:{row.table.line}")


def _edge(row: Row, key: str) -> date | None:
    """Return a day, or the time in UTC at which the supplier read the meter."""
    cell = row.table.cells.get(key)
    return row.moment(key) if isinstance(cell, str) and "T" in cell else row.day(key)


def _edge_us(edge: date, timezone: str) -> int:
    """Return the start of a local day, or of the 15-minute interval of a time. [us UTC]"""
    if isinstance(edge, datetime):
        return int(edge.timestamp()) * 1_000_000 // INTERVAL_US * INTERVAL_US
    return midnight_us(edge, timezone)


def _latest_today() -> date:
    """Return the latest date at which it can be today in a time zone."""
    return datetime.fromtimestamp(now_us() / 1e6, UTC).date() + timedelta(days=1)


def _default_quantity(project: Project | None, devices: tuple[str, ...]) -> str:
    """Return the default of `quantity`: the one that the project uses of the invoice's meters."""
    known = _quantities(project) if project is not None else {}
    bound = project.devices if project is not None else ()
    result = {known.get(d.role) for d in bound if d.device in devices} - {None}
    return min((str(q) for q in result), default="energy_export")


def _devices(row: Row) -> tuple[str, ...]:
    value = row.table.cells.get("devices")
    names = (
        re.split(r"[,;\s]+", value.strip())
        if isinstance(value, str)
        else value
        if isinstance(value, list)
        else []
    )
    result = [str(name) for name in names if isinstance(name, str)]
    if not result or len(result) != len(names) or len(set(result)) != len(result):
        row.problem("devices", "must name the meters that the invoice covers, each once")
    return tuple(sorted(result))


def _check(
    entered: Entered,
    projects: Mapping[str, Project],
    known: Mapping[str, tuple[str, Invoice, str | None, str | None]],
    keys: Sequence[EnrolledKey],
    others: Mapping[str, Collection[str]],
) -> list[str]:
    """Return the errors that prevent storing an invoice."""
    project, invoice = projects[entered.project], entered.invoice
    result = []
    before = known.get(invoice.id)
    if before is not None and before[:3] != (entered.project, invoice, entered.corrects):
        result.append(
            f"{invoice.id} is stored with other contents, and a stored invoice is not changed:"
            f" enter it under a new id with corrects: {invoice.id} and the reason"
        )
    if entered.corrects is not None:
        result += _correction(entered, known)
    quantities, drawn = _quantities(project), _further_quantities(project)
    assigned = {d.device for d in project.devices}
    used = assigned.intersection(invoice.devices) and _is_of_project_emissions(
        project, invoice.devices
    )
    for device in invoice.devices:
        bound_devices = [d for d in project.devices if d.device == device]
        if not bound_devices and used and device in others.get(project.id, ()):
            # an invoice of consumption may name meters outside the account: of the boundary, or
            # common meters
            continue
        if not bound_devices:
            result.append(
                f"device {device} does not serve project {project.id}; on a bill of what the"
                " project uses, name other meters of its `boundary` or `shared_meters` too"
            )
        elif invoice.quantity not in drawn.get(device, ()) and invoice.quantity not in {
            quantities.get(d.role) for d in bound_devices
        }:
            counted = sorted({quantities[d.role] for d in bound_devices if d.role in quantities})
            result.append(
                f"quantity: {invoice.id} is for {invoice.quantity}, but {project.methodology} uses"
                f" {' and '.join(counted) or 'no quantity'} of {device}; enter the `quantity` and"
                " `unit` that its meter measures"
            )
    row = None if before is not None else signed_row(project.id, invoice)
    if row is not None:
        result += unsigned(row, keys)
    if invoice.to_us <= project.from_us or invoice.from_us >= project.to_us:
        result.append(f"its days are outside of the crediting period of {project.id}")
    return result


def _doubts(invoice: Invoice, timezone: str) -> Iterator[str]:
    """Yield warnings of what keeps an invoice from being evidence."""
    if invoice.sha256 is None:
        yield (
            "sha256: is missing, so the invoice is no evidence of the quantity; enter the SHA-256"
            " of its file in a new row with `corrects` and `reason`"
        )
    first, end = (local_date(us, timezone) for us in (invoice.from_us, invoice.to_us))
    whole = midnight_us(end, timezone) == invoice.to_us
    if whole and first.day == 1 < end.day and (end + timedelta(days=1)).day == 1:
        yield (
            f"to: {end} is not included; if it is the last invoiced day, enter the next day, in a"
            " new row with `corrects` and `reason`"
        )


def _is_of_project_emissions(project: Project, devices: Sequence[str]) -> bool:
    """Return whether all of the project's meters on an invoice count as project emissions."""
    try:
        roles = find(project.methodology, project.version).roles
    except MethodologyError:
        return False
    mine = [d.role for d in project.devices if d.device in devices]
    return all(roles[role].side == "project" for role in mine if role in roles)


def _correction(
    entered: Entered, known: Mapping[str, tuple[str, Invoice, str | None, str | None]]
) -> list[str]:
    old = known.get(entered.corrects or "")
    if old is None or old[0] != entered.project:
        return [f"corrects {entered.corrects!r}, which is not an invoice of {entered.project}"]
    others = [k for k, v in known.items() if v[2] == entered.corrects and k != entered.invoice.id]
    return [f"{entered.corrects} is corrected by {others[0]} already"] if others else []


def _quantities(project: Project) -> dict[str, str]:
    try:
        roles = find(project.methodology, project.version).roles
    except MethodologyError:
        return {}
    return {name: need.quantity for name, need in roles.items()}


def _further_quantities(project: Project) -> dict[str, set[str]]:
    """Return the further quantities that the project uses of each device (own consumption)."""
    try:
        roles = find(project.methodology, project.version).roles
    except MethodologyError:
        return {}
    drawn = {name: {need.less, *(need.draws or ("",))[:1]} for name, need in roles.items()}
    return {d.device: drawn[d.role] for d in project.devices if d.role in drawn}


class Signed(NamedTuple):
    """Signed row: name, signed bytes, signature."""

    row: str
    message: str
    signed: str


@dataclass
class SignedFile:
    """A file with its signatures: text, signed rows, and rows of other issuers."""

    text: str = ""
    rows: list[Signed] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def sign_file(
    path: Path, key: SigningKey, holder: EnrolledKey, zone: str | None, *, cose: bool = False
) -> SignedFile:
    """
    Return a file in which the rows issued by the key's organisation are signed.

    `zone`: time zone of the project, for the days of invoices; needed only for these.
    Raises RegistryError when a row cannot be read.
    Raises InputError when no row is by the holder's organisation, or invoices are given without a
    zone.
    """
    whose, signed_file = holder.bounds.organisation or holder.name, SignedFile()
    parameters = _read(path)
    for row, into in _rows(path, parameters, zone):
        if row.issuer is None or not affiliated(row.issuer, whose):
            signed_file.others.append(f"{row.name} by {row.issuer or 'no one named'}")
            continue
        into["signed"] = sign(row.message, key, cose=cose)
        signed_file.rows.append(Signed(row.name, row.message.decode(), into["signed"]))
    if not signed_file.rows:
        others = f"; it has {', '.join(signed_file.others)}" if signed_file.others else ""
        raise InputError(f"{path}: no row is by {whose}{others}; pass rows issued by {whose}")
    signed_file.text = _text(path, parameters)
    return signed_file


def _rows(
    path: Path, parameters: Mapping[str, Any], zone: str | None
) -> Iterator[tuple[SignedRow, dict[str, Any]]]:
    """Yield each row to be signed, and the mapping of the file that receives its signature."""
    top = Row(read_document(path, "invoices"), str(path), "file", 1)
    for row, into in zip(top.rows("invoices") or (), parameters.get("invoices") or (), strict=True):
        if zone is None:
            raise InputError(
                f"{path}: set --timezone to that of the project; the days of invoices are local"
            )
        yield _invoice(row, zone), into
    for row, into in zip(top.rows("projects") or (), parameters.get("projects") or (), strict=True):
        project = row.identifier("id")
        documents = limits.read(row) or {}
        samples = [parse.read(row, Sample) for row in row.rows("laboratory") or ()]
        _refuse(top, row, *(row.rows("laboratory") or ()))
        for sample, place in zip(samples, into.get("laboratory") or (), strict=True):
            yield row_of(project, sample), place
        for name, document in documents.items():
            if isinstance(document, dict):
                yield row_of(project, document_of(name, document)), into["documents"][name]


def _invoice(row: Row, zone: str) -> SignedRow:
    if not row.has("quantity"):
        row.problem("quantity", "name the invoiced quantity, such as energy_import: it is signed")
    project = row.identifier("project")
    entered = entered_invoices(row, {project: Project(project, "", "", "", zone, 0, 0)})
    _refuse(row)
    if entered is None:
        raise RegistryError(f"{row.path} cannot be read; correct it")
    return row_of(project, entered.invoice)


def _refuse(*rows: Row) -> None:
    if result := [text for row in rows for text in row.problems]:
        raise RegistryError("\n".join(dict.fromkeys(result)))


def _read(path: Path) -> dict[str, Any]:
    text = decoded(path.read_bytes(), str(path))
    if path.suffix.lower() == ".csv":
        return {"invoices": list(csv.DictReader(io.StringIO(text)))}
    safe_load = yaml.safe_load(text)
    return safe_load if isinstance(safe_load, dict) else {}


def _text(path: Path, parameters: Mapping[str, Any]) -> str:
    if path.suffix.lower() != ".csv":
        return yaml.safe_dump(parameters, sort_keys=False, allow_unicode=True)
    rows: list[dict[str, Any]] = parameters["invoices"]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(k for row in rows for k in row)))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
