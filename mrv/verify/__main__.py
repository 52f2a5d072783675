"""
`python -m mrv.verify`: the check of `tonne verify`, for who installs no server.

It needs numpy, pyarrow, cryptography, msgspec, rfc8785, and tzdata where the system has
no time zones.  Exit codes are those of `tonne verify`.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingest.errors import InputError
from mrv.packs.reader import read_file
from mrv.packs.zipped import opened_pack
from mrv.signatures.proof_form import time_of
from mrv.signatures.trust_root import read_trusted
from mrv.verify.reliance import WAIVERS
from mrv.verify.report import STATES, lines
from mrv.verify.steps import verify

if TYPE_CHECKING:
    from collections.abc import Sequence

_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the arguments name; return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        at = datetime.now(UTC) if asked.at is None else time_of(asked.at, "--at")
        trusted = read_trusted(read_file(asked.keys), at) if asked.keys else None
        status = read_file(asked.status) if asked.status else None
        with opened_pack(asked.path) as pack:
            report = verify(pack, trusted, status, at=at, accept=asked.accept)
    except (InputError, OSError) as error:
        print(f"mrv.verify: {error}", file=sys.stderr)  # noqa: T201 - a command
        return _INPUT
    shown = [json.dumps(report.to_json(), indent=2, ensure_ascii=False)] if asked.json else None
    print(*(shown or lines(report)), sep="\n")  # noqa: T201 - a command
    return report.exit_code


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m mrv.verify", description="Check an evidence pack, offline.")
    parser.add_argument("path", help="a pack's folder or zip file, or a statement's file")
    parser.add_argument("--keys", help="whom you trust: a trust root, or a keyring")
    parser.add_argument("--status", help="the project's status list")
    parser.add_argument(
        "--accept", action="append", default=[], choices=(*STATES[:-1], *WAIVERS),
        help="a state that is enough for you, or a weakness that you take as it is",
    )  # fmt: skip
    parser.add_argument("--at", help="for which time you ask (RFC 3339); now where absent")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
