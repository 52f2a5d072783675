"""docs/registry-file.md: each statement that can be tested is compared with the parser."""

import copy
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from ingest.errors import RegistryError
from services.registry.entries import DOCUMENT, SIGNED, STATED, UNTIL, Registry
from services.registry.files import read_files
from services.registry.plan import plan
from services.registry.schema import schema
from tests.every import every
from tests.soak import SOAK

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "registry-file.md").read_text("utf-8")
EVERY_KEY = Path(__file__).with_name("every_key.yaml")
# of a project's device, further keys are what its role asks for
OPEN = {"projects.devices"}


class Statement(NamedTuple):
    """A row of a table of the page."""

    section: str
    key: str
    needed: bool
    kind: str
    meaning: str


def statements() -> Iterator[Statement]:
    """Return every row of the page's tables."""
    for part in PAGE.split("\n## ")[1:]:
        section = part.split("\n", 1)[0].replace("[]", "")
        for row in re.finditer(
            r"^\| `(\w+)`( \(required\))? \| (.+?) \| (.+) \|$", part, re.MULTILINE
        ):
            yield Statement(section, row[1], bool(row[2]), row[3], row[4])


ROWS = list(statements())
SECTIONS = list(dict.fromkeys(row.section for row in ROWS))
# each is tried by imports of a whole file: one row in six here, all of them in the soak
TRIED = ROWS if SOAK else ROWS[::6]


class Text(str):
    """A text that a file writes in quotes, whatever it looks like."""

    __slots__ = ()


class _Dumper(yaml.CSafeDumper):
    """Writes quotes where they are meant, and times as they are."""


