"""The files of each export by name, for the command line and the API alike."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

from psycopg import Connection

from mrv.countries import country_of
from mrv.exports.cad_trust import ORDER, cad_trust
from mrv.exports.cdop import cdop
from mrv.exports.cell_map import CellMap
from mrv.exports.contradictions import check
from mrv.exports.entered import Authority
from mrv.exports.source import Draft, Source, begin_us, check_one_project, check_together, days
from services.issuer.exports import source_of
from services.issuer.facility import facility_files, facility_inventory
from services.store.registry.entries_from_rows import load_registry

_EPOCH = (1980, 1, 1, 0, 0, 0)

# ids of the methodologies of the Joint Crediting Mechanism begin with it
JCM = "jcm-"


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return files as a zip: the same bytes for the same files."""
    held = BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return held.getvalue()


class ExportFiles(NamedTuple):
    """An export: what it lacks, and its files."""

    draft: Draft
    files: dict[str, bytes]

    def folder(self, sources: Sequence[Source] = ()) -> dict[str, bytes]:
        """Return all files, with `missing.json` where something is missing."""
        for source in sources:
            for sentence in source.lacking:
                self.draft.lacks(source.name, "verification", sentence)
        if not self.draft.missing:
            return dict(self.files)
        missing = [
            {"table": one.table, "field": one.field, "remedy": one.remedy}
            for one in self.draft.missing
        ]
        return {**self.files, "missing.json": json_bytes(missing)}


def together(sources: Sequence[Source], authority: Authority) -> list[Source]:
    """
    Return statements in the order of time, compared with each other and what is entered.

    Raises
    ------
    ExportError
        Naming the rule, before anything is made.
    """
    found = sorted(sources, key=begin_us)
    check_together(found)
    check(authority, found)
    return found


def sources_of(conn: Connection, statements: Sequence[str], authority: Authority) -> list[Source]:
    """Load issued statements from the database, for one export."""
    return together([source_of(conn, statement) for statement in statements], authority)


def cdop_files(sources: Sequence[Source], authority: Authority) -> ExportFiles:
    """Return the documents of the Carbon Data Open Protocol, of one project."""
    draft = cdop(sources, authority.registration(check_one_project(sources)))
    return ExportFiles(
        draft, {f"{name}.json": json_bytes(one) for name, one in draft.tables.items()}
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
    from mrv.exports.aef import COLUMNS, digest, to_csv  # noqa: PLC0415
    from mrv.exports.aef_workbook import workbook  # noqa: PLC0415 - loads the XLSX writer

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

    Parameters
    ----------
    workbook : callable
        Makes the statement's own workbook, whose sheets are those of the JCM with the formulas of
        the methodology; it is the monitoring sheet where no layout of its own comes with tonne.
    form : CellMap, optional
        Which value in which cell; tonne's own layout unless given.
    template : bytes, optional
        The official workbook.
    """
    from mrv.exports.cell_map import check_known, names, shipped  # noqa: PLC0415
    from mrv.exports.form_workbook import filled  # noqa: PLC0415 - loads openpyxl
    from mrv.exports.jcm import COLUMNS, VALUES, jcm  # noqa: PLC0415

    methodology = source.claims.methodology.id
    if form is None and (methodology in names() or not methodology.startswith(JCM)):
        form = shipped(methodology)
    own = {
        "issuance-request": shipped("jcm-issuance"),
        "contribution-report": shipped("jcm-contribution"),
        "design-extract": shipped("jcm-design"),
    }
    made = jcm(source, authority.registration(source.claims.project.id))
    for one in (*([] if form is None else [form]), *own.values()):
        check_known(one, VALUES, COLUMNS)
    day = days(source.claims.monitoring_period)[1]
    sheet = workbook() if form is None else filled(form, made.values, made.rows, day, template)
    files = {"monitoring.xlsx": sheet}
    for name, one in own.items():
        files[f"{name}.xlsx"] = filled(one, made.values, made.rows, day)
    return ExportFiles(made.draft, files)


def inventory_files(
    conn: Connection,
    site: str,
    year: int,
    form: CellMap | None = None,
    template: bytes | None = None,
) -> ExportFiles:
    """Return a facility's inventory of a year, from its meters."""
    from mrv.exports.cell_map import inventory_form  # noqa: PLC0415

    made = facility_inventory(conn, site, year)
    form = form or inventory_form(country_of(load_registry(conn).sites[site]))
    return ExportFiles(made.draft, facility_files(made, form, template))


def json_bytes(value: Any) -> bytes:
    """Write JSON as people read it."""
    return f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode()


def export_summary(draft: Draft, sources: Sequence[Source]) -> Mapping[str, Any]:
    """Return what an export came to: whether it is a draft, of what, and what is missing."""
    return {
        "state": "draft" if draft.missing else "complete",
        "statements": [source.name for source in sources],
        "missing": [str(one) for one in draft.missing],
    }
