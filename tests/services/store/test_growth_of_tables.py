"""Every table of the database says what makes it grow, and what bounds it."""

import re
from pathlib import Path

import psycopg

PAGE = Path(__file__).parents[3] / "docs" / "table-growth.md"
_TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " AND relkind IN ('r', 'p') AND relname NOT LIKE 'reading\\_%%'"
)


def test_every_table_says_what_makes_it_grow(database_url):
    """A table that nobody thought of would fill the disk after some years."""
    section = PAGE.read_text().split("## What makes each table grow")[1].split("\n## ")[0]
    rows = [line.split("|")[1:4] for line in section.splitlines() if line.startswith("| `")]
    named = [name for tables, *_ in rows for name in re.findall(r"`([a-z_]+)`", tables)]
    with psycopg.connect(database_url) as conn:
        found = {name for (name,) in conn.execute(_TABLES.replace("%%", "%"))}
    assert sorted(named) == sorted(set(named))
    assert set(named) == found
    assert all(grow.strip() and bound.strip() for _, grow, bound in rows)
