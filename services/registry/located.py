"""
Reading of YAML and CSV as values with line numbers, and writing of YAML.

Values remain text: version 1.10 does not become 1.1, nor id 007 the number 7, and a time without
offset can be recognised.  The parser of each key converts its value.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ingest.errors import RegistryError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = ",;\t"
# column headers in Vietnamese, without accents
_VIETNAMESE = {
    "id": ("ma thiet bi", "ma so thiet bi", "ma"),
    "site": ("dia diem", "ma dia diem", "tram", "ma tram", "vi tri"),
    "class": ("loai", "loai thiet bi", "chung loai"),
    "profile": ("ho so", "mau thiet bi", "kieu thiet bi", "kieu may"),
    "gateway": ("cong", "thiet bi cong", "bo thu thap"),
    "rated_power_w": ("cong suat w", "cong suat dinh muc w"),
    "installed": ("ngay lap dat", "thoi diem lap dat"),
    "removed": ("ngay thao do", "ngay go bo", "ngay thao"),
    "commissioned": ("ngay dua vao van hanh", "ngay van hanh", "ngay nghiem thu"),
    "serial": ("so seri", "so se ri", "so serial", "so may"),
    "attributes": ("thuoc tinh",),
    "calibrations": ("hieu chuan", "kiem dinh"),
    "dc_power_w": ("cong suat dc w", "cong suat tam pin w"),
    "tilt": ("goc nghieng",),
    "azimuth": ("goc phuong vi",),
}
_NAMES = {name: key for key, names in _VIETNAMESE.items() for name in names}


def decoded(data: bytes, name: str) -> str:
    """
    Return the text of a file in UTF-8, or in UTF-16 with byte order mark.

    Raises RegistryError, naming the line and its bytes, for another encoding.
    """
    encoding = next((word for mark, word in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        excerpt = data[max(error.start - 10, 0) : error.start + 10]
        raise RegistryError(
            f"{name}:{line}: the text is not UTF-8, near {ascii(excerpt)[2:-1]}; save the file as "
            "'CSV UTF-8' (an older Vietnamese encoding cannot be distinguished from another)"
        ) from None


def rows(text: str, name: str, known: Sequence[str] | None) -> Iterator[tuple[int, dict[str, str]]]:
    """
    Yield (last line, values by registry key) of each row of a table.

    Raises RegistryError, naming line and column, for an invalid table or unknown column.
    """
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise RegistryError(f"{name}:{line}: contains a zero byte; save the file as 'CSV UTF-8'")
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        first = next(table, [])
        header = [c.strip() for c in first] if known is None else _header(first, name, known)
        for cells in table:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise RegistryError(
                    f"{name}:{table.line_num}: the row has {len(cells)} cells, but the header "
                    f"has {len(header)}; quote cells that contain {delimiter!r}"
                )
            yield table.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise RegistryError(
            f"{name}:{table.line_num}: this is not CSV: {error}; correct it"
        ) from None


def _header(cells: list[str], name: str, known: Sequence[str]) -> list[str]:
    result = [_key(cell, known) for cell in cells]
    unknown = [cell for cell, key in zip(cells, result, strict=True) if key is None]
    if unknown or not cells:
        message = ", ".join(repr(cell) for cell in unknown) or "nothing"
        raise RegistryError(
            f"{name}:1: column {message} is unknown; known: {', '.join(known)}, or in Vietnamese "
            "Mã thiết bị, Địa điểm, Loại thiết bị, Hồ sơ, Thiết bị cổng, Công suất (W), "
            "Ngày lắp đặt"
        )
    keys = [key for key in result if key is not None]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise RegistryError(
            f"{name}:1: two columns have the meaning {', '.join(sorted(twice))}; remove one"
        )
    return keys


def _key(cell: str, known: Sequence[str]) -> str | None:
    """Return the registry key of a column header; None if unknown."""
    plain = cell.strip()
    if plain in known:
        return plain
    letters = unicodedata.normalize("NFD", plain.replace("đ", "d").replace("Đ", "D").lower())
    bare = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    words = " ".join(bare.split())
    if words.replace(" ", "_") in known:
        return words.replace(" ", "_")
    return _NAMES.get(words)


@dataclass(frozen=True, slots=True)
class Finding:
    """Error or warning on a row; `text` names key, value and remedy."""

    kind: str
    id: str
    text: str
    warning: bool = False


NUMBER = re.compile(r"^[-+]?\d[\d_]{0,30}(\.\d{1,30})?([eE][-+]?\d{1,2})?$")
NULLS = ("", "~", "null", "Null", "NULL")
NESTED = ("attributes", "calibrations", "replacements", "quality")
MAX_DEPTH = 20
MAX_INT = 2**63
# maximum number of values of a file, as aliases repeat values: fixed part, and part per character
_FIXED, _PER_CHARACTER = 100_000, 10


class Plain(str):
    """Unquoted text of a YAML file, which may be meant as a number, true, false or null."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping: its keys, and the position of each."""

    line: int
    cells: dict[str, Value]
    lines: dict[str, int]


