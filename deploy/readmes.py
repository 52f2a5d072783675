# ruff: noqa: INP001 - a script, run by `make readmes`
"""
Write the README of each package: its files with their purpose, and its permitted importers.

The purpose is the first paragraph of a file's docstring; importers come from the import contracts
in pyproject.toml.  Text above the mark is kept.
"""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
MARK = "<!-- below: make readmes -->"
PACKAGES = ("ingest", "mrv", "services")
# files without a row in the README
_PASSED = {"__init__.py", "__pycache__", "README.md", "py.typed"}
# description of files and folders that are not Python modules
DATA = {
    "ingest/classes/*.toml": "one device class per file: channels, units, limits, names",
    "ingest/codecs/json_object/cases": "payloads and the readings expected from them",
    "ingest/formats/sparkplug_b.proto": "the schema from which `sparkplug_b_pb2.py` is generated",
    "ingest/formats/sunspec_models.toml": "models of SunSpec: points, types, scale factors",
    "ingest/profiles/*.toml": "one device model per file: names, units, registers, source",
    "mrv/NOMENCLATURE.md": "symbols of the methodologies and their names in tonne",
    "mrv/countries/*.toml": "countries and their time zones; national grids",
    "mrv/countries/vn": "rules of Viet Nam: transfers abroad, limits, indices, forms",
    "mrv/exports/*.toml": "permitted values of CAD Trust and CDOP; countries and their codes",
    "mrv/exports/forms": "the forms of the JCM: sheets, cells and their content",
    "mrv/factors/*.toml": "published factors by subject: value, unit, direction, validity, source",
    "mrv/method_lives.toml": "dates of registration and issue of each methodology, by programme",
    "mrv/parameters/evidence.toml": "evidence accepted for each parameter, and its grade",
    "mrv/registry/calibration_intervals.toml": "maximum calibration intervals, with sources",
    "mrv/registry/programme_systems.toml": "the programme's systems and the methodologies of each",
    "mrv/report/fonts": "fonts of the PDF, with their licence",
    "mrv/report/page/page.typ": "the page layout, in Typst",
    "mrv/report/words/*.toml": "texts of the report, one file per language",
    "mrv/report/words/meanings": "meanings of parameters and calculation steps, by language",
    "mrv/report/words/names": "names of parameters and conditions, by language",
    "mrv/rules/rules.toml": "the rules: stage, severity, clause and order of each",
    "mrv/rules/words": "texts of the rules, one file per language",
    "mrv/texts/*.toml": "texts of findings and conditions, one file per language; those of 0.1.0",
    "mrv/verify/*.md": "the text of VERIFY.md, current and that of 0.1.0",
    "services/api/console/static": "styles, scripts, and verification in the browser",
    "services/api/console/templates": "templates of the pages",
    "services/api/console/words": "texts of the console, one file per language",
    "services/api/console/coastline.npz": "the coastlines drawn on the map",
    "services/registry/*.toml": "alarm rules; descriptions of the registry's keys",
    "services/simulator/pvlib.LICENSE.txt": "licence of the parts derived from pvlib",
    "services/simulator/spa_terms.csv": "periodic terms of the Solar Position Algorithm",
    "services/store/migrations": "the database schema, by area; released files are never edited",
}


def packages() -> list[Path]:
    """Return the folders of packages that have more than `__init__.py`."""
    return sorted(
        file.parent
        for package in PACKAGES
        for file in (ROOT / package).rglob("__init__.py")
        if any(not name.startswith("cases") for name in entries(file.parent))
    )


