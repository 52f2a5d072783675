"""
Output of commands for people: amounts, counts, tables, times.

Exact whole base units as people read them: 532800000 ug is 532.8 g, 1500 Wh is 1.5 kWh.

Numbers of things, in the right form of the word.

Aligned text with a head, as a person reads it.

The one format of times: RFC 3339 to the second, such as `--from` and `--to` take it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal

from mrv import calendar

_DIGITS = 4
_MASSES = ((10**12, "t"), (10**9, "kg"), (10**6, "g"), (10**3, "mg"))
_SCALES = {
    "Wh": ((10**6, "MWh"), (10**3, "kWh")),
    "m": ((10**3, "km"),),
    "mL": ((10**6, "m³"), (10**3, "L")),
    "g": ((10**6, "t"), (10**3, "kg")),
    "J": ((10**9, "GJ"), (10**6, "MJ"), (10**3, "kJ")),
}
_BYTES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_PLURALS = {"entry": "entries", "registry": "registries"}
_NUMBER = re.compile(r"[-+]?[\d.,]+( (%|[kMGT]?W?h?|[µmkM]?g|t|m³|k?m|s|L|kWh|MWh|[kMG]iB|B))?|-")


def mass_text(micrograms: int) -> str:
    """Return micrograms of CO2e as g, kg or t."""
    return _scaled(micrograms, _MASSES, "µg") if micrograms else "0 g"


def amount_text(value: int, unit: str) -> str:
    """Return a stored value, a whole number of its base unit, in a larger unit that fits."""
    return _scaled(value, _SCALES.get(unit, ()), unit)


def bytes_text(size: int) -> str:
    """Return a size as KiB, MiB or GiB."""
    return _scaled(size, _BYTES, "B")


def _scaled(value: int, scales: tuple[tuple[int, str], ...], base: str) -> str:
    for factor, unit in scales:
        if abs(value) >= factor:
            return f"{_short(Decimal(value) / factor)} {unit}"
    return f"{value:,} {base}"


def _short(number: Decimal) -> str:
    """Return four significant digits, or all before the point."""
    places = max(_DIGITS - 1 - max(number.adjusted(), 0), 0)
    rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    text = f"{rounded:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def counted(number: int, noun: str) -> str:
    """Return `1 device`, `2 devices`; thousands are grouped."""
    return f"{number:,} {noun if number == 1 else _PLURALS.get(noun, f'{noun}s')}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> str:
    """
    Return rows below their heading; numbers right-aligned, words left-aligned.

    Parameters
    ----------
    head : sequence of str
    rows : iterable of sequence
        As many cells each as the head has; None is shown as `-`.
    empty : str
        What is said in place of a table without rows.
    """
    cells = [["-" if one is None else str(one) for one in row] for row in rows]
    if not cells:
        return empty
    columns = list(zip(*cells, strict=True))
    right = [
        any(one != "-" for one in column) and all(_NUMBER.fullmatch(one) for one in column)
        for column in columns
    ]
    widths = [max(len(name), *map(len, column)) for name, column in zip(head, columns, strict=True)]
    return "\n".join(
        "  ".join(
            one.rjust(width) if to_right else one.ljust(width)
            for one, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (list(map(str.upper, head)), *cells)
    )


def time_text(moment: datetime | str | None, zone: tzinfo | str = UTC) -> str:
    """
    Return a time, or RFC 3339 text, in a zone; `-` for none.

    What belongs to a site or project is shown by its clock; what belongs to neither, such as
    a key, in UTC.
    """
    if moment is None:
        return "-"
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    clock = calendar.zone(zone) if isinstance(zone, str) else zone
    local = moment.astimezone(clock).replace(microsecond=0)
    return local.isoformat().replace("+00:00", "Z")
