"""
JSON Schema of the signed documents, written from the types that read them.

`python -m services.cli.calculate.document_schemas` in the repository writes `docs/schemas/`.
"""

from __future__ import annotations

from pathlib import Path

from mrv.documents.verification import DOCUMENTS, schema
from mrv.signatures.canonical import legible


def files() -> dict[str, bytes]:
    """Return name and bytes of every schema file."""
    return {f"{name}.json": legible(schema(name)) for name in DOCUMENTS}


def main() -> None:
    """Write all schemas, and remove schema files that are no longer needed."""
    folder = Path("docs/schemas")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name, data in files().items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
