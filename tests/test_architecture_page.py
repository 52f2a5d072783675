"""ARCHITECTURE.md names the rooms that exist: a newcomer's map that is wrong costs a day."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def rooms():
    """Packages directly inside the three, as dotted names."""
    return {
        f"{package}.{folder.parent.name}"
        for package in ("ingest", "mrv", "services")
        for folder in (ROOT / package).glob("*/__init__.py")
    }


def test_every_room_stands_on_the_page_once():
    """A room that the map lacks is found by nobody."""
    listed = re.findall(r"^\| `((?:ingest|mrv|services)\.\w+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(rooms())


def test_every_module_that_the_page_names_exists():
    """A name that leads nowhere makes a reader doubt the others."""
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


def test_every_package_has_its_contract():
    """A package without one fills with imports that go up and down, as nobody looks."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    held = {one for c in contracts if c.get("exhaustive") for one in c["containers"]}
    # modules of these do not import each other at all
    apart = [one for c in contracts if c["type"] == "independence" for one in c["modules"]]
    held |= {one.removesuffix(".*") for one in apart}
    packages = [
        file.parent
        for package in ("ingest", "mrv", "services")
        for file in (ROOT / package).rglob("__init__.py")
    ]
    free = []
    for folder in packages:
        inside = [p for p in folder.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
        if len(inside) > 2:  # `__init__`, and one that can import nothing beside it
            free.append(".".join(folder.relative_to(ROOT).parts))
    assert sorted(set(free) - held) == []
