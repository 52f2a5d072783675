"""Import of registry files into a database, as by `tonne registry import`."""

import json

from services.processing.registry_import import import_registry
from services.registry.files import read_files
from services.store.postgres.pool import connect
from tests.invoked import tonne


def imported(url, *paths, author="test", **options):
    """Import files or folders; return the result of each entry."""
    with connect(url) as conn:
        return import_registry(conn, read_files(paths), author=author, **options)


def told(url, folder, text, author="test"):
    """Import a file with this text; return the result of each entry."""
    file = folder / "registry.yaml"
    file.write_text(text, encoding="utf-8")
    return imported(url, file, author=author)


def said(url, folder, text):
    """Import a file as an owner would; return whether it was refused, and the messages."""
    planned = told(url, folder, text, "owner")
    return planned.refused, "\n".join(m for r in planned.results for m in r.messages)


def billed(url, folder, invoices):
    """Import invoices by the command: rows, or the text of a file."""
    file = folder / "bills.yaml"
    text = invoices if isinstance(invoices, str) else json.dumps({"invoices": invoices})
    file.write_text(text, "utf-8")
    tonne("invoice", "import", file, env={"TONNE_DATABASE_URL": url}, code=0)


def register(url, folder, text):
    """Import a file with this text, in which nothing may be refused."""
    planned = told(url, folder, text)
    assert not planned.refused, [r.messages for r in planned.results]
