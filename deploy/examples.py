# ruff: noqa: INP001 - a script, run by `make examples`
"""Write the example documents and invoices of the catalog of Hai Phong, and their hashes."""

from __future__ import annotations

from pathlib import Path

from services.cli.local.demo_catalog import CATALOG_MONTH, files, invoices_of

CATALOG = Path(__file__).parent / "catalog"
CITY = CATALOG / "haiphong"
FOLDER, INVOICES = CITY / "documents", invoices_of(CITY, CATALOG_MONTH)
FIRST, LAST, _ = CATALOG_MONTH


def stale() -> dict[Path, bytes | None]:
    """Return the correct content of each outdated file, by path; None for a superfluous file."""
    wanted: dict[Path, bytes | None] = dict(files(CITY, CATALOG_MONTH, CATALOG / "demo.yaml"))
    wanted |= {path: None for path in FOLDER.glob("*") if path not in wanted}
    return {p: text for p, text in wanted.items() if _bytes_of(p) != text}


def _bytes_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    for path, text in stale().items():
        path.parent.mkdir(exist_ok=True)
        path.unlink() if text is None else path.write_bytes(text)
