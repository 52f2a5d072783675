"""
Files of each export by name, and missing fields of a request for issuance.

Issued statements come from the database, or from evidence packs without a server; a facility's
annual inventory from the registry and interval rows.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any, NamedTuple

import msgspec
from psycopg import Connection

from ingest.errors import RegistryError
from mrv import factors, verify
from mrv.calendar import period_us
from mrv.countries import country_of, grid_of
from mrv.documents import read_bytes
from mrv.documents.plan import PlanExtract
from mrv.documents.statement import claims_of
from mrv.documents.verification import Verification
from mrv.errors import CanonicalError, ExportError, VerificationError
from mrv.exports import (
    Draft,
    Source,
    begin_us,
    check_issued,
    check_one_project,
    check_together,
    days,
)
from mrv.exports.cad_trust import ORDER, cad_trust
from mrv.exports.cdop import cdop
from mrv.exports.contradictions import check
from mrv.exports.entered import Authority
from mrv.exports.facility import COLUMNS, VALUES, Inventory, Metered, inventory
from mrv.exports.form_workbook import CellMap, check_known
from mrv.exports.jcm import jcm
from mrv.exports.registration import Registration
from mrv.factors.ledger import factor_of
from mrv.packs.pack import PLAN, STATEMENT, VERIFICATION, Pack
from mrv.report import Facts
from mrv.report.submission import Line, lines, signed_share
from mrv.report.words import Words
from mrv.signatures import canonical
from mrv.signatures.trust_root import Trust
from mrv.texts import render
from services.issuer.documents import documents
from services.issuer.report import JCM, REGISTRATION, facts_of
from services.registry.authority import entered_records
from services.store.registry import programme
from services.store.registry.entries_from_rows import load_registry
from services.store.statements import evidence, statements
from services.store.timeseries.measured_energy import year_sums


def source_of(conn: Connection, statement: str) -> Source:
    """
    Return an issued statement for an export.

    Raises RegistryError if there is no such statement.  Raises ExportError if it is not issued, or
    was superseded.
    """
    have = documents(conn, statement)
    check_issued(statement, have.stored.state, statements.successor(conn, statement))
    kept = evidence.kept(conn, statement, (PLAN,))
    if have.verification is None or PLAN not in kept:
        raise ExportError(f"{statement} has no evidence; restore the database's backup")
    return Source(
        have.claims,
        read_bytes(Verification, canonical.encode(have.verification), "the verification"),
        read_bytes(PlanExtract, kept[PLAN], PLAN),
    )


def source_of_pack(pack: Pack, trusted: Trust | None, status: bytes | None) -> Source:
    """
    Return an issued statement from its pack, after verifying it.

    `trusted`: trusted keys; without them the export stays a draft.
    `status`: the project's status list, which states whether the statement is still valid.
    Raises VerificationError naming the first step of `tonne verify` that fails.
    Raises ExportError if it is not issued.
    Raises CanonicalError if it is a statement without its evidence.
    """
    if pack.bare:
        raise CanonicalError(
            "a statement's file alone has no evidence to export; pass the pack's folder"
        )
    report = verify.verify(pack, trusted, status)
    if (bad := report.failure) is not None:
        raise VerificationError(f"step {bad.number}, {bad.name}", bad.detail, bad.remedy)
    check_issued(report.statement, report.state)
    return Source(
        claims_of(canonical.parse_object(pack.files[STATEMENT])),
        read_bytes(Verification, pack.files[VERIFICATION], "the verification"),
        read_bytes(PlanExtract, pack.files[PLAN], PLAN),
        tuple(f"{missing.what}; {missing.remedy}" for missing in report.missing),
    )


def facility_inventory(conn: Connection, site: str, year: int) -> Inventory:
    """
    Return the greenhouse gas inventory of a site's facility for a year.

    Raises RegistryError if no facility is registered for the site.
    """
    registry = load_registry(conn)
    result = next(
        (facility for facility in entered_records(registry).facilities if facility.site == site),
        None,
    )
    if result is None:
        raise RegistryError(
            f"no facility is registered for site {site!r}; add it under `facilities`, see"
            " docs/exports.md"
        )
    zone = registry.sites[site].clock
    span = period_us(date(year, 1, 1), date(year + 1, 1, 1), zone)
    meters = [(s.device, s.quantity) for s in result.supplies if s.device and s.quantity]
    sums = year_sums(conn, meters, *span)
    book = factors.load().with_more(factor_of(f.record) for f in registry.factors.values())
    book = book.within(grid_of(registry.sites[site]))
    return inventory(result, year, {key: Metered(*y) for key, y in sums.items()}, book)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    # a spreadsheet reads a text with such a beginning as a formula
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


_EPOCH = (1980, 1, 1, 0, 0, 0)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return files as a zip archive; the same files give identical bytes."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


class ExportFiles(NamedTuple):
    """Result of an export: its missing fields, and its files."""

    draft: Draft
    files: dict[str, bytes]

    def folder(self, sources: Sequence[Source] = ()) -> dict[str, bytes]:
        """
        Return the content of all files by name, with `missing.json` if fields are missing.

        `sources`: exported statements, whose missing data are added to that list.
        """
        for source in sources:
            for sentence in source.lacking:
                self.draft.lacks(source.name, "verification", sentence)
        if not self.draft.missing:
            return dict(self.files)
        missing = [
            {"table": missing.table, "field": missing.field, "remedy": str(missing.remedy)}
            for missing in self.draft.missing
        ]
        return {**self.files, "missing.json": json_bytes(missing)}


def together(sources: Sequence[Source], authority: Authority) -> list[Source]:
    """
    Return statements in order of time, after checks between them and with entered data.

    Raises ExportError naming the violated rule.
    """
    result = sorted(sources, key=begin_us)
    check_together(result)
    check(authority, result)
    return result


def sources_of(conn: Connection, statements: Sequence[str], authority: Authority) -> list[Source]:
    """Return issued statements from the database for one export."""
    return together([source_of(conn, statement) for statement in statements], authority)


def cdop_files(sources: Sequence[Source], authority: Authority) -> ExportFiles:
    """Return the documents of the Carbon Data Open Protocol, of one project."""
    draft = cdop(sources, authority.registration(check_one_project(sources)))
    return ExportFiles(
        draft, {f"{name}.json": json_bytes(table) for name, table in draft.tables.items()}
    )


def cad_trust_files(sources: Sequence[Source], authority: Authority) -> ExportFiles:
    """Return the tables of CAD Trust, of one project, numbered in the order of insertion."""
    draft = cad_trust(sources, authority.registration(check_one_project(sources)))
    names = {name: f"{number:02}-{name}.json" for number, name in enumerate(ORDER, 1)}
    return ExportFiles(
        draft, {file: json_bytes(draft.tables[name]) for name, file in names.items()}
    )


def aef_files(draft: Draft) -> ExportFiles:
    """Return the tables of a Party's submission as CSV and workbooks."""
    from mrv.exports.aef import COLUMNS, digest, to_csv, workbook  # noqa: PLC0415

    files = {f"{table}.csv": to_csv(draft, table).encode() for table in COLUMNS}
    files |= {f"{table}.xlsx": workbook(draft, table) for table in COLUMNS}
    files["submission.xlsx"] = workbook(draft)
    files["filed.txt"] = f"{digest(draft)}\n".encode()
    return ExportFiles(draft, files)


