"""Payloads selected by the branches that they reach, with atheris (dependency group `fuzz`)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ingest"], enable_loader_override=False):
    from tests.fuzz import properties, seeds


def main(codec: str, count: int) -> None:
    """Fuzz one codec from its seeds; the process ends with libFuzzer's report."""
    with tempfile.TemporaryDirectory() as folder:
        for i, payload in enumerate(seeds.gather()[codec]):
            Path(folder, str(i)).write_bytes(payload)
        options = [sys.argv[0], folder, f"-runs={count}", "-max_len=4096", "-timeout=300"]
        atheris.Setup(options, lambda data: properties.judge(codec, data) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
