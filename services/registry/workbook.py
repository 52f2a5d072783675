"""
Registry files as workbooks (XLSX): one sheet per table, one row per entry, columns by key.

Example: sheet `devices` has devices; sheet `devices.calibrations` their certificates, each with the
device in column `of`; `crediting_period.from` is a column of sheet `projects`.  Sheets
`projects.parameters` and `projects.documents` have a row for each value, with its name in column
`key`.  A cell that begins with `{`, `[` or `"` is YAML.  Sheets and columns whose name begins with
`#` are notes.

A formula, an error or a percentage is rejected; the message names the cell.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeGuard

from ingest.errors import RegistryError
from services.registry.located import NULLS, NUMBER, Plain, Table, Value, dump, read_yaml

SUFFIX = ".xlsx"
_OF, _KEY, _SCALARS = "of", "key", ("value", "text")
_KEYED = ("projects.parameters", "projects.documents")
_SINGLE = "programme"  # section with one row, whose lists need no column `of`
_YAML = ("{", "[", '"')
_NOTE = "#"
# maximum size of the unpacked file [bytes], as a small file can contain gigabytes; maximum number
# of parts, rows and columns
MAX_UNPACKED_BYTES = 48 << 20
_MAX_PARTS, _MAX_ROWS, _MAX_COLUMNS = 1_000, 50_000, 64
_MIDNIGHT = time()
_WORDS = (*NULLS, "true", "false")


def read_workbook(data: bytes, name: str) -> Table:
    """
    Return a workbook as a mapping of sections, equal to a YAML file of the same entries.

    Raises RegistryError, naming sheet and cell, if it is not a workbook, is too large when
    unpacked, or a cell is ambiguous.
    """
    book = _opened(data, name)
    sheets = {s.title.strip(): s for s in book.worksheets if not s.title.startswith(_NOTE)}
    table = Table(1, {}, {})
    # sections come before their lists
    for title in sorted(sheets, key=lambda t: t.count(".")):
        rows = list(_rows(sheets[title], f"{name}, sheet {title}"))
        section, _, inner = title.partition(".")
        where = f"{name}, sheet {title}"
        if not inner and rows:
            _put(table, section, rows[0] if section == _SINGLE else list(rows), 1)
            if section == _SINGLE and len(rows) > 1:
                raise RegistryError(
                    f"{where}: row {rows[1].line}: the file has several programmes; keep only one"
                )
        for row in rows if inner else ():
            parent = _parent(table, section, row, where)
            keyed = title in _KEYED
            (_add_keyed if keyed else _add_item)(parent, inner, row, where)
    return table


def _opened(data: bytes, name: str) -> Any:
    import openpyxl  # noqa: PLC0415 - a workbook alone needs it

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            sizes = [member.file_size for member in parts.infolist()]
        if len(sizes) <= _MAX_PARTS and sum(sizes) <= MAX_UNPACKED_BYTES:
            return openpyxl.load_workbook(io.BytesIO(data), read_only=True, keep_links=False)
    except Exception as error:  # noqa: BLE001 - a damaged file causes exceptions of many types
        raise RegistryError(
            f"{name} is not an XLSX workbook ({type(error).__name__}); save it as .xlsx in Excel"
        ) from None
    raise RegistryError(
        f"{name} unpacks to {sum(sizes) >> 20} MiB in {len(sizes)} parts, more than "
        f"{MAX_UNPACKED_BYTES >> 20} MiB or {_MAX_PARTS}; remove sheets that are not part of the "
        "registry"
    )


def _rows(sheet: Any, where: str) -> Iterator[Table]:
    """Yield the rows of a sheet below its header, with row numbers; empty rows are omitted."""
    sheet.reset_dimensions()  # the size stated in the file may be wrong
    header: list[str] | None = None
    cells = sheet.iter_rows(max_col=_MAX_COLUMNS + 1)
    for number, row in enumerate(_guarded(cells, where), 1):
        if number > _MAX_ROWS:
            raise RegistryError(
                f"{where} has more than {_MAX_ROWS} rows; split the sheet, or use CSV"
            )
        if len(row) > _MAX_COLUMNS and row[_MAX_COLUMNS].value is not None:
            raise RegistryError(
                f"{where}: row {number} has more than {_MAX_COLUMNS} columns; remove some"
            )
        if all(cell.value is None for cell in row):
            continue
        if header is None:
            header = _header(row, f"{where}: row {number}")
            continue
        table = Table(number, {}, {})
        for i, cell in enumerate(row):
            key = header[i] if i < len(header) else ""
            value = (
                None
                if key.startswith(_NOTE)
                else _cell(cell, f"{where}: {key or i + 1}, row {number}")
            )
            if value is not None and not key:
                raise RegistryError(
                    f"{where}: row {number} has a cell in a column without a name; name the "
                    "column in the first row"
                )
            if value is not None:
                _dotted(table, key, value, f"{where}: row {number}")
        if table.cells:
            yield table


def _guarded(cells: Iterator[Any], where: str) -> Iterator[Any]:
    try:
        yield from cells
    except RegistryError:
        raise
    except Exception as error:  # noqa: BLE001 - as above; openpyxl reads rows on demand
        raise RegistryError(
            f"{where}: cannot be read ({type(error).__name__}); save it again"
        ) from None


def _header(row: Sequence[Any], where: str) -> list[str]:
    names = ["" if cell.value is None else str(cell.value).strip() for cell in row]
    if twice := {
        name for name in names if name and names.count(name) > 1 and not name.startswith(_NOTE)
    }:
        raise RegistryError(
            f"{where}: two columns are named {', '.join(sorted(twice))}; rename one"
        )
    return names


def _cell(cell: Any, where: str) -> Value | None:
    """Return the value of a cell; None if it is empty."""
    value = cell.value
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if cell.data_type in {"f", "e"} or type(value).__name__.endswith("Formula"):
        what = "an error" if cell.data_type == "e" else "a formula"
        raise RegistryError(f"{where}: {what}, {value!s:.40}; enter the plain value")
    if isinstance(value, bool):
        return Plain("true" if value else "false")
    if isinstance(value, datetime):
        whole = value.time() == _MIDNIGHT
        return Plain(value.date().isoformat() if whole else value.isoformat())
    if isinstance(value, int | float):
        if "%" in str(cell.number_format):
            raise RegistryError(f"{where}: {value} is shown as a percentage; enter a plain number")
        whole = isinstance(value, float) and value.is_integer()
        return Plain(str(int(value)) if whole else repr(value))
    text = str(value).strip()
    return read_yaml(text, where) if text.startswith(_YAML) else Plain(text)


def _dotted(table: Table, key: str, value: Value, where: str) -> None:
    """Set a value by its column's name; `a.b` is the key b of the nested mapping a."""
    first, _, rest = key.partition(".")
    if not rest:
        _put(table, key, value, table.line, where)
        return
    inner = table.cells.setdefault(first, Table(table.line, {}, {}))
    table.lines[first] = table.line
    if not isinstance(inner, Table):
        raise RegistryError(f"{where}: {first} and {key} are both entered; remove one of them")
    _dotted(inner, rest, value, where)