def jcm_files(
    source: Source,
    authority: Authority,
    workbook: Callable[[], bytes],
    form: CellMap | None = None,
    template: bytes | None = None,
) -> ExportFiles:
    """
    Return a statement's monitoring spreadsheet, issuance request, contribution report and design.

    `workbook`: returns the statement's workbook, with the JCM's sheets and the formulas of the
    methodology; used as monitoring sheet where tonne has no own layout.  `form`: map of values to
    cells; tonne's own layout by default.  `template`: the official workbook.
    """
    from mrv.exports.form_workbook import check_known, filled, names, shipped  # noqa: PLC0415
    from mrv.exports.jcm import COLUMNS, VALUES  # noqa: PLC0415

    methodology = source.claims.methodology.id
    if form is None and methodology in names():
        form = shipped(methodology)
    elif form is None and not methodology.startswith(JCM):
        raise ExportError(
            f"{methodology} is not a methodology of the JCM, whose forms this export fills;"
            " pass the official file and its map with --template and --map, or use `tonne statement"
            " report`"
        )
    own = {
        "issuance-request": shipped("jcm-issuance"),
        "contribution-report": shipped("jcm-contribution"),
        "design-extract": shipped("jcm-design"),
    }
    made = jcm(source, authority.registration(source.claims.project.id))
    for cell_map in (*([] if form is None else [form]), *own.values()):
        check_known(cell_map, VALUES, COLUMNS)
    day = days(source.claims.monitoring_period)[1]
    sheet = workbook() if form is None else filled(form, made.values, made.rows, day, template)
    files = {"monitoring.xlsx": sheet}
    for name, cell_map in own.items():
        files[f"{name}.xlsx"] = filled(cell_map, made.values, made.rows, day)
    return ExportFiles(made.draft, files)


