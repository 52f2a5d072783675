"""
Example documents and invoices of the catalog, and the catalog shifted to other dates.

A document states the parameter values of the registry, with issuer and date. An invoice states the
energy that the simulated meter truly counts in the month, calculated without the pipeline. Each
file is marked as an example; registry and invoice list have its SHA-256.

The catalog's month is January 2026. For a demo up to the present day all dates of the simulated
projects are shifted, and documents and invoices are written again.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mrv.calendar import period_us
from mrv.methodologies import find
from mrv.model import Methodology
from services.simulator import base_per_unit
from services.simulator.fleet import read_fleet
from services.simulator.flow import truth

CADENCE_S, SEED = 900, 1
REPLAY = "replay.yaml"  # recordings keep their dates
ZONE = "Asia/Ho_Chi_Minh"
_US_PER_S = 1_000_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOTICE = """\
EXAMPLE for a demonstration. No authority, laboratory or company issued this document.
VÍ DỤ minh họa. Không cơ quan, phòng thí nghiệm hay doanh nghiệp nào phát hành tài liệu này.
実演用の例。いかなる官庁、試験所、企業が発行した文書でもない。
"""


class Month(NamedTuple):
    """Days of the month simulated for invoices, and the invoices' date."""

    first: date
    end: date
    issued: date

    @property
    def name(self) -> str:
        """Return the month's part of file names: the month, or its first day."""
        return f"{self.first:%Y-%m}" if self.first.day == 1 else f"{self.first}"


CATALOG_MONTH = Month(date(2026, 1, 1), date(2026, 2, 1), date(2026, 2, 3))


class Supply(NamedTuple):
    """
    Supplier of the invoices for meters of one role, and what they bill.

    `register`: register of the meter, and `quantity` and `unit` of its increase.
    `digits`: decimals of the billed amount.
    """

    issuer: str
    product: str
    register: str
    quantity: str
    unit: str
    digits: int


# supplier by role of the meters; for other roles no rule requires an invoice besides a calibrated
# meter
SUPPLIES = {
    "fuel": Supply("Example Fuel Trading", "diesel delivered, by the level of the tank at both"
                   " ends of the month", "fuel_total_l", "flow", "L", 2),
    "charging": Supply("Example Power Company", "electricity", "energy_import_kwh",
                       "energy_import", "kWh", 0),
    "steam": Supply("Example Textile Works", "steam taken, by the buyer's own settlement",
                    "steam_total_t", "mass", "t", 1),
    "equipment": Supply("Example Lighting Service", "burning hours of the street lamps",
                        "operating_h", "operating_time", "h", 0),
    "power": Supply("Example Power Company", "electricity", "energy_import_kwh",
                    "energy_import", "kWh", 0),
    "volume": Supply("Example Water Distribution", "water taken, by the buyer's own meter",
                     "flow_total_m3", "flow", "m3", 0),
    "production": Supply("Example Engine Works", "castings taken, by the buyer's own scale",
                         "net_total_kg", "mass", "kg", 0),
    "passengers": Supply("Example Ticket Clearing", "journeys paid for", "boarded_count",
                         "count", "1", 0),
}  # fmt: skip
# roles with invoices under these methodologies only
_METHODS = {
    "equipment": ("ams-ii-c",),
    # methodologies whose project emissions exceed the reduction
    "power": ("am0020", "ams-ii-d", "ams-ii-e", "ams-iii-u"),
}

_DOCUMENT = re.compile(
    r"(\{document: \"?(?P<title>[^\"{}]*?)\"?, by: (?P<by>[^{}]*?),"
    r" issued: (?P<issued>[^{}]*?), sha256: )\w+"
)
_SAMPLE = re.compile(r"(sample: (?P<sample>[^{},]+), [^{}]*sha256: )\w+")


def files(city: Path, month: Month, *beside: Path) -> dict[Path, bytes]:
    """
    Return the example files of a city by path, and its registry files with their hashes.

    `city`: folder of the registry files.
    `beside`: other registry files that name the same documents.
    """
    content = {
        path: yaml.load(path.read_text("utf-8"), Loader=_LOADER)  # noqa: S506 (a safe one)
        for path in sorted(city.glob("*.yaml"))
    }
    folder = city / "documents"
    projects = [project for file in content.values() for project in file.get("projects", ())]
    devices = {
        device["id"]: device for file in content.values() for device in file.get("devices", ())
    }
    documents = {key: _document(*key, lines) for key, lines in _documents(projects).items()}
    samples = {name: _sample(name, rows) for name, rows in _samples(projects).items()}
    texts = {folder / f"{_slug(key[0])}.txt": text for key, text in documents.items()}
    texts |= {folder / f"{_slug(name)}.txt": text for name, text in samples.items()}
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("id", "project", "issuer", "number", "issued", "devices", "quantity", "from",
                   "to", "amount", "unit", "sha256"))  # fmt: skip
    for project, device, supply, amount in _invoiced(city, month, projects):
        number = f"EX-{month.name}-{device.upper()}"
        text = _invoice(project, devices[device], supply, number, amount, month)
        texts[folder / f"example-invoice-{device}-{month.name}.txt"] = text
        rows.writerow((
            f"{device}-{month.name}", project, supply.issuer, number, month.issued, device,
            supply.quantity, month.first, month.end, amount, supply.unit, _hash(text),
        ))  # fmt: skip
    texts[invoices_of(city, month)] = table.getvalue().encode()
    for path in (*content, *beside):
        hashed = _DOCUMENT.sub(
            lambda m: f"{m[1]}{_hash(documents[m['title'], m['by'], m['issued']])}",
            path.read_text("utf-8"),
        )
        hashed = _SAMPLE.sub(lambda m: f"{m[1]}{_hash(samples[m['sample']])}", hashed)
        texts[path] = hashed.encode()
    return texts


