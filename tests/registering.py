"""Import of registry files into a database, as by `tonne registry import`."""

from services.processing.registry_import import import_registry
from services.registry.files import read_files
from services.store.postgres.pool import connect


def imported(url, *paths, author="test", **options):
    """Import files or folders; return the result of each entry."""
    with connect(url) as conn:
        return import_registry(conn, read_files(paths), author=author, **options)


def told(url, folder, text, author="test"):
    """Import a file with this text; return the result of each entry."""
    file = folder / "registry.yaml"
    file.write_text(text, encoding="utf-8")
    return imported(url, file, author=author)


def register(url, folder, text):
    """Import a file with this text, in which nothing may be refused."""
    planned = told(url, folder, text)
    assert not planned.refused, [r.messages for r in planned.results]