def inventory_files(
    conn: Connection,
    site: str,
    year: int,
    form: CellMap | None = None,
    template: bytes | None = None,
) -> ExportFiles:
    """
    Return the files of a facility's inventory of a year, from its meters.

    Raises RegistryError as `facility_inventory` raises.  Raises ExportError if the map or the
    template does not fit.
    """
    from mrv.exports.form_workbook import filled, inventory_form  # noqa: PLC0415 - brings openpyxl

    made = facility_inventory(conn, site, year)
    form = form or inventory_form(country_of(load_registry(conn).sites[site]))
    check_known(form, VALUES, COLUMNS)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row[name]) for name in COLUMNS] for row in made.rows)
    # as JSON, in which numbers are exact decimal text
    encoded = msgspec.json.encode({"inventory": made.values, "sources": made.rows})
    day = date(made.values["year"], 12, 31)
    files = {
        "inventory.json": msgspec.json.format(encoded, indent=2) + b"\n",
        "sources.csv": text.getvalue().encode(),
        "inventory.xlsx": filled(form, made.values, {"sources": made.rows}, day, template),
    }
    return ExportFiles(made.draft, files)


def json_bytes(value: Any) -> bytes:
    """Return a value as indented JSON."""
    return f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode()


def export_summary(draft: Draft, sources: Sequence[Source]) -> Mapping[str, Any]:
    """Return the summary of an export: draft or not, statements, missing fields."""
    return {
        "state": "draft" if draft.missing else "complete",
        "statements": [source.name for source in sources],
        "missing": [str(missing) for missing in draft.missing],
    }


def submission(conn: Connection, statement: str, language: str) -> tuple[Facts, tuple[Line, ...]]:
    """
    Return a statement's report data, and the results of completeness and reporting check.

    `conn` is in autocommit.  Raises RegistryError if there is no such statement.
    """
    facts = facts_of(conn, statement)
    project = facts.subject.project.id
    result = (
        entered.record
        for entered in programme.load_entered(conn)
        if isinstance(entered.record, Registration) and entered.record.project == project
    )
    registered, words = next(result, None) or Registration(project=project), Words(language)
    fields = {
        check: tuple(render(each, language) for each in asks(facts, registered))
        for check, asks in REGISTRATION.items()
    }
    fields["backed"] = tuple(signed_share(facts, words, registered.signed_percent))
    return facts, lines(facts, words, fields)


def line_json(line: Line, words: Words) -> dict[str, Any]:
    """Return a check's result as a JSON object, with its text in a language."""
    return {
        "part": line.part,
        "check": line.check,
        "title": words[f"submission.{line.check}"],
        "holds": line.holds,
        "lacking": list(line.lacking),
        "chapter": line.chapter,
        "page": line.page,
    }
