"""ARCHITECTURE.md names the rooms that exist: a newcomer's map that is wrong costs a day."""

import re
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
