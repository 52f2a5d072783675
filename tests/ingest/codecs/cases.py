"""Golden cases of the codecs: `ingest/codecs/NAME/cases/*.json`."""

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

import ingest.codecs
from ingest import decode

FOLDER = Path(ingest.codecs.__path__[0])


@cache
def cases() -> dict[str, list[dict[str, Any]]]:
    """Return cases by codec; `bytes` is the payload, `file` its file."""
    found: dict[str, list[dict[str, Any]]] = {}
    for codec in decode.CODECS:
        folder = FOLDER / codec.recognises.__module__.rpartition(".")[2] / "cases"
        found[codec.name] = [_read(file) for file in sorted(folder.glob("*.json"))]
    return found


def _read(file: Path) -> dict[str, Any]:
    case = json.loads(file.read_text(encoding="utf-8"))
    held = case.get("payload_base64")
    case["bytes"] = base64.b64decode(held) if held else json.dumps(case["payload"]).encode()
    case["file"] = file.name
    return case