def entries(folder: Path) -> list[str]:
    """
    Return the names listed in a package's README, modules and packages first.

    Several files of one non-Python kind are one entry, such as `*.toml`.
    """
    inside = [path for path in folder.iterdir() if path.name not in _PASSED and _has_files(path)]
    code = [p.name for p in inside if p.suffix == ".py"]
    code += [f"{p.name}/" for p in inside if (p / "__init__.py").exists()]
    other = [p for p in inside if p.is_file() and p.suffix != ".py"]
    kinds = [p.suffix for p in other]
    data = {
        p.name if _place(p) in DATA or kinds.count(p.suffix) == 1 else f"*{p.suffix}" for p in other
    }
    data |= {f"{p.name}/" for p in inside if p.is_dir() and f"{p.name}/" not in code}
    return [*sorted(code), *sorted(data)]


def _has_files(path: Path) -> bool:
    """Return whether a path is a file or a folder with files other than caches of Python."""
    below = [path, *path.rglob("*")]
    return any(file.is_file() and file.suffix != ".pyc" for file in below)


def main() -> None:
    """Write all READMEs."""
    for folder in packages():
        (folder / "README.md").write_text(readme(folder), "utf-8")


def readme(folder: Path) -> str:
    """Return the README of a package; text above the mark is kept."""
    file = folder / "README.md"
    name = ".".join(folder.relative_to(ROOT).parts)
    text = file.read_text("utf-8") if file.exists() else f"# {name}\n\n{MARK}\n"
    kept = text.partition(MARK)[0].rstrip()
    return f"{kept}\n\n{MARK}\n\n{_made(folder, name, _contracts())}"


@cache
def _contracts() -> list[dict]:
    """Return the import contracts of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts: list[dict] = project["tool"]["importlinter"]["contracts"]
    return contracts


def _made(folder: Path, name: str, rules: list[dict]) -> str:
    rows = [
        f"| [`{entry}`]({entry.rstrip('/')}) | {_answer(folder, entry)} |"
        if "*" not in entry
        else f"| `{entry}` | {_answer(folder, entry)} |"
        for entry in entries(folder)
    ]
    return (
        f"{_first_paragraph(folder / '__init__.py')}\n\n| file | content |\n|---|---|\n"
        + "\n".join(rows)
        + f"\n\n{_importers(name, rules)}\n"
    )


def _answer(folder: Path, entry: str) -> str:
    path = folder / entry
    if entry.endswith(".py"):
        return _first_paragraph(path)
    if (path / "__init__.py").exists():
        return _first_paragraph(path / "__init__.py")
    return DATA.get(_place(path), "data")


def _place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _first_paragraph(file: Path) -> str:
    """Return the first paragraph of a file's docstring, on one line."""
    docstring = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "Generated code."
    return " ".join(docstring.split("\n\n")[0].split()).replace("|", "\\|")


def _importers(name: str, rules: list[dict]) -> str:
    """
    Return a sentence on the packages that may import a package, or may not, whichever list
    is shorter.
    """
    parent, _, own = name.rpartition(".")
    for rule in rules:
        if rule["type"] == "protected" and name in rule["protected_modules"]:
            return f"Imported by {_listed(rule['allowed_importers'])} only."
    for rule in rules:
        if rule["type"] != "layers" or parent not in rule.get("containers", [""]):
            continue
        layers = [[part.strip(" ()") for part in layer.split("|")] for layer in rule["layers"]]
        place = next((i for i, layer in enumerate(layers) if own in layer), None)
        if place is None:
            continue
        prefix = f"{parent}." if parent else ""
        others_above = f"the packages that may import `{parent}`"
        above = [prefix + room for layer in layers[:place] for room in layer]
        others = [prefix + room for layer in layers[place:] for room in layer if room != own]
        if not above:
            return f"No other package of `{parent or 'tonne'}` may import it."
        if not parent:
            return f"May be imported by {_listed(above)}."
        if len(above) <= len(others):
            return f"May be imported by {_listed(above)}, and by {others_above}."
        return (
            f"May be imported by all of `{parent}` except {_listed(others)}."
            if others
            else (f"May be imported by all of `{parent}`.")
        )
    return f"May be imported by all of `{parent}`, and by the packages that may import `{parent}`."


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    main()
