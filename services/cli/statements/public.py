"""Commands `tonne export public` and `check-public`: a statement without its hidden texts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest.errors import InputError
from mrv.errors import SignatureError, VerificationError
from mrv.exports.public import CATEGORIES
from mrv.signatures import canonical
from mrv.signatures.keys import read_own_keyring
from mrv.verify.subject import own_keys
from services.cli import FILE, NEW_FILE, Choice, json_option, pack_budget
from services.cli.output import Exit, bar, print_result, write_folder
from services.cli.server_options import database_url
from services.issuer import keys
from services.issuer.export_files import zipped
from services.settings import Settings
from services.store.postgres.pool import connect
from services.store.statements import evidence

if TYPE_CHECKING:
    from mrv.report import Facts


out_option = click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="New folder to write."
)
keys_option = click.option(
    "--keys",
    "keys_file",
    type=FILE,
    help="File of trusted public keys, for a pack; default: its signers are not checked.",
)


@click.command("public")
@click.argument("target", metavar="ID|PACK")
@click.option("--key", "key_name", required=True, metavar="N", help="Operator's key, by name.")
@click.option(
    "--show",
    "categories",
    multiple=True,
    type=Choice(tuple(CATEGORIES)),
    help="Category to show; repeatable. Default: none.",
)
@click.option(
    "--hide",
    "more",
    multiple=True,
    metavar="FIELD",
    help=("Additional field of the documents to hide, such as detail; repeatable. Default: none."),
)
@click.option(
    "--disclosures",
    type=NEW_FILE,
    help=("File for the disclosures, which open hidden texts; keep it secret. Default: no file."),
)
@keys_option
@out_option
@click.option("--publish", is_flag=True, help="Also publish it in the API and the console.")
@json_option
def public_(
    target: str,
    key_name: str,
    categories: tuple[str, ...],
    more: tuple[str, ...],
    disclosures: Path | None,
    keys_file: Path | None,
    out: Path,
    *,
    publish: bool,
    as_json: bool,
) -> None:
    """
    Write the public version of an issued statement: document, PDF, workbook, receipt.

    Hides meters, serial numbers, makers, certificates, persons, places and documents; each is
    replaced by a mark with its salted digest. Readings are not included. The file of --disclosures
    allows its holder to restore the signed original. With --publish the database stores it, and the
    API serves it to everyone.

    \b
    Example:
      tonne export public TN-roof-1-20260101-20260201-1 --key plant --out public \\
        --disclosures disclosures.json
    """
    from services.issuer.report import public_twin  # noqa: PLC0415 - loads report's parts

    if disclosures is not None and (
        disclosures.exists() or out.absolute() in disclosures.absolute().parents
    ):
        raise InputError(
            f"--disclosures {disclosures}: name a new file that is not in the public folder"
        )
    signer = keys.load(Settings().home, key_name)
    if signer[1].role != "operator":
        raise InputError(
            f"--key {key_name} is a key of the role {signer[1].role}; pass a key of the operator"
        )
    from services.issuer.documents import Signer  # noqa: PLC0415

    try:
        facts, receipt = _facts(target, keys_file)
    except VerificationError as error:
        click.echo(f"tonne: {error}", err=True)
        click.get_current_context().exit(Exit.FALSE)
    hidden = [name for name in CATEGORIES if name not in categories]
    with bar("writing the public version"):
        created = datetime.now(UTC)
        made = public_twin(facts, receipt, Signer(*signer), created, hidden, more)
    if disclosures is not None:
        _keep(disclosures, made.disclosures)
    write_folder(out, made.files)
    if publish:
        _publish(facts.name, created, signer[1].multikey, made.files)
    done = {"folder": out, "statement": facts.name, "hidden": made.hidden, "categories": hidden,
            "published": publish}  # fmt: skip
    text = f"{out}: {made.hidden} texts hidden, {len(made.files)} files"
    print_result(done, f"{text}, published" if publish else text, as_json=as_json)


@click.command("check-public")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--keys", "keys_file", required=True, type=FILE, help="File of trusted public keys.")
@click.option(
    "--disclosures",
    type=FILE,
    help="File of disclosures; default: hidden texts are not checked against the original.",
)
@json_option
def check_public_(
    folder: Path, keys_file: Path, disclosures: Path | None, *, as_json: bool
) -> None:
    """
    Verify a public version by its signature and, with disclosures, by the original.

    Exit status 4 without disclosures: hidden texts are then confirmed by the operator's signature
    only.

    \b
    Example:
      tonne export check-public public --keys trusted.json --disclosures disclosures.json
    """
    from services.issuer.report import check_public  # noqa: PLC0415

    try:
        data = (folder / "public.json").read_bytes()
    except OSError as error:
        raise InputError(f"{folder}: {error}; name the folder of a public version") from None
    try:
        opened = None if disclosures is None else json.loads(disclosures.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"--disclosures {disclosures}: {error}; name the file that `tonne export public "
            "--disclosures` wrote"
        ) from None
    try:
        document = canonical.parse_object(data)
        trusted = read_own_keyring(keys_file.read_bytes())[0]
        holder, originals = check_public(document, trusted, opened)
    except (SignatureError, KeyError, TypeError) as error:
        click.echo(f"tonne: {error}", err=True)
        click.get_current_context().exit(Exit.FALSE)
    subject = document["credentialSubject"]
    done = {
        "statement": subject["id"],
        "signed_by": holder.name,
        "hidden": len(subject["redactions"]),
        "originals": "restored" if originals else "not checked",
    }
    lines = [f"{subject['id']}: signed by {holder.name}, {len(subject['redactions'])} texts hidden"]
    lines.append(
        "originals: restored, with the proofs of operator and verifier"
        if originals
        else "originals: not checked; ask the operator for the file of --disclosures"
    )
    print_result(done, "\n".join(lines), as_json=as_json)
    if originals is None:
        click.get_current_context().exit(Exit.NOT_ENOUGH)


def _facts(target: str, keys_file: Path | None) -> tuple[Facts, str | None]:
    from mrv.packs.pack import RECEIPT  # noqa: PLC0415
    from mrv.packs.reader import read_pack  # noqa: PLC0415 - loads the Parquet reader
    from services.issuer.report import facts_of, facts_of_pack  # noqa: PLC0415
    from services.store.statements import transparency_log as log  # noqa: PLC0415

    if Path(target).exists():
        pack = read_pack(Path(target), pack_budget())
        trusted = None if keys_file is None else own_keys(str(keys_file), target, datetime.now(UTC))
        receipt = pack.files.get(RECEIPT)
        return facts_of_pack(pack, trusted), None if receipt is None else receipt.decode()
    with connect(database_url(), role="tonne_mrv", name="tonne export", autocommit=True) as conn:
        return facts_of(conn, target), log.receipt(conn, target)


def _publish(name: str, signed: datetime, multikey: str, files: Mapping[str, bytes]) -> None:
    archive = zipped(files)
    if len(archive) > evidence.LARGEST_BYTES:
        raise InputError(
            f"{name}: the public version has {len(archive)} bytes, and {evidence.LARGEST_BYTES} is"
            " the maximum for publication; transfer the folder in another way"
        )
    with connect(database_url(), role="tonne_mrv", name="tonne export") as conn:
        evidence.insert_public_version(conn, name, signed, multikey, archive)


def _keep(path: Path, data: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError as error:
        raise InputError(
            f"--disclosures {path} cannot be written: {error.strerror}; name another file"
        ) from error
