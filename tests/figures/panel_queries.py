"""Panels of boards: their queries are run, and the figures in the rows returned."""

from decimal import Decimal

from tests.figures.panels import NEARLY, PANELS
from tests.grafana.macros import boards, choices, expand, panels


def shown(conn, since, until):
    """Yield each panel with the names and rows of its query."""
    for board in boards():
        chosen = choices(conn, board)
        for panel in panels(board):
            where = f"{board['uid']}: {panel['title']}"
            names = [one for one in PANELS if one == where or one.startswith(where + ": ")]
            if names:
                query = expand(panel["targets"][0]["rawSql"], chosen, since, until)
                cursor = conn.execute(query)
                answer = [c.name for c in cursor.description], cursor.fetchall()
                yield from ((name, answer) for name in names)


def figures(names, rows, column, key):
    """
    Return the figures of a panel: one figure, figures by the row's name, or a list for rows without
    name.
    """
    if key == ():
        return sorted(row[names.index(column)] for row in rows)
    if key is None:
        return rows[-1][names.index(column)] if rows else None
    keys = (key,) if isinstance(key, str) else key
    at = [names.index(one) for one in keys]
    rest = [k for k in range(len(names)) if k not in at]
    return {
        _name(tuple(row[k] for k in at)): tuple(row[k] for k in rest)
        if column is None
        else row[names.index(column)]
        for row in rows
    }


def _name(parts):
    return parts[0] if len(parts) == 1 else parts


def _any(value):
    return any(v is not None for v in value) if isinstance(value, tuple) else value is not None


def different(found, wanted):
    """Return only the differences, for the message of a failure."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = found.keys() | wanted.keys()
        return {k: (found.get(k), wanted.get(k)) for k in keys
                if not alike({k: found.get(k)}, {k: wanted.get(k)})}  # fmt: skip
    return found, wanted


def alike(found, wanted):
    """Return whether figures agree: sums to the last digit, shares nearly."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        # a row without a figure shows none
        found, wanted = ({k: v for k, v in of.items() if _any(v)} for of in (found, wanted))
        return found.keys() == wanted.keys() and all(alike(found[k], wanted[k]) for k in wanted)
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(found) == len(wanted) and all(map(alike, found, wanted))
    if found is None or wanted is None:
        return found is None and wanted is None
    if isinstance(wanted, float):
        return abs(float(found) - wanted) <= NEARLY * max(abs(wanted), 1e-6)
    return Decimal(found) == Decimal(wanted)