def _documents(projects: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, None]]:
    """Return the lines of each document, by (title, issuer, date)."""
    values = defaultdict[tuple[str, str, str], dict[str, None]](dict)
    for project in projects:
        for name, given in project.get("documents", {}).items():
            key = given["document"], given["by"], str(given["issued"])
            values[key] |= dict.fromkeys(_values(project, name, given.get("value")))
    return values


def _values(project: Mapping[str, Any], name: str, value: Any) -> Iterator[str]:
    """Yield a document's lines on a parameter, for the project or each of its meters."""
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
    """Yield a line diagram's lines on meters whose roles could count the same energy twice."""
    for roles in method.apart:
        meters = [
            f"{device['device']} ({device['role']})"
            for role in roles
            for device in project["devices"]
            if device["role"] == role
        ]
        yield f"Each of these meters measures an energy of its own: {', '.join(meters)}"


def _line(name: str, value: object, unit: str) -> str:
    return f"{name} = {value}" + ("" if unit in ("1", "year") else f" {unit}")


def _document(title: str, by: str, issued: str, lines: Mapping[str, None]) -> bytes:
    head = f"Document: {title}", f"Given by: {by}", f"Date: {issued}", ""
    return _text(*head, *lines)


def _samples(projects: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the lines of laboratory reports by sample."""
    names = defaultdict[str, list[str]](list)
    for project in projects:
        method = find(project["methodology"], project["version"])
        for row in project.get("laboratory", ()):
            unit = method.parameters[row["parameter"]].unit
            head = f"Given by: {row['laboratory']}", f"Taken: {row['taken']}"
            lines = names[row["sample"]] or [*head, f"Method: {row['method']}", ""]
            names[row["sample"]] = [*lines, _line(row["parameter"], row["value"], unit)]
    return names


def _sample(name: str, lines: list[str]) -> bytes:
    return _text(f"Report on sample: {name}", *lines)


def _invoiced(
    city: Path, month: Month, projects: list[dict[str, Any]]
) -> Iterator[tuple[str, str, Supply, Decimal]]:
    """Yield invoiced meters: project, device, supply and the true quantity in the month."""
    wanted = [
        (project["id"], bound["device"], SUPPLIES[bound["role"]])
        for project in projects
        for bound in project["devices"]
        if bound["role"] in SUPPLIES
        and project["methodology"] in _METHODS.get(bound["role"], (project["methodology"],))
    ]
    names = {device for _, device, _ in wanted}
    fleet = [device for device in read_fleet(city, CADENCE_S) if device.id in names]
    begin_us, end_us = period_us(month.first, month.end, ZONE)
    # up to and including the reading at the end of the month
    true = truth(fleet, begin_us, end_us - begin_us + CADENCE_S * _US_PER_S, SEED)
    for project, device, supply in wanted:
        rise = Decimal(true[device].registers[supply.register].rise)
        amount = rise / base_per_unit(supply.register)
        yield project, device, supply, round(amount, supply.digits)


def _invoice(
    project: str,
    device: Mapping[str, Any],
    supply: Supply,
    number: str,
    amount: Decimal,
    month: Month,
) -> bytes:
    return _text(
        f"Invoice: {number}",
        f"Given by: {supply.issuer}",
        f"Date: {month.issued}",
        f"For: {supply.product}",
        f"Time: from {month.first} to the day before {month.end}",
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


def invoices_of(city: Path, month: Month) -> Path:
    """Return the path of a month's invoice list."""
    return city / f"invoices/{month.name}.csv"


_DATE = re.compile(r"(?<!\d)20\d\d-\d\d-\d\d(?!\d)")
_INSTALLED = r"(- id: {}\n(?: +(?!- id).*\n)*?)( +)(installed: .*\n)"
_YEAR = re.compile(r"((?:first|baseline)_year: (?:\{[^{}]*value: )?)(\d{4})")


def moved(catalog: Path, into: Path, first: date, end: date, expected: str) -> Month:
    """
    Write the catalog shifted to a new first day, and return its invoice month.

    `first`, `end`: the first simulated day, and the day after the last invoiced day.
    `expected`: device commissioned on the first day, so that its missing data raise an alarm.
    """
    by = first - CATALOG_MONTH.first
    month = Month(first, end, end)
    shutil.copytree(catalog, into, ignore=shutil.ignore_patterns("documents", "invoices"))
    for path in into.glob("*.yaml"):
        if path.name != REPLAY:
            path.write_text(_later(path.read_text("utf-8"), by, first, expected), "utf-8")
    for path, content in files(into, month).items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return month


def _later(text: str, by: timedelta, first: date, expected: str) -> str:
    dated = _DATE.sub(lambda match: str(date.fromisoformat(match[0]) + by), text)
    device = _INSTALLED.format(re.escape(expected))
    dated = re.sub(device, lambda m: f"{m[1]}{m[2]}{m[3]}{m[2]}commissioned: {first}\n", dated)
    years = first.year - CATALOG_MONTH.first.year
    return _YEAR.sub(lambda match: f"{match[1]}{int(match[2]) + years}", dated)
