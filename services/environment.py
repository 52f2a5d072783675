"""
Reading of `TONNE_*` settings from the environment, `.env`, or a secret's file.

An unknown name, or a secret given twice, is refused, as an ignored misspelt name could select the
wrong database.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values

from ingest.errors import InputError

PREFIX = "TONNE_"
METRICS_BIND = "127.0.0.1:9464"
_LAST_PORT = 65_535


class SettingsError(InputError):
    """A setting is unknown, contradictory or malformed."""


def split_bind(bind: str) -> tuple[str, int]:
    """
    Return host and port of `host:port` or `[v6]:port`.

    Raises
    ------
    SettingsError
        When `bind` has another form.
    """
    host, colon, port = bind.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise SettingsError(f"address {bind!r} must be host:port, such as 127.0.0.1:9464")
    return host.strip("[]"), int(port)


def one_setting(environ: Mapping[str, str], dotenv: Path, field: str) -> str | None:
    """
    Return one `TONNE_*` value, without loading all settings; None if not set.

    Parameters
    ----------
    environ : mapping
    dotenv : Path
        A `.env` file, which may be absent; the environment has priority.
    field : str
        Name in the settings, such as `metrics_bind`.
    """
    name = PREFIX + field.upper()
    return environ[name] if name in environ else dotenv_values(dotenv).get(name)


def read_environment(
    environ: Mapping[str, str], dotenv: Path, fields: Collection[str], secrets: Collection[str]
) -> dict[str, str]:
    """
    Return `TONNE_*` values by field name; the environment precedes the file.

    Parameters
    ----------
    environ : mapping
        The process environment.
    dotenv : Path
        A `.env` file; it may be absent and may hold other programs' names.
    fields, secrets : collection of str
        Names of settings, and which of them may also be `<NAME>_FILE`.

    Raises
    ------
    SettingsError
        On an unknown name, or a secret given both directly and as a file.
    """
    file = {name: value or "" for name, value in dotenv_values(dotenv).items()}
    known = {PREFIX + field.upper() for field in fields}
    known |= {f"{PREFIX}{field.upper()}_FILE" for field in secrets}
    values: dict[str, str] = {}
    for origin, source in ((str(dotenv), file), ("the environment", environ)):
        ours = {name: source[name] for name in source if name.upper().startswith(PREFIX)}
        _refuse_unknown(ours, known, origin)
        values |= _with_files(ours, origin, secrets)
    return values


def _refuse_unknown(names: Mapping[str, str], known: set[str], origin: str) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name.upper(), sorted(known), n=1)
            remedy = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
            raise SettingsError(f"{name} in {origin} is not a setting of tonne; {remedy}")


def _with_files(ours: Mapping[str, str], origin: str, secrets: Collection[str]) -> dict[str, str]:
    values = {}
    for name, value in ours.items():
        direct = name.removesuffix("_FILE")
        if direct == name or direct.removeprefix(PREFIX).lower() not in secrets:
            values[name.removeprefix(PREFIX).lower()] = value
            continue
        if direct in ours:
            raise SettingsError(f"{origin} sets both {direct} and {name}; remove one of them")
        try:
            content = Path(value).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{name}={value} in {origin} cannot be read: {error}; correct the value"
            ) from error
        values[direct.removeprefix(PREFIX).lower()] = content
    return values
