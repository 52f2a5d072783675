"""
CSV files of spreadsheets: byte order marks, semicolons, headers in Vietnamese.

Unambiguous deviations are corrected; ambiguous ones are refused with their line.
"""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from collections.abc import Iterator, Sequence

from ingest.errors import RegistryError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = ",;\t"
# headers without their accents, as Vietnamese offices head such columns
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

    Raises
    ------
    RegistryError
        Naming the line and its bytes, for another encoding.
    """
    encoding = next((word for mark, word in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        excerpt = data[max(error.start - 10, 0) : error.start + 10]
        raise RegistryError(
            f"{name}:{line}: this is not UTF-8, near {ascii(excerpt)[2:-1]}; save the file as "
            "'CSV UTF-8' (an older Vietnamese encoding cannot be distinguished from another)"
        ) from None


def rows(text: str, name: str, known: Sequence[str] | None) -> Iterator[tuple[int, dict[str, str]]]:
    """
    Yield (last line, values by registry key) of each row of a table.

    Raises
    ------
    RegistryError
        Naming line and column, for an invalid table or unknown column.
    """
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise RegistryError(f"{name}:{line}: holds a zero byte; save the file as 'CSV UTF-8'")
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
            f"{name}:1: two columns have the meaning {', '.join(sorted(twice))}; keep one"
        )
    return keys


def _key(cell: str, known: Sequence[str]) -> str | None:
    """Return the registry key of a header."""
    plain = cell.strip()
    if plain in known:
        return plain
    letters = unicodedata.normalize("NFD", plain.replace("đ", "d").replace("Đ", "D").lower())
    bare = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    words = " ".join(bare.split())
    if words.replace(" ", "_") in known:
        return words.replace(" ", "_")
    return _NAMES.get(words)
