"""Data written by version 0.1.0, and their use with the present commands."""

import lzma
import shutil
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

from tests.invoked import tonne as invoke

SAMPLE = Path(__file__).parent / "0.1.0"
END = "\\.\n"


def tonne(environment, *words):
    """Run a command of the present version; return its exit code and its output."""
    done = invoke(*words, env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def must(environment, *words):
    """Run a command that must end with 0; return its output."""
    done = tonne(environment, *words)
    assert done.exit_code == 0, f"tonne {' '.join(map(str, words))}: {done.output}"
    return done.stdout


def blocks(file):
    """Return the tables of a dump with their columns and rows, as COPY writes them."""
    text = lzma.decompress(file.read_bytes()).decode()
    for block in text.removesuffix(END).split(END):
        head, rows = block.split("\n", 1)
        table, columns = head.removeprefix("COPY ").removesuffix(") FROM stdin;").split(" (", 1)
        yield table, [name.strip('"') for name in columns.split(", ")], rows


def restore(url):
    """Create the database as 0.1.0 wrote it: its roles, schema, hypertables, rows."""
    folder = SAMPLE / "database"
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in (folder / "roles.sql").read_text().splitlines():
            with suppress(psycopg.errors.DuplicateObject):
                conn.execute(statement)
        conn.execute("CREATE EXTENSION btree_gist")
        conn.execute("CREATE EXTENSION timescaledb")
    with psycopg.connect(url) as conn:
        conn.execute((folder / "schema.sql").read_text())
    with psycopg.connect(url) as conn:
        conn.execute((folder / "hypertables.sql").read_text())
        # as pg_restore does: what was checked when it was written is not checked again
        conn.execute("SET session_replication_role = replica")
        conn.execute("SET timezone = 'UTC'")
        for table, columns, rows in blocks(folder / "data.copy.xz"):
            with conn.cursor().copy(_copy(table, columns, "FROM STDIN")) as copy:
                copy.write(rows)
        _numbers_go_on(conn)


def _numbers_go_on(conn):
    for table, column in conn.execute(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND is_identity = 'YES'"
    ).fetchall():
        conn.execute(
            sql.SQL(
                "SELECT setval(pg_get_serial_sequence({}, {}), greatest(max({}), 1)) FROM {}"
            ).format(table, column, sql.Identifier(column), sql.Identifier(table))
        )


def _copy(table, columns, direction):
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) {}").format(sql.Identifier(table), names, sql.SQL(direction))


def rows_of(conn, table, columns):
    """Return the rows of a table as COPY writes them, in no order."""
    conn.execute("SET timezone = 'UTC'")
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    # a hypertable has no rows of its own for COPY to read
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(names, sql.Identifier(table))
    with conn.cursor().copy(query) as copy:
        text = b"".join(map(bytes, copy)).decode()
    return sorted(text.splitlines())


def home(folder):
    """Return TONNE_HOME of 0.1.0: keys, witness, identities; files readable by their owner only."""
    shutil.copytree(SAMPLE / "home", folder)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return folder


def archive(folder):
    """Unpack the archive; return its URL."""
    shutil.unpack_archive(SAMPLE / "archive.zip", folder)
    return str(folder / "tonne-archive")


def holds(now, then, where=""):
    """Return the differences where something is missing or changed."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key, value in then.items():
            if key in now:
                yield from holds(now[key], value, f"{where}.{key}")
            else:
                yield f"{where}.{key} is gone"
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for k, (a, b) in enumerate(zip(now, then, strict=True)):
            yield from holds(a, b, f"{where}[{k}]")
    elif now != then:
        yield f"{where} was {str(then)[:200]!r} and is {str(now)[:200]!r}"