Value = str | Table | list["Value"]


def read_yaml(text: str, name: str, line: int = 1) -> Value:
    """
    Return a YAML document with line numbers.

    Raises RegistryError with file and line if it is not YAML, repeats a key, contains itself, or
    has too many values after expansion of its aliases.
    """
    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark.line + line if error.problem_mark else line
        raise RegistryError(f"{name}:{at}: this is not YAML: {error.problem}; correct it") from None
    except yaml.YAMLError as error:
        raise RegistryError(f"{name}: this is not YAML: {error}; correct it") from None
    if node is None:
        return Table(line, {}, {})
    return _Reading(name, line, _FIXED + _PER_CHARACTER * len(text)).value(node, 0)


def read_csv(text: str, name: str, known: Sequence[str] | None) -> list[Table]:
    """
    Return the rows of a CSV table; empty cells are absent keys.

    `known`: permitted columns; None for any.  Raises RegistryError with file and line if the table
    or a column cannot be read.
    """
    return [_table(cells, name, line) for line, cells in rows(text, name, known)]


def _table(row: dict[str, str], name: str, line: int) -> Table:
    cells = {k: _cell(k, v, name, line) for k, v in row.items() if v.strip()}
    return Table(line, cells, dict.fromkeys(cells, line))


def _cell(key: str, text: str, name: str, line: int) -> Value:
    return read_yaml(text, name, line) if key in NESTED else Plain(text.strip())


class _Reading:
    """Converts a YAML document's nodes into values with line numbers."""

    def __init__(self, name: str, first: int, maximum: int) -> None:
        self._name, self._first, self._remaining = name, first, maximum

    def value(self, node: Node, depth: int) -> Value:
        """Return the value of a YAML node."""
        line = node.start_mark.line + self._first
        self._remaining -= 1
        if depth > MAX_DEPTH:
            raise RegistryError(
                f"{self._name}:{line}: nested more than {MAX_DEPTH} deep; flatten it"
            )
        if self._remaining < 0:
            raise RegistryError(
                f"{self._name}:{line}: its aliases (*name) expand to too many values; write them "
                "out"
            )
        if isinstance(node, ScalarNode):
            return str(node.value) if node.style else Plain(node.value)
        if isinstance(node, SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        table = Table(line, {}, {})
        if isinstance(node, MappingNode):
            self._fill(table, node, depth)
        return table

    def _fill(self, table: Table, node: MappingNode, depth: int) -> None:
        for key, value in node.value:
            at = key.start_mark.line + self._first
            if not isinstance(key, ScalarNode) or key.value in table.cells:
                raise RegistryError(
                    f"{self._name}:{at}: key {key.value!r} is entered twice or is not text; enter "
                    "each key once, as text"
                )
            table.cells[key.value] = self.value(value, depth + 1)
            table.lines[key.value] = at


def native(value: Value) -> Any:
    """Return a value in JSON form; numbers are int or Decimal."""
    if isinstance(value, Table):
        return {key: native(cell) for key, cell in value.cells.items()}
    if isinstance(value, list):
        return [native(item) for item in value]
    if not isinstance(value, Plain):
        return value
    if value in NULLS:
        return None
    if value in ("true", "false"):
        return value == "true"
    return number(value) if NUMBER.match(value) else str(value)


def number(text: str) -> int | Decimal:
    """Return the exact number of text that matches `NUMBER`."""
    exact = Decimal(text.replace("_", ""))
    whole = abs(exact) < MAX_INT and exact == exact.to_integral_value()
    return int(exact) if whole else exact


def dump(document: Any, *, flow: bool = False) -> str:
    """Return values of a registry file as YAML; with `flow` on one line."""
    return yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=2**30 if flow else 100,
        default_flow_style=flow,
    )


class _Dumper(yaml.SafeDumper):
    """YAML writer with exact numbers, unquoted dates, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _decimal(dumper: yaml.SafeDumper, value: Decimal) -> yaml.ScalarNode:
    text = format(value, "f")
    kind = "float" if "." in text else "int"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", text)


def _date(dumper: yaml.SafeDumper, value: date) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:timestamp", value.isoformat())


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Return text as a YAML scalar, quoted if it looks like a number."""
    style = '"' if NUMBER.match(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Decimal, _decimal)
_Dumper.add_representer(date, _date)
