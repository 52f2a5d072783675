"""`tonne keys`: signing keys of operators and verifiers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click
from psycopg import Connection

from ingest.errors import InputError, RegistryError, ServerError
from mrv.errors import EnrolmentError
from mrv.signatures import canonical
from mrv.signatures.data_integrity import time_of
from mrv.signatures.key_bounds import Accreditation, KeyBounds
from mrv.signatures.keys import DistantKey, EnrolledKey, Role, public_multikey, write_keyring
from mrv.statement.states import check_named, unnamed
from services.cli import FILE, Choice, Group, json_option
from services.cli.output import print_result, table, time_text
from services.cli.server_options import METAVAR, database_url, moment_us
from services.clock import now_us
from services.issuer import keys as key_files
from services.issuer import trust
from services.settings import Settings, SettingsError
from services.store.postgres.pool import connect
from services.store.registry import require
from services.store.registry import signing_keys as enrolled


@click.group(cls=Group)
def keys() -> None:
    """
    Make, enrol and distribute signing keys (Ed25519).

    \b
    Example:
      tonne keys create --role operator --name plant --organisation "Plant Ltd"
      tonne keys create --role verifier --name auditor --organisation "Green Verify JSC" \\
        --accreditation ACC-017
      tonne keys export > trusted.json
    """


@keys.command()
@click.option("--role", type=Choice(get_args(Role)), required=True, help="Role of the key.")
@click.option("--name", required=True, help="Holder of the key; also the name of its file.")
@click.option("--no-enroll", is_flag=True, help="Do not enrol the key in the database.")
@click.option(
    "--organisation", help="Organisation of the holder; required for operators and verifiers."
)
@click.option(
    "--organisation-id",
    help=(
        "Number of the organisation in a public register (tax number, LEI, D-U-N-S), the "
        "same for all branches. Default: none."
    ),
)
@click.option(
    "--project",
    "projects",
    multiple=True,
    help="Project for which the key may sign; repeat the option for each. Default: all.",
)
@click.option(
    "--accreditation", metavar="ID", help="Accreditation of the verifier; required for verifiers."
)
@click.option(
    "--scope",
    multiple=True,
    metavar="METHODOLOGY",
    help="Methodology covered by the accreditation; repeatable. Default: all.",
)
@click.option(
    "--accredited-until", metavar="TIME", help="End of the accreditation (RFC 3339); default: none."
)
@click.option(
    "--pkcs11",
    "module",
    type=click.Path(exists=True, dir_okay=False),
    help="PKCS #11 module of the token that holds the secret; default: a file holds it.",
)
@click.option("--token", metavar="LABEL", help="With --pkcs11: label of the token.")
@click.option(
    "--token-key", metavar="LABEL", help="With --pkcs11: label of the key; default: NAME."
)
@click.option("--make", is_flag=True, help="With --pkcs11: generate the key in the token.")
@click.option(
    "--signer",
    "command",
    multiple=True,
    metavar="WORD",
    help=(
        "Command that signs with a key stored elsewhere; repeat the option for each word: "
        "--signer ssh --signer hsm. Default: none."
    ),
)
@click.option(
    "--public-key", type=FILE, help="With --signer: the public key, as PEM or as a Multikey."
)
@json_option
def create(
    role: Role,
    name: str,
    *,
    no_enroll: bool,
    organisation: str | None,
    organisation_id: str | None,
    projects: tuple[str, ...],
    accreditation: str | None,
    scope: tuple[str, ...],
    accredited_until: str | None,
    module: str | None,
    token: str | None,
    token_key: str | None,
    make: bool,
    command: tuple[str, ...],
    public_key: Path | None,
    as_json: bool,
) -> None:
    """
    Create a signing key; the secret is written to TONNE_HOME/keys, readable only by you.

    Organisation, projects and accreditation are part of the keyring entry, and `tonne verify`
    checks signatures against them: operator and verifier must not be of one organisation, and a key
    signs only for its projects. With TONNE_KEY_PASSPHRASE (or TONNE_KEY_PASSPHRASE_FILE) the secret
    is encrypted.

    With --pkcs11 the secret stays in a hardware or software token (PIN in TONNE_PKCS11_PIN or
    ..._FILE). With --signer an external command signs, such as the client of a key service: it
    reads the bytes on standard input and writes the 64 bytes of the Ed25519 signature to standard
    output.

    The public key is printed, and enrolled if the database can be reached.

    \b
    Example:
      tonne keys create --role operator --name plant --organisation "Plant Ltd" --project roof-1
      tonne keys create --role operator --name plant --organisation "Plant Ltd" --make \\
        --token plant --pkcs11 /usr/lib/softhsm/libsofthsm2.so
      tonne keys create --role operator --name plant --organisation "Plant Ltd" \\
        --public-key plant.pem --signer /usr/local/bin/kms-sign --signer key-17
    """
    home = Settings().home
    until = None if accredited_until is None else _whole_second(accredited_until)
    body = None if accreditation is None else Accreditation(accreditation, scope, None, until)
    bounds = KeyBounds(organisation, organisation_id, projects or None, body)
    if lacks := [f"--{option}" for option in unnamed(role, bounds)]:
        raise InputError(
            f"a key of role {role} needs {' and '.join(lacks)}: operator and verifier must be two "
            "organisations, and the verifier accredited"
        )
    if module is None and not command and not (make or token or token_key or public_key):
        made = key_files.create(home, name, role, bounds)
    else:
        multikey, signer = _elsewhere(module, token, token_key or name, command, public_key, make)
        made = key_files.adopt(home, EnrolledKey(name, role, multikey, bounds=bounds), signer)
    done = "not enrolled" if no_enroll else _try_enroll(home, made)
    path = home / "keys" / f"{name}.json"
    if as_json:
        click.echo(
            json.dumps({**made.to_json(), "file": str(path), "enrolled": done == "enrolled"})
        )
        return
    click.echo(made.multikey)
    click.echo(f"secret in {path}; {done}", err=True)


def _elsewhere(
    module: str | None,
    token: str | None,
    label: str,
    command: tuple[str, ...],
    public_key: Path | None,
    make: bool,
) -> tuple[str, dict[str, Any]]:
    """Return the public key and the reference of the external signer given by the options."""
    if module is not None and not command and token is not None:
        where = {"module": module, "token": token, "key": label}
        return key_files.public_key(where, make=make), {"pkcs11": where}
    if module is None and command and public_key is not None and not make:
        return public_multikey(public_key.read_bytes()), {"command": list(command)}
    raise InputError("use --pkcs11 with --token, or --signer with --public-key, but not both pairs")


def _try_enroll(home: Path, made: EnrolledKey) -> str:
    if made.role == "programme":
        return "not enrolled: it signs the programme's trust root with `tonne trust sign`"
    try:
        trust.check(home, [made])
        with _database() as conn:
            require(conn, "project", *(made.bounds.projects or ()))
            enrolled.enroll(conn, made)
    except (ServerError, SettingsError):
        return (
            f"not enrolled, as no database is set; later: tonne keys enroll {made.name}, "
            f"or send the file of `tonne keys public {made.name} --out FILE` to "
            "its operator"
        )
    except (EnrolmentError, RegistryError):
        # a key that could not be enrolled is deleted again
        (home / "keys" / f"{made.name}.json").unlink()
        raise
    return "enrolled"


@keys.command()
@click.argument("who")
@json_option
def enroll(who: str, *, as_json: bool) -> None:
    """
    Enrol a key: NAME of a key created here, or a FILE of public keys created elsewhere.

    If a programme's trust root is pinned (`tonne trust pin`), only the verifiers in it can be
    enrolled; its file can be given as FILE, too.

    \b
    Example:
      tonne keys enroll plant
      tonne keys enroll auditor-public.json
    """
    path = Path(who)
    public = trust.named(Settings().home, path.read_bytes()) if path.is_file() else _own(who)
    trust.check(Settings().home, public)
    for key in public:
        check_named(key)
    with _database() as conn, conn.transaction():
        for key in public:
            require(conn, "project", *(key.bounds.projects or ()))
            enrolled.enroll(conn, key)
    rows = [(key.role, key.name, key.multikey) for key in public]
    listing = table(("role", "name", "key"), rows, empty="the file contains no key")
    print_result([key.to_json() for key in public], listing, as_json=as_json)


def _own(name: str) -> tuple[EnrolledKey, ...]:
    return (key_files.load(Settings().home, name)[1],)


@keys.command()
@click.argument("name")
@click.option(
    "--from",
    "since",
    metavar=METAVAR,
    help="End of validity: a local day of the sites, or RFC 3339; default: now.",
)
@json_option
def revoke(name: str, since: str | None, *, as_json: bool) -> None:
    """
    End the validity of NAME's keys; later signatures are invalid.

    Earlier signatures remain valid; export the keys again for auditors.

    \b
    Example:
      tonne keys revoke plant
      tonne keys revoke plant --from 2026-03-01T00:00:00Z
    """
    with _database() as conn:
        at_us = now_us() if since is None else moment_us(conn, "--from", since)
        at = datetime.fromtimestamp(at_us / 1e6, UTC)
        ended = enrolled.revoke(conn, name, at)
    rows = [(key.role, key.name, key.multikey, time_text(at)) for key in ended]
    listing = table(("role", "name", "key", "until"), rows, empty="no key ended")
    print_result([{**key.to_json(), "validUntil": at} for key in ended], listing, as_json=as_json)
    _warn_of_lists(ended)


@keys.command()
@click.argument("name")
@json_option
def rotate(name: str, *, as_json: bool) -> None:
    """
    Replace NAME's key by a new one; the old key expires now, and its file is kept.

    For a log key, the log is closed with its last signed head, and a new log with a new name
    continues it. Also possible after `tonne keys revoke`. For a key in a token (PKCS #11), the
    new key is created in the same token, and the old one remains there.

    \b
    Example:
      tonne keys rotate plant
      tonne keys rotate tonne-log
    """
    home = Settings().home
    with _database() as conn:
        enrolled_keys = [
            enrolled_key for enrolled_key in enrolled.load(conn) if enrolled_key.key.name == name
        ]
        at = _second_after([enrolled_key.valid_from for enrolled_key in enrolled_keys])
        if any(enrolled_key.key.role == "log" for enrolled_key in enrolled_keys):
            made = key_files.rotate(conn, home, name, at)
            print_result({**made.to_json(), "closed": name}, made.multikey, as_json=as_json)
            click.echo(f"log {name} is closed; log {made.name} continues it", err=True)
            return
        key, holder = key_files.load(home, name)
        token = key_files.token_of(home, name)
        if isinstance(key, DistantKey) and token is None:
            raise InputError(
                f"a command signs for {name!r}, so the next key must be made where that "
                f"key is stored: `tonne keys revoke {name}`, then `tonne keys create` "
                "with another --name"
            )
        # the new key is created first, so that a refusal of the token leaves the old key unchanged
        following = None if token is None else key_files.next_in_token(token)
        ended = enrolled.revoke(conn, name, at)
        aside = key_files.retire(home, name, at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        if following is None:
            made = key_files.create(home, name, holder.role, holder.bounds)
        else:
            made = key_files.follow_in_token(home, holder, following)
        enrolled.enroll(conn, made)
    done = {**made.to_json(), "ended": at, "kept_in": aside}
    print_result(done, made.multikey, as_json=as_json)
    click.echo(f"the old key ended at {time_text(at)} and is stored in {aside}", err=True)
    _warn_of_lists(ended)


def _second_after(begun: Iterable[datetime]) -> datetime:
    """
    Return the current whole second; waits if a key became valid in it.

    A key must end after it began, and signatures have whole seconds.
    """
    begun = list(begun)
    end_s = time.monotonic() + 2
    while True:
        at = datetime.fromtimestamp(now_us() // 1_000_000, UTC)
        if all(start < at for start in begun) or time.monotonic() > end_s:
            return at
        time.sleep(0.05)


def _warn_of_lists(ended: Iterable[EnrolledKey]) -> None:
    if any(key.role == "operator" for key in ended):
        click.echo(
            "status lists signed by it are no longer sufficient: sign those of "
            "its projects again with `tonne statement status-list PROJECT --key "
            "NAME`",
            err=True,
        )


def _whole_second(text: str) -> str:
    moment = time_of(text, "--accredited-until").astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@keys.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """
    List the enrolled keys, and which secrets are stored on this machine.

    \b
    Example:
      tonne keys list
    """
    here = set(key_files.names(Settings().home))
    with _database() as conn:
        enrolled_keys = enrolled.load(conn)
    if as_json:
        rows = [
            {
                **enrolled_key.key.to_json(),
                "validFrom": enrolled_key.valid_from.isoformat(),
                "validUntil": enrolled_key.valid_until.isoformat()
                if enrolled_key.valid_until
                else None,
            }
            for enrolled_key in enrolled_keys
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    cells = [
        (enrolled_key.key.role, enrolled_key.key.name, enrolled_key.key.multikey,
         enrolled_key.key.valid_until,
         "yes" if enrolled_key.key.name in here and not enrolled_key.key.valid_until else "no")
        for enrolled_key in enrolled_keys
    ]  # fmt: skip
    head = ("role", "name", "key", "until", "secret here")
    click.echo(table(head, cells, empty="no key is enrolled; `tonne keys create` makes one"))


@keys.command()
@click.option("--name", "names", multiple=True, help="Only this holder; repeatable. Default: all.")
@click.option(
    "--status",
    "lists",
    multiple=True,
    type=FILE,
    help="Signed status list to include; repeatable. Default: none.",
)
@click.option("--out", type=click.Path(path_type=Path), help="File to write; default: print.")
def export(names: tuple[str, ...], lists: tuple[Path, ...], out: Path | None) -> None:
    """
    Write public keys as a file for `tonne verify --keys`.

    With --status the file also contains status lists, so that one file is enough; each list is
    verified by its own signature and expiry.

    \b
    Example:
      tonne keys export --out trusted.json
      tonne keys export --status status-roof-1.json --out trusted.json
    """
    kept = [canonical.parse_object(path.read_bytes()) for path in lists]
    with _database() as conn:
        selected_keys = [
            enrolled_key.key
            for enrolled_key in enrolled.load(conn)
            if not names or enrolled_key.key.name in names
        ]
    missing = set(names) - {key.name for key in selected_keys}
    if missing:
        raise InputError(
            f"no key of {', '.join(sorted(missing))} is enrolled; see `tonne keys list`"
        )
    _write(write_keyring(selected_keys, kept), out)


@keys.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="File to write; default: print.")
def public(name: str, out: Path | None) -> None:
    """
    Write the public part of a key created on this machine, without a database.

    The operator of the database enrols it with `tonne keys enroll FILE`. Send them the key's text
    through a separate channel (telephone, printed page) for comparison.

    \b
    Example:
      tonne keys public auditor --out auditor-public.json
    """
    _write(write_keyring(_own(name)), out)


def _write(data: bytes, out: Path | None) -> None:
    if out is None:
        click.echo(data.decode(), nl=False)
    else:
        out.write_bytes(data)


def _database() -> Connection:
    return connect(database_url(), role="tonne_mrv", name="tonne keys", autocommit=True)
