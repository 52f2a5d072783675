"""Command `tonne verify`: verifies a statement or an evidence pack without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import click

from ingest.errors import InputError
from ingest.heap import keep_freed
from mrv import verify as checks
from mrv.packs import Budget
from mrv.packs.pack import Pack
from mrv.packs.reader import opened_pack
from mrv.signatures import canonical
from mrv.verify.reliance import WAIVERS
from mrv.verify.report import STATES
from mrv.verify.subject import (
    given,
    own_authorities,
    own_keys,
    own_meter_keys,
    own_policy,
    time_of_check,
)
from services.cli import FILE, Choice, pack_budget
from services.cli.output import bar, steps


@click.command()
@click.argument("path", metavar="PATH|URL")
@click.option(
    "--keys",
    "keys_file",
    type=FILE,
    help="Trusted keys: a programme's trust root, or public keys as `tonne keys export` writes "
    "them.",
)
@click.option(
    "--status",
    "status_file",
    type=FILE,
    help="The project's status list, which states whether the statement is valid; "
    "lists in the file of --keys are also used.",
)
@click.option(
    "--policy",
    "policy_file",
    type=FILE,
    help="Witnesses that must have cosigned the log's head (c2sp.org/tlog-policy), in addition to "
    "those in the file of --keys.",
)
@click.option(
    "--authorities",
    "authorities_file",
    type=FILE,
    help="Trusted time-stamp authorities: JSON, or their certificates in PEM; they replace "
    "those of a trust root.",
)
@click.option(
    "--meter-keys",
    "meter_keys_file",
    type=FILE,
    help="Public keys of meters and gateways, from their labels or a manufacturer's list: one "
    "line `NAME KEY` each, by serial number or id. They replace the registry's keys.",
)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    type=Choice((*STATES[:-1], *WAIVERS)),
    help=("Accept this state or missing guarantee (docs/verify.md); repeatable. Default: none."),
)
@click.option(
    "--at",
    "moment",
    metavar="TIME",
    help="Time for which validity is checked (RFC 3339); default: now.",
)
@click.option(
    "--large",
    is_flag=True,
    help="Accept a pack above the usual size, if you know its creator; it needs more memory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(
    path: str,
    keys_file: Path | None,
    status_file: Path | None,
    policy_file: Path | None,
    authorities_file: Path | None,
    meter_keys_file: Path | None,
    accepted: tuple[str, ...],
    moment: str | None,
    *,
    large: bool,
    as_json: bool,
) -> None:
    """
    Verify PATH, an evidence pack (folder or zip) or a statement's file, without a server.

    Signatures, log receipt and digests are checked, and all intervals and the emission reductions
    are recalculated from the raw readings. Exit status 0 if an auditor can rely on the statement:
    issued, verified by another organisation, signed by trusted keys, its days sealed before, and
    neither superseded nor revoked since. --accept lowers this requirement. Exit status 1 if a check
    fails, 4 if the pack is consistent but incomplete; the last lines then name what is missing and
    the option that supplies it.

    A URL of the API (https://HOST/v1/statements/ID) is downloaded first, with the token
    in TONNE_API_TOKEN.

    \b
    Example:
      tonne verify pack --keys trusted.json --status status.json
      tonne verify pack.zip --keys trusted.json --accept verified
    """
    keep_freed()
    at = time_of_check(moment)
    trusted = None if keys_file is None else own_keys(str(keys_file), path, at)
    if trusted is not None and keys_file is not None:
        _check_not_older(keys_file)
    status = None if status_file is None else given(str(status_file), "--status")
    policy = None if policy_file is None else own_policy(str(policy_file), path)
    named = authorities_file
    rule = None if named is None else own_authorities(str(named), path)
    meters = None if meter_keys_file is None else own_meter_keys(str(meter_keys_file), path)
    with (
        _pack(path, pack_budget(large=large)) as pack,
        bar("verifying", len(checks.STEPS)) as progress,
    ):
        report = checks.verify(
            pack, trusted, status, at=at, accept=accepted, policy=policy, authorities=rule,
            meter_keys=meters, begun=steps(progress, "verifying"),
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(checks.lines(report)))
    click.get_current_context().exit(report.exit_code)


def _check_not_older(file: Path) -> None:
    """Refuse a trust root older than the pinned one."""
    data = given(str(file), "--keys")
    if "signed" not in canonical.parse_object(data):
        return
    from services.issuer import trust  # noqa: PLC0415 - only for a trust root
    from services.settings import Settings  # noqa: PLC0415 - the same

    try:
        trust.check_not_older(Settings().home, data)
    except InputError as error:
        raise InputError(f"--keys {file}: {error}") from error


@contextmanager
def _pack(path: str, budget: Budget) -> Iterator[Pack]:
    if not path.startswith(("http://", "https://")):
        if not Path(path).exists():
            raise InputError(f"{path} does not exist; pass a pack's folder or zip file, or a URL")
        with opened_pack(path, budget) as pack:
            yield pack
        return
    with (
        TemporaryDirectory(prefix="tonne-verify-") as folder,
        opened_pack(_downloaded(path, Path(folder) / "pack.zip", budget.download), budget) as pack,
    ):
        yield pack


def _downloaded(url: str, out: Path, limit: int) -> Path:
    """Return the path of a pack downloaded from the API; the verification uses no network."""
    from services.api.client import Client  # noqa: PLC0415 - loads the HTTP client
    from services.settings import Settings  # noqa: PLC0415 - only for the token

    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError for an invalid port
    except ValueError as error:
        raise InputError(
            f"{url} is not a URL: {error}; pass https://HOST/v1/statements/ID"
        ) from error
    base, separator, rest = parts.path.partition("/v1/statements/")
    name = rest.removesuffix("/evidence").strip("/")
    if not separator or not name or "/" in name:
        raise InputError(f"{url} is not a URL of a statement; pass https://HOST/v1/statements/ID")
    with Client(f"{parts.scheme}://{parts.netloc}{base}", Settings().api_token) as client:
        return client.evidence(name, out, limit)