_Dumper.add_representer(
    Text,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"'),
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return a file with every key."""
    text = EVERY_KEY.read_text("utf-8")
    # a time keeps its text: this loader would take its offset away
    text = re.sub(r"(\d{4}-\d\d-\d\dT[\d:]+\+07:00)", r'"\1"', text)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def rows_of(document: dict[str, Any], section: str) -> list[dict[str, Any]]:
    """Return the mappings of a section, such as `devices.calibrations`."""
    found: list[Any] = [document]
    for name in section.split("."):
        inner = [one[name] for one in found if name in one]
        found = [row for one in inner for row in (one if isinstance(one, list) else [one])]
    return found


def holder(document: dict[str, Any], row: Statement) -> dict[str, Any]:
    """Return a mapping of the section that has the key."""
    return next(one for one in rows_of(document, row.section) if row.key in one)


def problems(document: dict[str, Any], folder: Path) -> list[str]:
    """Return the errors that an import of a document reports, without their places."""
    file = folder / "registry.yaml"
    text = yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    file.write_text(text, encoding="utf-8")
    try:
        results = plan(Registry(), read_files([file])).results
    except RegistryError as error:
        return str(error).splitlines()
    said = (text for one in results for text in one.messages if not text.startswith("warning"))
    # a row of a laboratory or of a survey needs a methodology that asks for it
    none = "is not a parameter of jcm-vn-am007", "is not a numeric parameter of jcm-vn-am007"
    return [text for text in said if not any(one in text for one in none)]


def changed(document: dict[str, Any], row: Statement, value: Any) -> dict[str, Any]:
    """Return the document with another value of the key."""
    new = copy.deepcopy(document)
    holder(new, row)[row.key] = value
    return new


def test_every_key_is_described() -> None:
    """A new field of an entry would be missing on the page, and its meaning in editors."""

    def undescribed(properties: dict[str, Any], where: str) -> Iterator[str]:
        for key, value in properties.items():
            if "description" not in value:
                yield f"{where}.{key}"
            yield from undescribed(value.get("items", value).get("properties", {}), key)

    sections = schema()["properties"].items()
    keys = {name: section.get("items", section).get("properties", {}) for name, section in sections}
    assert [key for name, own in keys.items() for key in undescribed(own, name)] == []


def test_the_file_has_every_key(document: dict[str, Any], tmp_path: Path) -> None:
    """The description of an untested key could be wrong."""
    assert [
        row for row in ROWS if not any(row.key in one for one in rows_of(document, row.section))
    ] == []
    assert problems(document, tmp_path) == []


def test_a_section_takes_the_keys_that_the_page_lists(document, tmp_path) -> None:
    """A key missing on the page stays unknown; a key that only the page has is refused."""

    @every(SECTIONS)
    def _(section: str) -> None:
        new = copy.deepcopy(document)
        rows_of(new, section)[0]["nonsense"] = Text("x")
        said = [text for text in problems(new, tmp_path) if "nonsense" in text]
        if section in OPEN:
            assert [text.partition("known keys: ")[2] for text in said] == ["case"]
            return
        known = re.search(r"known here: (.*)", "\n".join(said))
        assert known is not None, said
        assert set(known[1].split(", ")) == {row.key for row in ROWS if row.section == section}


def test_needed_is_what_the_import_asks_for(document, tmp_path) -> None:
    """A file would be refused for a key, left out or empty, that the page calls optional."""

    @every(TRIED)
    def _(row: Statement) -> None:
        left_out = copy.deepcopy(document)
        del holder(left_out, row)[row.key]
        for new in (left_out, changed(document, row, None)):
            reasons = problems(new, tmp_path)
            missing = [text for text in reasons if re.search(r"is missing|enter ", text)]
            # "if", "unless" and "for" depend on more than the key that goes with it
            if not re.search(r"Needed (if|unless|for)", row.meaning):
                assert bool(missing) == (row.needed or " Needed w" in row.meaning), missing


WRONG: dict[str, tuple[Any, ...]] = {
    "number": (Text("12"), "many", [1]),
    "number or null": (Text("12"), "many", [1]),
    "two numbers or null": (1, [1], ["a", "b"]),
    "12 numbers": (1, [1], ["a"] * 12, [-1] * 12),
    "whole number": (Text("12"), 1.5),
    "text": ([1], {"a": 1}),
    "day": ("2026-01-31T00:00:00+07:00", "31.1.2026"),
    "time": ("2026-01-31T08:00:00", "noon"),
    "yes or no": ("yes", Text("true"), 1),
    "list": ("x", {"a": 1}),
    "keys and values": ("x", [1]),
}
IS: dict[str, type | tuple[type, ...]] = {
    "number": (int, float), "number or null": (int, float), "two numbers or null": list,
    "12 numbers": list,
    "whole number": int, "text": (str, int), "day": date, "time": str, "yes or no": bool,
    "list": list, "keys and values": dict,
}  # fmt: skip


def test_a_value_is_of_the_kind_that_the_page_says(document, tmp_path) -> None:
    """A number would be quoted, as the page allows it, and refused."""

    @every(TRIED)
    def _(row: Statement) -> None:
        known = re.findall(r"`([^`]+)`", row.kind)
        for one in known if ".." not in row.kind else ():
            assert not _of(row, problems(changed(document, row, one), tmp_path)), one
        if not known:
            assert isinstance(holder(document, row)[row.key], IS[row.kind])
        for value in ("nonsense",) if known else WRONG[row.kind]:
            assert _of(row, problems(changed(document, row, value), tmp_path)), value


def _of(row: Statement, said: list[str]) -> list[str]:
    # after the file's path, which has the name of the test
    told = {text: text.partition(": ")[2] for text in said}
    return [text for text, of in told.items() if row.key in of or "limits" in of]


def _said(section: str, key: str, kind: str = "", meaning: str = "") -> Statement:
    """Return a row of the page, which must contain this."""
    (row,) = [one for one in ROWS if (one.section, one.key) == (section, key)]
    assert kind in row.kind
    assert meaning in row.meaning
    return row


@pytest.mark.parametrize(
    ("section", "key", "meaning", "read"),
    [
        ("devices", "check_percent", "2 unless given", lambda r: r.devices["inv-1"].check_percent),
        ("topics", "active", "true unless given", lambda r: r.topics["plants"].active),
    ],
)  # fmt: skip
def test_what_holds_where_a_key_is_left_out(
    section, key, meaning, read, document, tmp_path
) -> None:
    """A reader would rely on another default than the applied one."""
    row = _said(section, key, meaning=meaning)
    new = copy.deepcopy(document)
    del holder(new, row)[key]
    assert problems(new, tmp_path) == []
    found = read(read_files([tmp_path / "registry.yaml"]).registry)
    assert str(found).lower() == meaning.split()[0]


def test_a_list_that_a_file_leaves_out_stays(document, tmp_path) -> None:
    """Certificates, or a plan in force, would be gone after the import of another change."""
    assert "a list of a device or project, the registered data remain unchanged" in " ".join(
        PAGE.split()
    )
    whole = copy.deepcopy(document)
    for one in ("laboratory", "surveys"):
        del whole["projects"][0][one]  # its methodology takes none
    assert problems(whole, tmp_path) == []
    stored = plan(Registry(), read_files([tmp_path / "registry.yaml"])).merged

    @every(
        (row.section, row.key)
        for row in ROWS
        if row.kind == "list" and row.section in {"devices", "projects"} and not row.needed
    )
    def _(section: str, key: str) -> None:
        less = copy.deepcopy(whole)
        left_out = [one.pop(key) for one in less[section] if key in one]
        assert left_out or key in {"laboratory", "surveys"}
        problems(less, tmp_path)
        again = plan(stored, read_files([tmp_path / "registry.yaml"]))
        assert {one.result for one in again.results} == {"unchanged"}


def test_null_switches_a_test_off(document, tmp_path) -> None:
    """A limit of the profile would remain in force."""
    row = _said("devices.quality", "flat_s", kind="number or null")
    assert "Null disables a test" in " ".join(PAGE.split())
    assert problems(changed(document, row, None), tmp_path) == []
    (first, *_) = read_files([tmp_path / "registry.yaml"]).registry.devices["inv-1"].quality
    limits = {one.channel: one.limits for one in (first,)}
    assert limits["active_power_w"]["flat_s"] is None


def test_a_document_is_a_text_or_has_these_keys(document, tmp_path) -> None:
    """A licence would be refused for a key that the page does not name."""
    row = _said("projects", "documents")
    said = row.meaning.partition("a text, or")[2].partition("`line_diagram`")[0]
    assert re.findall(r"`(\w+)`", said) == [*DOCUMENT, STATED, UNTIL, SIGNED]
    whole = {
        "document": "licence 7",
        "by": "Department",
        "issued": "2025-03-01",
        "sha256": "ab" * 32,
    }
    for value in ("licence 7", whole):
        assert problems(changed(document, row, {"case": value}), tmp_path) == []
    assert _of(row, problems(changed(document, row, {"case": whole | {"page": "3"}}), tmp_path))
