"""
`python -m mrv.verify`: the check of `tonne verify`, for who installs no server.

It needs numpy, pyarrow, cryptography, msgspec, rfc8785, and tzdata where the system has
no time zones.  Exit codes are those of `tonne verify`.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import TYPE_CHECKING

from ingest.errors import InputError
from mrv.packs.reader import read_file, read_pack
from mrv.signatures.keyfile import read_keyring
from mrv.verify.report import lines
from mrv.verify.steps import verify

if TYPE_CHECKING:
    from collections.abc import Sequence

_DONE, _FALSE, _INPUT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the arguments name; return the exit code."""
    parser = ArgumentParser("python -m mrv.verify", description="Check an evidence pack, offline.")
    parser.add_argument("path", help="a pack's folder, or a statement's file")
    parser.add_argument("--keys", help="public keys that you trust, as `tonne keys export` writes")
    parser.add_argument("--status", help="the project's status list")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args(arguments)
    try:
        trusted = read_keyring(read_file(asked.keys)) if asked.keys else ()
        status = read_file(asked.status) if asked.status else None
        report = verify(read_pack(asked.path), trusted, status)
    except (InputError, OSError) as error:
        print(f"mrv.verify: {error}", file=sys.stderr)  # noqa: T201 - a command
        return _INPUT
    shown = [json.dumps(report.to_json(), indent=2, ensure_ascii=False)] if asked.json else None
    print(*(shown or lines(report)), sep="\n")  # noqa: T201 - a command
    return _DONE if report.ok else _FALSE


if __name__ == "__main__":
    raise SystemExit(main())
