"""Payloads chosen by the branches that they reach: atheris, where it is installed."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from tests.fuzz import properties


def run(codec: str, held: dict[str, list[bytes]], count: int) -> NoReturn:
    """Fuzz one codec from its seeds; the process ends with libFuzzer's own report."""
    import atheris  # noqa: PLC0415 (optional)

    atheris.instrument_imports(include=["ingest"])

    def one(data: bytes) -> None:
        properties.judge(codec, data)

    with tempfile.TemporaryDirectory() as folder:
        for i, payload in enumerate(held[codec]):
            Path(folder, str(i)).write_bytes(payload)
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], folder, f"-runs={count}", "-max_len=4096"], one)
        atheris.Fuzz()
    sys.exit(0)
