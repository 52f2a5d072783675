"""
The programs that tests find: those of a minimal Debian 13, and of deploy/test_packages.sh.

A developer's machine has many more, and a test that called one of them would fail elsewhere. So the
PATH of all tests is one folder that links to these programs only.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

LIST = Path(__file__).parents[1] / "deploy/test_packages.sh"
# beside Debian's required packages: what a machine needs to have tonne and to make it
_BESIDE = ("git", "make", "perl")
_BEGUN = "PATH_OF_TESTS"
_PYTHONS = {"python3", "python3.11", "python3.12", "python3.13"}
# a test that needs one is left out where it is missing, and says so
OPTIONAL = {"java", "node", "node-red", "g++", "as", "ld", "erl", "escript", "epmd"}


def listed() -> dict[str, str]:
    """Return the programs of the list, and the package of each."""
    (table,) = re.findall(r"<<'END'\n(.*?)^END$", LIST.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    rows = [line.split() for line in table.splitlines()]
    return {program: row[1] for row in rows for program in row[0].split(",")}


def begin() -> Callable[[], object]:
    """
    Limit the PATH of this process and of those that it starts; return a
    function that ends this.
    """
    if os.environ.get(_BEGUN) == os.environ["PATH"]:  # by the process that started this one
        return lambda: None
    place = tempfile.TemporaryDirectory(prefix="programs-")
    Path(place.name).chmod(0o755)  # for servers that run as another account, too
    os.environ["PATH"] = os.environ[_BEGUN] = limit(os.environ["PATH"], Path(place.name))
    return place.cleanup


def limit(path: str, folder: Path, more: set[str] | None = None) -> str:
    """
    Link in a folder to the permitted programs of a PATH; return the folder as PATH.

    Without dpkg, which lists the programs of a minimal Debian, the whole PATH is kept.

    Parameters
    ----------
    more : set of str, optional
        Names of programs beside those of a bare Debian: by default the listed and optional ones.
    """
    names = listed().keys() | _PYTHONS | OPTIONAL if more is None else more
    bare = _of_a_bare_debian()
    if not bare:
        return path
    for place in filter(os.path.isdir, path.split(":")):
        for program in os.scandir(place):
            link = folder / program.name
            if (program.name in names or _real(program) in bare) and not link.exists():
                link.symlink_to(program.path)
    for link in (folder / name for name in names if not (folder / name).is_symlink()):
        link.symlink_to(f"/usr/bin/{link.name}")  # a test may install it: RabbitMQ's does
    return str(folder)


def _real(program: os.DirEntry[str]) -> str:
    return os.path.realpath(program.path) if program.is_symlink() else _merged(program.path)


def _merged(path: str) -> str:
    """Return a path as it is since /bin is a link to /usr/bin; packages use either form."""
    return path if path.startswith("/usr/") else f"/usr{path}"


def _of_a_bare_debian() -> set[str]:
    """Return the programs of Debian's required packages, and of those installed beside."""
    try:
        every = _dpkg("-W", "-f", "${Priority} ${Package}\n")
        required = [line.split()[1] for line in every if line.startswith("required ")]
        files = _dpkg("-L", *required, *_BESIDE)
    except FileNotFoundError:
        return set()
    return {_merged(file) for file in files if re.match(r"(/usr)?/s?bin/.", file)}


def _dpkg(*words: str) -> list[str]:
    done = subprocess.run(["dpkg-query", *words], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()
