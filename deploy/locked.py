# ruff: noqa: INP001 - a script, run by itself
"""
Print the part of requirements.lock that an installation needs, with its hashes.

    python deploy/locked.py kafka               # what tonne needs, and its extra `kafka`
    python deploy/locked.py --only hatchling    # one package and what it needs

The lock says behind each package what asked for it (`# via`); that is followed
backwards.  A package that is missed stops `pip install --require-hashes`, which
takes nothing that is not named.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"[A-Za-z0-9._-]+")


def asked_for(project: dict, extras: list[str]) -> set[str]:
    """Packages that pyproject.toml names itself, for these extras."""
    optional = project["optional-dependencies"]
    if unknown := set(extras) - set(optional):
        sys.exit(f"no extra {', '.join(sorted(unknown))}; there are {', '.join(optional)}")
    lines = [*project["dependencies"], *(line for extra in extras for line in optional[extra])]
    return {NAME.match(line)[0].lower() for line in lines}


def blocks(lock: str) -> dict[str, str]:
    """Entries of a lock by package name."""
    found = re.findall(r"^[a-z0-9].*(?:\n[ ].*)*", lock, re.MULTILINE)
    return {re.split(r"[=\[ ]", block, maxsplit=1)[0]: block for block in found}


def wanted_by(block: str) -> set[str]:
    """What asked for a package."""
    _, _, via = block.partition("# via")
    return {line.strip().lstrip("#").strip() for line in via.splitlines()} - {""}


def needed(lock: str, names: set[str]) -> list[str]:
    """Return the entries of these packages, and of all that they need."""
    entries = blocks(lock)
    if absent := names - entries.keys():
        sys.exit(f"requirements.lock has no {', '.join(sorted(absent))}")
    taken = set(names)
    while fresh := {n for n in entries.keys() - taken if wanted_by(entries[n]) & taken}:
        taken |= fresh
    return [entries[name] for name in sorted(taken)]


def main() -> None:
    """Print the entries asked for."""
    parser = argparse.ArgumentParser(description="Part of requirements.lock, with hashes.")
    parser.add_argument("extras", nargs="*", help="extras of tonne")
    parser.add_argument("--only", nargs="+", default=[], help="packages instead of tonne")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = set(options.only) or asked_for(project, options.extras)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    print("\n".join(needed(lock, names)))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