def _put(table: Table, key: str, value: Value, line: int, where: str = "") -> None:
    if key in table.cells:
        raise RegistryError(f"{where}: {key} is entered twice; remove one of them")
    table.cells[key], table.lines[key] = value, line


def _parent(table: Table, section: str, row: Table, where: str) -> Table:
    """Return the entry to which a list's row belongs."""
    entries = table.cells.get(section, [])
    if isinstance(entries, Table):
        return entries
    name = row.cells.pop(_OF, None)
    row.lines.pop(_OF, None)
    for item in entries if isinstance(entries, list) else ():
        if (
            _is_row(item)
            and name is not None
            and item.cells.get("id", item.cells.get("project")) == name
        ):
            return item
    known = f"{name!s} is not" if name is not None else "the column is empty, and must have"
    raise RegistryError(
        f"{where}: row {row.line}: column `of`: {known} the id of a row of sheet {section}; "
        "enter it"
    )


def _is_row(value: Value) -> TypeGuard[Table]:
    return isinstance(value, Table)


def _add_item(parent: Table, key: str, row: Table, where: str) -> None:
    entries = parent.cells.setdefault(key, [])
    parent.lines.setdefault(key, row.line)
    if not isinstance(entries, list):
        raise RegistryError(
            f"{where}: row {row.line}: {key} is also a column of its sheet; remove one of them"
        )
    entries.append(row)


def _add_keyed(parent: Table, key: str, row: Table, where: str) -> None:
    name = row.cells.pop(_KEY, None)
    row.lines.pop(_KEY, None)
    nested = parent.cells.setdefault(key, Table(row.line, {}, {}))
    parent.lines.setdefault(key, row.line)
    if not isinstance(nested, Table) or not isinstance(name, str):
        raise RegistryError(f"{where}: row {row.line}: column {_KEY} is empty; name the value")
    alone = next(iter(row.cells)) if len(row.cells) == 1 else None
    value: Value = row.cells[alone] if alone in _SCALARS else row
    _put(nested, str(name), value, row.line, f"{where}: row {row.line}")


