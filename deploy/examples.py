# ruff: noqa: INP001 - a script, run by `make examples`
"""
Write the example documents and invoices of the catalog of Hai Phong, and their hashes.

A document states what the registry says that it states, with who gave it and when.  An invoice
states what its meter really counts in the month of `make demo`: the same devices, cadence and seed,
by the simulator alone, so that no figure of the pipeline is in it.  Each file says first that it is
an example; the registry and the list of invoices carry its SHA-256.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mrv.calendar import period_us
from mrv.methodologies import find
from mrv.model import Methodology
from services.cli.local.demo_devices import CADENCE_S, SEED
from services.simulator.fleet import read_fleet
from services.simulator.flow import truth
from services.simulator.model import base_per_unit

CATALOG = Path(__file__).parent / "catalog"
CITY = CATALOG / "haiphong"
FOLDER, INVOICES = CITY / "documents", CITY / "invoices/2026-01.csv"
FIRST, LAST, ISSUED = date(2026, 1, 1), date(2026, 2, 1), "2026-02-03"
_ZONE = "Asia/Ho_Chi_Minh"
_US_PER_S = 1_000_000
_NOTICE = """\
EXAMPLE for a demonstration. No authority, laboratory or company issued this document.
VÍ DỤ minh họa. Không cơ quan, phòng thí nghiệm hay doanh nghiệp nào phát hành tài liệu này.
実演用の例。いかなる官庁、試験所、企業が発行した文書でもない。
"""


class Supply(NamedTuple):
    """Who writes the invoices of a role's meters: for what, by which register, how exact."""

    issuer: str
    what: str
    register: str
    quantity: str
    unit: str
    digits: int


# by role; what other roles count rests on calibrated meters alone, and no rule asks for more
SUPPLIES = {
    "fuel": Supply("Example Fuel Trading", "diesel delivered, by the level of the tank at both"
                   " ends of the month", "fuel_total_l", "flow", "L", 2),
    "charging": Supply("Example Power Company", "electricity", "energy_import_kwh",
                       "energy_import", "kWh", 0),
    "steam": Supply("Example Textile Works", "steam taken, by the buyer's own settlement",
                    "steam_total_t", "mass", "t", 1),
    "equipment": Supply("Example Lighting Service", "burning hours of the street lamps",
                        "operating_h", "operating_time", "h", 0),
}  # fmt: skip
_METHODS = {"equipment": "ams-ii-c"}  # of which alone a role's meters are invoiced

_DOCUMENT = re.compile(
    r"(\{document: \"?(?P<title>[^\"{}]*?)\"?, by: (?P<by>[^{}]*?),"
    r" issued: (?P<issued>[^{}]*?), sha256: )\w+"
)
_SAMPLE = re.compile(r"(sample: (?P<sample>[^{},]+), [^{}]*sha256: )\w+")


def files() -> dict[Path, bytes]:
    """Return what each file of the examples is to hold, and the registry files with hashes."""
    content = {
        path: yaml.safe_load(path.read_text("utf-8")) for path in sorted(CITY.glob("*.yaml"))
    }
    projects = [one for file in content.values() for one in file.get("projects", ())]
    devices = {one["id"]: one for file in content.values() for one in file.get("devices", ())}
    documents = {key: _document(*key, lines) for key, lines in _documents(projects).items()}
    samples = {name: _sample(name, rows) for name, rows in _samples(projects).items()}
    found = {FOLDER / f"{_slug(key[0])}.txt": text for key, text in documents.items()}
    found |= {FOLDER / f"{_slug(name)}.txt": text for name, text in samples.items()}
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("id", "project", "issuer", "number", "issued", "devices", "quantity", "from",
                   "to", "amount", "unit", "sha256"))  # fmt: skip
    for project, device, supply, amount in _invoiced(projects):
        number = f"EX-{FIRST:%Y-%m}-{device.upper()}"
        text = _invoice(project, devices[device], supply, number, amount)
        found[FOLDER / f"example-invoice-{device}-{FIRST:%Y-%m}.txt"] = text
        rows.writerow((f"{device}-{FIRST:%Y-%m}", project, supply.issuer, number, ISSUED, device,
                       supply.quantity, FIRST, LAST, amount, supply.unit, _hash(text)))  # fmt: skip
    found[INVOICES] = table.getvalue().encode()
    for path in (*content, CATALOG / "demo.yaml"):
        text = _DOCUMENT.sub(
            lambda m: f"{m[1]}{_hash(documents[m['title'], m['by'], m['issued']])}",
            path.read_text("utf-8"),
        )
        found[path] = _SAMPLE.sub(lambda m: f"{m[1]}{_hash(samples[m['sample']])}", text).encode()
    return found


