# ruff: noqa: INP001, T201 - a script, run by `make audit`; findings are its output
"""
Check locked dependency versions against published security advisories in files; needs no network.

    python deploy/audit.py FOLDER...

The folders hold advisories in OSV format (https://ossf.github.io/osv-schema/), one JSON file each,
as in PyPI's advisory database.  Exit status 1 if a pinned version is affected, 2 if there are no
advisories.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[1]
LOCKS = (
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-setup.lock",
    "requirements-docs.lock",
)
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", re.MULTILINE)


def pinned(lock: Path) -> dict[str, str]:
    """Return the pinned versions of a lock file, by package name."""
    pinned = _PINNED.findall(lock.read_text(encoding="utf-8"))
    return {canonicalize_name(name): version for name, version in pinned}


def affects(affected: dict[str, Any], version: str) -> bool:
    """Return whether an advisory lists a version, or has a range that contains it."""
    if version in affected.get("versions", ()):
        return True
    return any(
        _within(span["events"], Version(version))
        for span in affected.get("ranges", ())
        if span["type"] == "ECOSYSTEM"
    )


def _within(events: list[dict[str, str]], version: Version) -> bool:
    """Return whether a version lies in the affected range that the events describe."""
    inside = False
    for event in sorted(events, key=_at):
        if "introduced" in event:
            inside = inside or version >= _at(event)
        elif "fixed" in event:
            inside = inside and version < _at(event)
        elif "last_affected" in event:
            inside = inside and version <= _at(event)
    return inside


def _at(event: dict[str, str]) -> Version:
    (text,) = event.values()
    return Version("0.dev0" if text == "0" else text)


def findings(lock: Path, advisories: list[dict[str, Any]]) -> list[str]:
    """Return a line for each advisory on a pinned version of a lock."""
    versions = pinned(lock)
    names = set()
    for advisory in advisories:
        for affected in advisory.get("affected", ()) if "withdrawn" not in advisory else ():
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") != "PyPI" or name not in versions:
                continue
            try:
                hit = affects(affected, versions[name])
            except InvalidVersion:
                # a version that cannot be compared counts as affected, so that a person checks it
                hit = True
            if hit:
                summary = advisory.get("summary") or advisory.get("details", "")[:100]
                names.add(f"{lock.name}: {name} {versions[name]}: {advisory['id']}: {summary}")
    return sorted(names)


def main(folders: list[str]) -> int:
    """Print the findings; return the exit status."""
    files = [file for folder in folders for file in sorted(Path(folder).rglob("*.json"))]
    advisories = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    if not advisories:
        print("audit: no advisories; name folders of OSV files", file=sys.stderr)
        return 2
    lines = [line for lock in LOCKS for line in findings(ROOT / lock, advisories)]
    for line in lines:
        print(line)
    print(
        f"audit: {len(lines)} of {len(advisories)} advisories concern a pinned version",
        file=sys.stderr,
    )
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
