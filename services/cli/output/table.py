"""Aligned text with a head, as a person reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"[-+]?[\d.,]+( (%|[kMGT]?W?h?|[µmkM]?g|t|m³|k?m|s|L|kWh|MWh|[kMG]iB|B))?|-")


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> str:
    """
    Return rows below their head; numbers to the right, words to the left.

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
