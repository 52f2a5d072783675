# ruff: noqa: INP001 - a script, run by `make views`
"""Write docs/views.md: the views of the database, from their comments."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

from services.settings import Settings

PAGE = Path(__file__).parents[1] / "docs/views.md"
_HEAD = """\
# Views of the database

For: engineers who read the database with SQL: dashboards, and every login that is granted `tonne_grafana`, which can read and not write. Tables may change with a release; views keep their columns. Each entry describes the rows of a view, and lists its columns with their types.

- The end of a column's name is its unit: `_t` tonnes of CO2e, `_ug` micrograms of CO2e, `_kwh`, `_kw`, `_m3`, `_km`, `_s` seconds, `_h` hours. Columns named share, ratio or `covered` have values from 0 to 1.
- `time` is the start of a 15-minute interval, an hour or a local day, with its offset. `day` is a local day in the time zone `timezone` of the site or project.
- Tonnes are those of a project. Take them from `v_account_day` and `v_account_interval`; sums over devices of one class are no reduction.
- Readings of a device class are in the table `reading_<class>`, with a column for each channel ([devices.md](devices.md)).

In `psql`, `\\d+ v_account_day` shows the same text.

Written by `make views` from a migrated database; change the comments there.
"""  # noqa: E501 - a page, a line a paragraph
VIEWS = """
    SELECT c.relname, obj_description(c.oid),
           array_agg(ARRAY[a.attname::text, format_type(a.atttypid, NULL),
                           col_description(c.oid, a.attnum)] ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'v\\_%%'
      AND has_table_privilege('tonne_grafana', c.oid, 'SELECT')
    GROUP BY c.oid, c.relname ORDER BY c.relname"""
_TYPES = {
    "timestamp with time zone": "time", "date": "day", "numeric": "number", "jsonb": "JSON",
    "double precision": "number", "bigint": "integer", "boolean": "yes or no", "tonne_id": "text",
    "text[]": "texts",
}  # fmt: skip


def page(connection: psycopg.Connection) -> str:
    """Return the text of docs/views.md for a migrated database."""
    lines = [_HEAD]
    for name, comment, columns in connection.execute(VIEWS):
        columns_text = [
            f"`{column}` ({_TYPES.get(kind, kind)}{f': {note}' if note else ''})"
            for column, kind, note in columns
        ]
        lines.append(f"## {name}\n\n{comment or ''}\n\nColumns: {', '.join(columns_text)}.\n")
    return "\n".join(lines)


if __name__ == "__main__":
    url = sys.argv[1] if len(sys.argv) > 1 else Settings().database_url
    with psycopg.connect(str(url)) as database:
        PAGE.write_text(page(database), encoding="utf-8")
