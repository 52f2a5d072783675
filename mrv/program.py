"""
Program of a statement: version, and SHA-256 of code and data.

Two installations with equal digests give the same metering and accounting.  The digest covers all
files of the packages `ingest` and `mrv`, except caches and pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from importlib.resources.abc import Traversable

PACKAGES = ("ingest", "mrv")
_LEFT_OUT = (".pyc", ".md")
# folders of test cases, which are not in the package (pyproject.toml)
_CASES = "cases"
_DIGITS = 16


@cache
def program() -> str:
    """Return the program named in a statement: `tonne VERSION sha256:DIGEST`."""
    try:
        name = f"tonne {version('tonne')}"
    except PackageNotFoundError:  # tonne is not installed: only its files are available
        name = "tonne"
    return f"{name} sha256:{digest(map(resources.files, PACKAGES))}"


def same(code_version: str) -> bool:
    """Return whether this program has the code and data that a statement names."""
    return code_version.partition("sha256:")[2] == program().partition("sha256:")[2]


def named(code_version: str) -> str:
    """Return the program named in a statement, with the first digits of its digest."""
    name, mark, full = code_version.partition("sha256:")
    return f"{name}{mark}{full[:_DIGITS]}"


def digest(packages: Iterable[Traversable]) -> str:
    """Return the digest of packages, from one line `SHA-256 PATH` per file."""
    lines = sorted(line for package in packages for line in _lines(package, package.name))
    return sha256("".join(lines).encode()).hexdigest()


def _lines(folder: Traversable, path: str) -> Iterator[str]:
    for item in folder.iterdir():
        below = f"{path}/{item.name}"
        if item.is_dir() and item.name != _CASES:
            yield from _lines(item, below)
        elif item.is_file() and not item.name.endswith(_LEFT_OUT):
            yield f"{sha256(item.read_bytes()).hexdigest()}  {below}\n"
