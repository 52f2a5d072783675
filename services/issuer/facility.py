"""A facility's inventory of a year: from the registry and interval rows to files."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any

import msgspec
from psycopg import Connection

from ingest.errors import RegistryError
from mrv import factors
from mrv.calendar import period_us
from mrv.countries import country_of
from mrv.exports.cell_map import CellMap, check_known
from mrv.exports.facility import COLUMNS, VALUES, Inventory, Metered, inventory
from mrv.factors.records import factor_of
from services.registry.authority import entered_records
from services.store.registry.entries_from_rows import load_registry
from services.store.timeseries.year_sums import year_sums


def facility_inventory(conn: Connection, site: str, year: int) -> Inventory:
    """
    Return the inventory of a site's facility.

    Raises
    ------
    RegistryError
        If no facility is registered for the site.
    """
    registry = load_registry(conn)
    found = next(
        (facility for facility in entered_records(registry).facilities if facility.site == site),
        None,
    )
    if found is None:
        raise RegistryError(
            f"no facility is registered for site {site!r}; add it under `facilities`, see"
            " docs/registries.md"
        )
    zone = registry.sites[site].clock
    span = period_us(date(year, 1, 1), date(year + 1, 1, 1), zone)
    meters = [(s.device, s.quantity) for s in found.supplies if s.device and s.quantity]
    sums = year_sums(conn, meters, *span)
    book = factors.load().with_more(factor_of(f.record) for f in registry.factors.values())
    book = book.within(country_of(registry.sites[site]))
    return inventory(found, year, {key: Metered(*one) for key, one in sums.items()}, book)


def facility_files(made: Inventory, form: CellMap, template: bytes | None) -> dict[str, bytes]:
    """
    Return the files of an inventory by name.

    Raises
    ------
    ExportError
        If map or template do not fit.
    """
    from mrv.exports.form_workbook import filled  # noqa: PLC0415 - an extra brings openpyxl

    check_known(form, VALUES, COLUMNS)
    day = date(made.values["year"], 12, 31)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row[name]) for name in COLUMNS] for row in made.rows)
    whole_ = {"inventory": made.values, "sources": made.rows}
    encoded = msgspec.json.encode(whole_)  # numbers as decimal text, exact
    return {
        "inventory.json": msgspec.json.format(encoded, indent=2) + b"\n",
        "sources.csv": text.getvalue().encode(),
        "inventory.xlsx": filled(form, made.values, {"sources": made.rows}, day, template),
    }


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    # a spreadsheet takes a text that begins so for a formula
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
