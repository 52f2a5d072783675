"""`tonne verify`: a statement or an evidence pack, offline."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mrv import verify as checks
from mrv.packs.reader import read_pack
from mrv.signatures.keyfile import read_keyring
from services.cli.exit_codes import Exit
from services.cli.output.progress import bar


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--keys", "keys_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Public keys that you trust, as `tonne keys export` writes them.",
)  # fmt: skip
@click.option(
    "--status", "status_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The project's status list: whether the statement still counts.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(path: Path, keys_file: Path | None, status_file: Path | None, *, as_json: bool) -> None:
    """
    Check PATH, an evidence pack or a statement's file, without any server.

    Signatures, log receipt and digests are checked, and all intervals and the
    whole account are computed again from the raw readings. Ends with 1 where a
    step fails.

    \b
    Example:
      tonne verify pack --keys trusted.json
    """
    trusted = () if keys_file is None else read_keyring(keys_file.read_bytes())
    status = None if status_file is None else status_file.read_bytes()
    with bar(f"verifying {path}"):
        report = checks.verify(read_pack(path), trusted, status)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(checks.lines(report)))
    click.get_current_context().exit(Exit.DONE if report.ok else Exit.FALSE)
