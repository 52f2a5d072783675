"""
The documented architecture, compared with the code.

ARCHITECTURE.md names the existing packages.

READMEs are those that `make readmes` writes: files, their content, permitted importers.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

from tests.every import every

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("readmes", ROOT / "deploy/readmes.py")
readmes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(readmes)


def test_a_readme_has_not_drifted():
    """A reader would look for a file that is gone, or import what the contracts refuse."""

    @every(readmes.packages())
    def _(folder):
        assert (folder / "README.md").read_bytes().decode() == readmes.readme(folder), (
            "make readmes"
        )


PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def rooms():
    """Return the packages directly inside the three, as dotted names."""
    return {
        f"{package}.{folder.parent.name}"
        for package in ("ingest", "mrv", "services")
        for folder in (ROOT / package).glob("*/__init__.py")
    }


def test_every_room_stands_on_the_page_once():
    """A room missing in ARCHITECTURE.md is not found."""
    listed = re.findall(r"^\| `((?:ingest|mrv|services)\.\w+)` \|", PAGE, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert rooms() <= set(listed)


def test_every_module_that_the_page_names_exists():
    """A reference to a missing file makes a reader doubt the others."""
    for name in re.findall(r"`((?:ingest|mrv|services)\.[\w.]+)`", PAGE):
        place = ROOT / name.replace(".", "/")
        assert place.is_dir() or place.with_suffix(".py").is_file(), name


def test_every_room_says_what_it_is():
    """Opening a package without a word of what it is for wastes a reader's time."""
    silent = [
        str(file.parent.relative_to(ROOT))
        for package in ("ingest", "mrv", "services")
        for file in (ROOT / package).rglob("__init__.py")
        if not file.read_text(encoding="utf-8").lstrip().startswith('"""')
    ]
    assert silent == []


def _lint(folder):
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
    )


# imports against the contracts: who imports what
WRONG = (
    ("ingest.model", "mrv.model"),
    ("ingest.codecs.json_object", "ingest.pipeline"),
    ("mrv.model", "psycopg"),
    ("mrv.model", "services.clock"),
    ("mrv.signatures.canonical", "mrv.methodologies"),
    ("mrv.verify.steps", "click"),
    ("mrv.statement.compose", "pathlib"),
    ("services.settings", "services.metrics"),
    ("services.clock", "services.store"),
)
# two files of a room that need each other: neither is read alone
CIRCLE = ("mrv.signatures.canonical", "mrv.signatures.keys")
ALLOWED = ("services.local.stack", "services.store")  # downward


def test_wrong_imports_are_caught(tmp_path):
    """An auditor must be able to run `mrv` without any server's driver."""
    _copy(tmp_path)
    for module, imported in (*WRONG, CIRCLE, ALLOWED):
        _import(tmp_path, module, imported)
    told = _lint(tmp_path)
    assert told.returncode == 1
    named = set(re.findall(r"(\S+) -> (\S+) \(l\.", told.stdout))
    assert set(WRONG) - named == set(), told.stdout
    assert ALLOWED not in named, told.stdout
    assert "nothing imports in a circle BROKEN" in told.stdout
    assert "mrv.signatures" in told.stdout.partition("Broken contracts")[2]


def _import(folder, module, imported):
    with (folder / f"{module.replace('.', '/')}.py").open("a", encoding="utf-8") as file:
        file.write(f"\nimport {imported}\n")


def test_no_index_host_in_what_we_ship():
    """Where packages come from is the user's choice; a host in a file would override it."""
    hosts = ("pypi." + "org", "pythonhosted." + "org", "--index" + "-url", "--extra-index" + "-url")
    scripts = (path.relative_to(ROOT) for path in (ROOT / "deploy").glob("*.sh"))
    locks = (
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-setup.lock",
        "requirements-docs.lock",
    )
    for name in ("Makefile", *locks, "pyproject.toml", *scripts, ".ci/run", "deploy/Dockerfile"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not [host for host in hosts if host in text], name


def _copy(folder):
    for package in ("ingest", "mrv", "services"):
        for source in (ROOT / package).rglob("*.py"):
            target = folder / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    (folder / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