def _documents(projects: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, None]]:
    """Lines of values by document: title, who gave it, and when."""
    found = defaultdict[tuple[str, str, str], dict[str, None]](dict)
    for project in projects:
        for name, given in project.get("documents", {}).items():
            key = given["document"], given["by"], str(given["issued"])
            found[key] |= dict.fromkeys(_values(project, name, given.get("value")))
    return found


def _values(project: Mapping[str, Any], name: str, value: Any) -> Iterator[str]:
    """Yield what a document states of a parameter, of the project or of each of its meters."""
    method = find(project["methodology"], project["version"])
    if name in method.diagrams:
        yield from _apart(project, method)
        return
    specs = {**method.parameters}
    for role in method.roles.values():
        specs |= role.params
    unit = specs[name].unit
    if isinstance(value, dict):
        yield from (f"{_line(name, of, unit)} ({device})" for device, of in value.items())
    else:
        yield _line(name, value, unit)


def _apart(project: Mapping[str, Any], method: Methodology) -> Iterator[str]:
    """Yield what a line diagram shows of meters whose roles may claim one energy twice."""
    for roles in method.apart:
        meters = [
            f"{one['device']} ({one['role']})"
            for role in roles
            for one in project["devices"]
            if one["role"] == role
        ]
        yield f"Each of these meters measures an energy of its own: {', '.join(meters)}"


def _line(name: str, value: object, unit: str) -> str:
    return f"{name} = {value}" + ("" if unit in ("1", "year") else f" {unit}")


def _document(title: str, by: str, issued: str, lines: Mapping[str, None]) -> bytes:
    head = f"Document: {title}", f"Given by: {by}", f"Date: {issued}", ""
    return _text(*head, *lines)


def _samples(projects: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Lines of laboratories' reports by sample."""
    found = defaultdict[str, list[str]](list)
    for project in projects:
        method = find(project["methodology"], project["version"])
        for row in project.get("laboratory", ()):
            unit = method.parameters[row["parameter"]].unit
            head = f"Given by: {row['laboratory']}", f"Taken: {row['taken']}"
            lines = found[row["sample"]] or [*head, f"Method: {row['method']}", ""]
            found[row["sample"]] = [*lines, _line(row["parameter"], row["value"], unit)]
    return found


def _sample(name: str, lines: list[str]) -> bytes:
    return _text(f"Report on sample: {name}", *lines)


def _invoiced(projects: list[dict[str, Any]]) -> Iterator[tuple[str, str, Supply, Decimal]]:
    """Yield meters that are invoiced, with what each truly counts in the month."""
    wanted = [
        (project["id"], bound["device"], SUPPLIES[bound["role"]])
        for project in projects
        for bound in project["devices"]
        if bound["role"] in SUPPLIES
        and _METHODS.get(bound["role"], project["methodology"]) == project["methodology"]
    ]
    names = {device for _, device, _ in wanted}
    fleet = [one for one in read_fleet(CITY, CADENCE_S) if one.id in names]
    begin_us, end_us = period_us(FIRST, LAST, _ZONE)
    # with the reading that ends the month
    true = truth(fleet, begin_us, end_us - begin_us + CADENCE_S * _US_PER_S, SEED)
    for project, device, supply in wanted:
        rise = Decimal(true[device].registers[supply.register].rise)
        amount = rise / base_per_unit(supply.register)
        yield project, device, supply, round(amount, supply.digits)


def _invoice(
    project: str, device: Mapping[str, Any], supply: Supply, number: str, amount: Decimal
) -> bytes:
    return _text(
        f"Invoice: {number}",
        f"Given by: {supply.issuer}",
        f"Date: {ISSUED}",
        f"For: {supply.what}",
        f"Time: from {FIRST} to the day before {LAST}",
        f"Project: {project}",
        f"Meter: {device['id']}, serial number {device['serial']}",
        "",
        f"{amount} {supply.unit}",
    )


def _text(*lines: str) -> bytes:
    return "\n".join((_NOTICE, *lines, "")).encode()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


def stale() -> dict[Path, bytes | None]:
    """Return the files that hold anything else than they are to hold; None of one too many."""
    wanted: dict[Path, bytes | None] = dict(files())
    wanted |= {one: None for one in FOLDER.glob("*") if one not in wanted}
    return {p: text for p, text in wanted.items() if _held(p) != text}


def _held(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    for path, text in stale().items():
        path.parent.mkdir(exist_ok=True)
        path.unlink() if text is None else path.write_bytes(text)
