"""`tonne trust`: whom a programme names, as a signed and versioned file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from ingest.errors import InputError
from mrv.signatures.keyfile import read_keyring
from mrv.signatures.proof_form import time_of
from mrv.signatures.trust_root import TrustRoot, read_root, sign_root, write_root
from services.clock import now_us
from services.issuer import keys as key_files
from services.issuer import trust as kept
from services.settings import Settings

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_out = click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")


@click.group()
def trust() -> None:
    """
    Say whom a programme trusts, and take what it says from version to version.

    A trust root names operators, verifiers with their accreditation, logs and witnesses.
    The programme's own keys sign it, as many as its threshold asks for; the next version
    is signed by the old ones and by the new ones. `tonne verify --keys` takes the file.

    \b
    Example:
      tonne keys create --role programme --name secretariat --no-enroll
      tonne trust create --programme "Hai Phong AIM-LCS" --keys ring.json --root secretariat \\
        --expires 2027-06-30T00:00:00Z --out trust-root.json
      tonne trust sign trust-root.json --key secretariat
      tonne trust pin trust-root.json
    """


@trust.command()
@click.option("--programme", required=True, help="Whose word it is.")
@click.option("--keys", "ring", required=True, type=_file,
              help="Keyring of whom it names, with their bounds.")  # fmt: skip
@click.option("--root", "roots", required=True, multiple=True, metavar="NAME|FILE",
              help="A root key, by name, or a file of its public part; repeatable.")  # fmt: skip
@click.option("--threshold", type=click.IntRange(1), default=1, show_default=True,
              help="How many root keys have to sign.")  # fmt: skip
@click.option("--version", type=click.IntRange(1), default=1, show_default=True,
              help="One more than that of the file that it follows.")  # fmt: skip
@click.option("--expires", required=True, metavar="T", help="RFC 3339.")
@_out
def create(
    programme: str,
    ring: Path,
    roots: tuple[str, ...],
    threshold: int,
    version: int,
    expires: str,
    out: Path,
) -> None:
    """
    Write a trust root, to be signed.

    \b
    Example:
      tonne trust create --programme "Hai Phong AIM-LCS" --keys ring.json --root secretariat \\
        --expires 2027-06-30T00:00:00Z --out trust-root.json
    """
    time_of(expires, "--expires")
    multikeys = tuple(key for root in roots for key in _root_keys(root))
    keys = read_keyring(ring.read_bytes())
    made = TrustRoot(programme, version, expires, multikeys, threshold, keys)
    out.write_bytes(write_root(made))
    click.echo(f"{out}: version {version}, {threshold} of {len(multikeys)} root keys have to sign")


def _root_keys(root: str) -> list[str]:
    path = Path(root)
    if path.is_file():
        return [key.multikey for key in read_keyring(path.read_bytes())]
    return [key_files.load(Settings().home, root)[1].multikey]


@trust.command()
@click.argument("file", type=_file)
@click.option("--key", "name", required=True, metavar="N", help="Your root key, by name.")
def sign(file: Path, name: str) -> None:
    """
    Add a root key's signature to FILE.

    \b
    Example:
      tonne trust sign trust-root.json --key secretariat
    """
    key, holder = key_files.load(Settings().home, name)
    if holder.role != "programme":
        raise InputError(f"{name!r} is a key of a {holder.role}; a programme's key signs a root")
    file.write_bytes(sign_root(file.read_bytes(), key))
    click.echo(f"{file}: signed by {name}")


@trust.command()
@click.argument("file", type=_file)
def pin(file: Path) -> None:
    """
    Keep FILE as the trust root here; a later one must follow from the one that is kept.

    From then on verifiers are enrolled as it names them, and no others.

    \b
    Example:
      tonne trust pin trust-root.json
    """
    root = kept.pin(Settings().home, file.read_bytes())
    click.echo(f"version {root.version} of {root.programme} is kept, until {root.expires}")


@trust.command()
@click.argument("file", type=_file)
def show(file: Path) -> None:
    """
    Show whom FILE names, once its signatures hold.

    \b
    Example:
      tonne trust show trust-root.json
    """
    root = read_root(file.read_bytes(), datetime.fromtimestamp(now_us() / 1e6, UTC))
    click.echo(f"{root.programme}, version {root.version}, until {root.expires}")
    click.echo(f"{root.threshold} of {len(root.root_keys)} root keys sign the next one")
    for key in root.keys:
        of = key.bounds.organisation or "no organisation named"
        projects = ", ".join(key.bounds.projects or ()) or "any project"
        click.echo(f"{key.role:<9} {key.name:<20} {key.multikey}  {of}; {projects}")
