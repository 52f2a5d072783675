"""
`python -m mrv.verify`: the verification of `tonne verify` without a server installation.

It needs numpy, pyarrow, cryptography, msgspec, rfc8785, and tzdata if the system has no time
zones.  Exit codes are those of `tonne verify`.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from ingest.errors import InputError
from ingest.heap import keep_freed
from mrv.packs import LARGE, USUAL
from mrv.packs.reader import opened_pack
from mrv.verify.reliance import WAIVERS
from mrv.verify.report import STATES, lines, plain
from mrv.verify.steps import verify
from mrv.verify.subject import (
    given,
    own_authorities,
    own_keys,
    own_meter_keys,
    own_policy,
    time_of_check,
)

_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the file or folder of the arguments; return the exit code."""
    keep_freed()
    options = _parser().parse_args(arguments)
    try:
        at = time_of_check(options.at)
        trusted = None if options.keys is None else own_keys(options.keys, options.path, at)
        status = None if options.status is None else given(options.status, "--status")
        policy = None if options.policy is None else own_policy(options.policy, options.path)
        named = options.authorities
        rule = None if named is None else own_authorities(named, options.path)
        meters = (
            None if options.meter_keys is None else own_meter_keys(options.meter_keys, options.path)
        )
        with opened_pack(options.path, LARGE if options.large else USUAL) as pack:
            report = verify(
                pack, trusted, status, at=at, accept=options.accept, policy=policy,
                authorities=rule, meter_keys=meters,
            )  # fmt: skip
    except (InputError, OSError) as error:
        print(f"mrv.verify: {plain(str(error))}", file=sys.stderr)  # noqa: T201 - a command
        return _INPUT
    printed = [json.dumps(report.to_json(), indent=2, ensure_ascii=False)] if options.json else None
    print(*(printed or lines(report)), sep="\n")  # noqa: T201 - a command
    return report.exit_code


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m mrv.verify", description="Check an evidence pack, offline.")
    parser.add_argument("path", help="a pack's folder or zip file, or a statement's file")
    parser.add_argument(
        "--keys",
        help="file of the keys that you trust: a trust root, or a keyring; without it, the pack is"
        " compared with its own keys only",
    )
    parser.add_argument(
        "--policy", help="file of the witnesses that must have cosigned (C2SP tlog-policy)"
    )
    parser.add_argument(
        "--authorities", help="file of trusted time-stamp authorities: JSON, or PEM certificates"
    )
    parser.add_argument(
        "--meter-keys", help="file of keys of meters and gateways: a line NAME KEY for each"
    )
    parser.add_argument(
        "--status", help="file of the project's status list; default: that of --keys, if any"
    )
    parser.add_argument(
        "--accept",
        action="append",
        default=[],
        choices=(*STATES[:-1], *WAIVERS),
        help="accept a statement in this state, or without this evidence (docs/verify.md); default:"
        " only an issued statement with all evidence; may be repeated",
    )
    parser.add_argument(
        "--at", help="time for which validity is checked, RFC 3339 with offset; default: now"
    )
    parser.add_argument("--large", action="store_true", help="accept a pack above the usual size")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