def write_workbook(
    sections: Mapping[str, Any], notes: Mapping[tuple[str, str], str] | None = None, about: str = ""
) -> bytes:
    """
    Return sections of a registry file as a workbook, which can be imported unchanged.

    `sections`: as returned by `services.registry.files.sections`.
    `notes`: explanation of a column, or of a value, by sheet and key.
    `about`: text of a first sheet, `# read me`; no such sheet if empty.
    """
    import openpyxl  # noqa: PLC0415 - a workbook alone needs it

    book = openpyxl.Workbook()
    first = book.active
    book.remove(first)
    if about:
        sheet = book.create_sheet("# read me")
        for line in about.splitlines():
            sheet.append([line])
        sheet.column_dimensions["A"].width = 110
    for title, rows in _sheets(sections).items():
        _write_sheet(book.create_sheet(title), title, rows, notes or {})
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _write_sheet(
    sheet: Any, title: str, rows: list[dict[str, Any]], notes: Mapping[tuple[str, str], str]
) -> None:
    from openpyxl.comments import Comment  # noqa: PLC0415
    from openpyxl.styles import Font  # noqa: PLC0415

    columns = list(dict.fromkeys(key for row in rows for key in row))
    meaning = f"{_NOTE} meaning"
    if title in _KEYED and any((title, row[_KEY]) in notes for row in rows):
        columns.append(meaning)
        rows = [{**row, meaning: notes.get((title, row[_KEY]), "")} for row in rows]
    sheet.append(columns)
    for i, key in enumerate(columns, 1):
        cell = sheet.cell(1, i)
        cell.font = Font(bold=True)
        if (title, key) in notes:
            cell.comment = Comment(notes[title, key], "tonne")
        sheet.column_dimensions[cell.column_letter].width = max(14, min(len(key) + 4, 40))
    for row in rows:
        sheet.append([row.get(key) for key in columns])
    for cells in sheet.iter_rows(min_row=2):
        for cell in cells:
            if isinstance(cell.value, str):
                # as text, so that a value that begins with = is not a formula
                cell.data_type, cell.number_format = "s", "@"
    sheet.freeze_panes = "A2"


def _sheets(sections: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    result: dict[str, list[dict[str, Any]]] = {}
    for section, entries in sections.items():
        for entry in [entries] if isinstance(entries, Mapping) else entries:
            row: dict[str, Any] = {}
            result.setdefault(section, []).append(row)
            of = {} if section == _SINGLE else {_OF: _text(entry.get("id", entry.get("project")))}
            for key, value in entry.items():
                title = f"{section}.{key}"
                if title in _KEYED and isinstance(value, Mapping) and value:
                    for name, item in value.items():
                        alone = "value" if title == _KEYED[0] else "text"
                        cells = (
                            _flat(item)
                            if title == _KEYED[1] and isinstance(item, Mapping)
                            else {alone: _written(item)}
                        )
                        result.setdefault(title, []).append({**of, _KEY: _text(name), **cells})
                elif (
                    isinstance(value, list | tuple)
                    and value
                    and all(isinstance(item, Mapping) for item in value)
                ):
                    result.setdefault(title, []).extend({**of, **_flat(item)} for item in value)
                else:
                    row |= _flat({key: value})
    return result


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as cells: keys of nested mappings as `a.b`, deeper ones as YAML."""
    cells: dict[str, Any] = {}
    for key, value in entry.items():
        plain = (
            isinstance(value, Mapping)
            and value
            and not any(
                isinstance(item, Mapping | list | tuple) or "." in str(name)
                for name, item in value.items()
            )
        )
        if plain and "." not in key:
            cells |= {f"{key}.{name}": _written(item) for name, item in value.items()}
        else:
            cells[key] = _written(value)
    return cells


def _written(value: Any) -> Any:
    """Return a value in the type of a cell."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal):
        near = float(value)
        exact = Decimal(repr(near)) == Decimal(str(value))
        return (int(value) if value == int(value) else near) if exact else str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return _text(value)
    return dump(value, flow=True).strip()


def _text(value: Any) -> str:
    """Return text for a cell, in quotes if an import would read another type."""
    text = str(value)
    other = text.startswith(_YAML) or text.strip() != text or NUMBER.match(text)
    return json.dumps(text, ensure_ascii=False) if other or text in _WORDS else text
