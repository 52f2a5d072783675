"""Command `tonne trust`: a programme's trust root, a signed and versioned file of trusted keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import yaml

from ingest.errors import InputError
from mrv.log.witness import read_policy
from mrv.parameters import ASKABLE, USUAL, Grade, RequiredGrades, required_of
from mrv.signatures.authorities import read_authorities
from mrv.signatures.data_integrity import time_of
from mrv.signatures.keys import read_keyring
from mrv.signatures.trust_root import IssueRule, TrustRoot, read_root, sign_root, write_root
from services.cli import FILE, Group, json_option
from services.cli.output import print_json, print_result, table
from services.clock import now_us
from services.issuer import keys as key_files
from services.issuer import trust as kept
from services.issuer.trust import signed_rows
from services.registry.files import read_files
from services.settings import Settings

_out = click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")


@click.group(cls=Group)
def trust() -> None:
    """
    Create, sign and pin a programme's trust root: the keys that the programme trusts.

    A trust root names operators, verifiers with their accreditation, logs and witnesses. It is
    signed by the required number of the programme's root keys; the next version is signed by old
    and new root keys. `tonne verify --keys` accepts the file.

    \b
    Example:
      tonne keys create --role programme --name secretariat --no-enroll
      tonne trust create --programme "City programme" --keys ring.json --root secretariat \\
        --expires 2027-06-30T00:00:00Z --out trust-root.json
      tonne trust sign trust-root.json --key secretariat
      tonne trust pin trust-root.json
    """


@trust.command()
@click.option("--programme", required=True, help="Name of the programme.")
@click.option(
    "--keys",
    "ring",
    required=True,
    type=FILE,
    help="Keyring of the trusted keys, with their limits.",
)
@click.option("--root", "roots", required=True, multiple=True, metavar="NAME|FILE",
              help="Root key, by name or as a file with its public part; repeatable.")  # fmt: skip
@click.option(
    "--threshold", type=click.IntRange(1), default=1, help="Number of root keys that must sign."
)
@click.option(
    "--version",
    type=click.IntRange(1),
    default=1,
    help="Version: one above that of the previous file.",
)
@click.option(
    "--expires", required=True, metavar="TIME", help="End of validity, RFC 3339 with offset."
)
@click.option(
    "--issue-signatures",
    type=click.IntRange(2, 9),
    metavar="N",
    help="Number of operators who must approve an issue; default: one.",
)
@click.option(
    "--issue-since",
    metavar="TIME",
    help=(
        "Require these approvals only for periods that end after this time (RFC 3339); "
        "default: for all periods."
    ),
)
@click.option(
    "--timestamps",
    "stampers",
    type=FILE,
    help=(
        "JSON file of time-stamp authorities and the required number of stamps; default: no"
        " stamps required."
    ),
)
@click.option(
    "--log-policy",
    "policy",
    type=FILE,
    help="File of required witnesses (c2sp.org/tlog-policy); default: no witness required.",
)
@click.option(
    "--quantities",
    type=click.Choice(ASKABLE),
    default=USUAL.quantities,
    show_default=True,
    help="Minimum grade of evidence for each quantity.",
)
@click.option(
    "--parameters",
    type=click.Choice(ASKABLE),
    default=USUAL.parameters,
    show_default=True,
    help="Minimum grade for an entered value on which more than --above depends.",
)
@click.option(
    "--above",
    metavar="PERCENT",
    default=USUAL.above_percent,
    show_default=True,
    help="Largest share of the reduction that may depend on values below the grade of "
    "--parameters.",
)
@_out
@json_option
def create(  # noqa: PLR0917 - options of one command
    programme: str,
    ring: Path,
    roots: tuple[str, ...],
    threshold: int,
    version: int,
    expires: str,
    issue_signatures: int | None,
    issue_since: str | None,
    stampers: Path | None,
    policy: Path | None,
    quantities: Grade,
    parameters: Grade,
    above: str,
    *,
    out: Path,
    as_json: bool,
) -> None:
    """
    Write an unsigned trust root of a programme.

    \b
    Example:
      tonne trust create --programme "City programme" --keys ring.json --root secretariat \\
        --expires 2027-06-30T00:00:00Z --out trust-root.json
    """
    time_of(expires, "--expires")
    multikeys = tuple(key for root in roots for key in _root_keys(root))
    keys = read_keyring(ring.read_bytes())
    if issue_since is not None and issue_signatures is None:
        raise InputError("--issue-since has no effect without --issue-signatures; pass both")
    since = issue_since or "1970-01-01T00:00:00Z"
    rule = None if issue_signatures is None else IssueRule(issue_signatures, since)
    stamps = None if stampers is None else read_authorities(stampers.read_bytes())
    policy_text = None if policy is None else policy.read_text("utf-8")
    if policy_text is not None:
        read_policy(policy_text.encode())
    try:
        required = required_of(RequiredGrades(quantities, parameters, above).to_json())
    except ValueError as error:
        raise InputError(f"--above {above}: {error}") from error
    made = TrustRoot(
        programme, version, expires, multikeys, threshold, keys, rule, stamps, policy_text,
        None if required == USUAL else required,
    )  # fmt: skip
    out.write_bytes(write_root(made))
    message = f"{out}: version {version}, {threshold} of {len(multikeys)} root keys must sign"
    done = {"file": out, "version": version, "threshold": threshold, "root_keys": multikeys}
    print_result(done, message, as_json=as_json)


def _root_keys(root: str) -> list[str]:
    path = Path(root)
    if path.is_file():
        return [key.multikey for key in read_keyring(path.read_bytes())]
    return [key_files.load(Settings().home, root)[1].multikey]


@trust.command()
@click.argument("file", type=FILE)
@click.option("--key", "name", required=True, metavar="N", help="Your root key, by name.")
@click.option(
    "--after",
    "before",
    type=FILE,
    help="Previous version; its root keys must sign FILE too. Default: the stored version.",
)
@json_option
def sign(file: Path, name: str, before: Path | None, *, as_json: bool) -> None:
    """
    Add a root key's signature to FILE.

    The next version needs enough signatures of the old root keys and enough of its own; a root key
    that is removed signs it as well.

    \b
    Example:
      tonne trust sign trust-root.json --key secretariat
      tonne trust sign trust-root-2.json --key secretariat --after trust-root.json
    """
    key, holder = key_files.load(Settings().home, name)
    if holder.role != "programme":
        raise InputError(
            f"{name!r} is a key of a {holder.role}; only a programme's key signs a trust root"
        )
    old = kept.kept_trust_root(Settings().home) if before is None else before.read_bytes()
    file.write_bytes(sign_root(file.read_bytes(), key, old))
    print_result({"file": file, "signed_by": name}, f"{file}: signed by {name}", as_json=as_json)


@trust.command()
@click.argument("file", type=FILE)
@click.option("--key", "name", required=True, metavar="N", help="Your root key, by name.")
@_out
@json_option
def accept(file: Path, name: str, out: Path, *, as_json: bool) -> None:
    """
    Sign the acceptances of factors in a registry FILE, together with the factors.

    OUT is a registry file of the signed acceptances, to be imported after FILE. The factor's value
    is signed too: another value under the same name is rejected.

    \b
    Example:
      tonne trust accept more.yaml --key secretariat --out accepted.yaml
    """
    key, holder = key_files.load(Settings().home, name)
    if holder.role != "programme":
        raise InputError(
            f"key {name!r} has role {holder.role}; a programme's key accepts factors: name"
            f" it by --key"
        )
    rows = signed_rows(read_files([file]), file.name, key)
    out.write_text(yaml.safe_dump({"acceptances": rows}, sort_keys=False), "utf-8")
    factors = [row["id"] for row in rows]
    done = {"file": out, "signed_by": key.public_multikey, "factors": factors}
    print_result(done, f"{out}: {', '.join(factors)}, signed by {name}", as_json=as_json)


@trust.command()
@click.argument("file", type=FILE)
@json_option
def pin(file: Path, *, as_json: bool) -> None:
    """
    Store FILE as the trust root; a later version must continue the stored one.

    From then on only the verifiers it names can be enrolled.

    \b
    Example:
      tonne trust pin trust-root.json
    """
    root = kept.pin(Settings().home, file.read_bytes())
    message = f"version {root.version} of {root.programme} is stored, valid until {root.expires}"
    done = {"programme": root.programme, "version": root.version, "expires": root.expires}
    print_result(done, message, as_json=as_json)


@trust.command()
@click.argument("file", type=FILE)
@json_option
def show(file: Path, *, as_json: bool) -> None:
    """
    Show the keys in FILE, if its signatures are valid.

    \b
    Example:
      tonne trust show trust-root.json
    """
    root = read_root(file.read_bytes(), datetime.fromtimestamp(now_us() / 1e6, UTC))
    if as_json:
        print_json(
            {
                "programme": root.programme,
                "version": root.version,
                "expires": root.expires,
                "threshold": root.threshold,
                "root_keys": root.root_keys,
                "issue": None if root.issue is None else root.issue._asdict(),
                "timestamps": None if root.timestamps is None else root.timestamps.to_json(),
                "log_policy": root.log_policy,
                "keys": [key.to_json() for key in root.keys],
            }
        )
        return
    click.echo(f"{root.programme}, version {root.version}, until {root.expires}")
    click.echo(f"{root.threshold} of {len(root.root_keys)} root keys must sign the next version")
    if root.issue is not None:
        click.echo(
            f"{root.issue.threshold} operators must approve an issue, for periods "
            f"that end after {root.issue.since}"
        )
    if root.timestamps is not None:
        names = ", ".join(authority.name for authority in root.timestamps.authorities)
        click.echo(
            f"{root.timestamps.threshold} of the time-stamp authorities {names} stamp statements of"
            f" periods that end after {root.timestamps.since}"
        )
    if root.log_policy is not None:
        policy = read_policy(root.log_policy.encode())
        click.echo(f"cosigned by {policy.lacks(()) or 'no witness, by its policy'}")
    rows = [
        (key.role, key.name, key.multikey, key.bounds.organisation,
         ", ".join(key.bounds.projects or ()) or "any")
        for key in root.keys
    ]  # fmt: skip
    head = ("role", "name", "key", "organisation", "projects")
    click.echo(table(head, rows, empty="it names no witness"))
