"""Files of deploy/, and the settings, commands and files that they name."""

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import yaml

from services.cli.__main__ import main
from services.settings import SECRETS, WORDS, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
# a tag that names a release to its patch, and so does not move to another one
PINNED = re.compile(r"^[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z0-9.]+)?(@sha256:[0-9a-f]{64})?$")
KNOWN = {f"TONNE_{name.upper()}" for name in Settings.model_fields} | {
    f"TONNE_{name.upper()}_FILE" for name in (*SECRETS, *WORDS)
}


def read(path: Path) -> list[Any]:
    """
    Return the documents of a YAML file, by the parser in C, since every
    test process reads them.
    """
    return list(yaml.load_all(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))


def accept(words: list[str]) -> None:
    """Parse a command line without running it; raises if it would be rejected."""
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group) and (words or not command.invoke_without_command):
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"tonne has no command {name!r}"
        command = found
    command.make_context(command.name, list(words))


def unknown_settings(environment: dict[str, object]) -> set[str]:
    """Return `TONNE_*` names that no process has."""
    return {name for name in environment if name.startswith("TONNE_")} - KNOWN
