"""
Findings for which requests were returned, each reproduced by a change of a registry file.

`returned.toml` has the finding, the change, the first place where it is visible, and the text
there: `import` of the files, `statement` of a day, a text `asked` of a verifier, or a check of a
submission. docs/conformity.md has the rows with an address.
"""

import re
import tomllib
from pathlib import Path

import pytest

from mrv.documents import read
from mrv.documents.statement import Claims
from mrv.report import submission as list_of_checks
from mrv.statement.opinion import requirements
from services.issuer.export_files import submission
from services.registry.entries import Registry
from services.registry.files import read_files
from services.registry.plan import plan
from services.store.postgres.pool import connect
from tests import registering
from tests.findings import worded
from tests.planted import planted
from tests.services.issuer import plant
from tests.services.issuer.sealed import close_period

ROOT = Path(__file__).parents[3]
TABLE = tomllib.loads(Path(__file__).with_name("returned.toml").read_text("utf-8"))
CITY = {
    file.name: file.read_text("utf-8")
    for file in sorted((ROOT / "deploy/catalog/haiphong").glob("*.yaml"))
    if file.name != "replay.yaml"
}
PLANT = {"registry.yaml": plant.documented()}
# where the block of an id ends
_END = re.compile(r"\n(?=  - |  #|[a-z])")
# what is said of a project without a change, by where
_BARE = {}
SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")


def city(url, folder):
    """Register the catalog, without any readings."""
    assert not registering.imported(url, _written(folder, CITY)).refused


def with_buses(url, folder):
    """Store three days of two inverters, a bus and its charger."""
    assert not registering.imported(url, _written(folder, _files("pv"))).refused
    plant.fill_pv(url, minutes=15)
    plant.fill_buses(url)


def _written(folder, files):
    (folder / "files").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "files" / name).write_text(text, "utf-8")
    return folder / "files"


def _files(of, *changes):
    """Return the files of a project with changes: in the block of an id, or anywhere."""
    files = dict(PLANT if of in ("pv", "bus") else CITY)
    for block, old, new in (*(TABLE["plant"] if files == PLANT else ()), *changes):
        head = f"  - id: {block}\n" if block else ""
        name = next(name for name, text in files.items() if head in text)
        begin = files[name].index(head)
        end = _END.search(files[name], begin + 1) if block else None
        stop = end.start() + 1 if end else len(files[name])
        text = files[name][begin:stop]
        assert old in text, (block, old)
        text = text.replace(old, new) if old else text + new
        files[name] = f"{files[name][:begin]}{text}{files[name][stop:]}"
    return files


def _imported(folder, files):
    found = plan(Registry(), read_files([_written(folder, files)]))
    return "\n".join(m for r in found.results for m in r.messages)


def _seen(url, folder, row, files):
    """Return the texts of a statement of the files, or the faults of their submission."""
    done = registering.imported(url, _written(folder, files))
    assert not done.refused, [r.messages for r in done.results if r.messages]
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        closed = close_period(conn, row["project"], *SPAN, "test")
        said = closed.document["credentialSubject"]
        if row["at"] == "statement":
            return "\n".join(worded(one) for one in said["applicability"] if not one["holds"])
        if row["at"] == "asked":
            return "\n".join(requirements(read(Claims, said, "claims")))
        found = {one.check: one.lacking for one in submission(conn, closed.statement, "en")[1]}
    return "\n".join(found[row["at"]])


@pytest.mark.parametrize("row", TABLE["row"], ids=[one["issue"] for one in TABLE["row"]])
def test_it_is_seen_before_it_is_sent(row, database_url, tmp_path, monkeypatch):
    """The same fault in a test project is rejected or reported."""
    monkeypatch.setattr(list_of_checks, "chapters", lambda *_: {})
    of, at = row["project"], row["at"]
    made = with_buses if of in ("pv", "bus") else city

    def said(files):
        return (
            _imported(tmp_path, files)
            if at == "import"
            else _seen(database_url, tmp_path, row, files)
        )

    if at != "import":
        planted(made, database_url, tmp_path)
    if row["change"]:
        if (made, of, at) not in _BARE:
            _BARE[made, of, at] = said(_files(of))
        assert row["says"] not in _BARE[made, of, at]
    assert row["says"] in said(_files(of, *row["change"]))
