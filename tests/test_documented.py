"""What README and docs name: links, make's targets, commands with their options, settings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from services.cli.main import main
from services.settings import Settings
from tests.deploy.files import KNOWN
from tests.every import every

ROOT = Path(__file__).parents[1]
PAGES = [
    path.relative_to(ROOT)
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("mrv/*.md")])
]
# what a longer run of a test is asked for with; no process of tonne reads it
SWITCHES = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"environ\S*\W(TONNE_[A-Z_]+)", path.read_text(encoding="utf-8"))
}
# what compose puts into a container under another name
COMPOSED = {
    name
    for path in (ROOT / "deploy").glob("compose*.yaml")
    for name in re.findall(r"\$\{(TONNE_[A-Z_]+)", path.read_text(encoding="utf-8"))
}
ROOMS = ("ingest", "mrv", "services", "deploy")
README_OF_PACKAGES = [page for room in ROOMS for page in (ROOT / room).rglob("README.md")]


def _text(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def test_links_lead_somewhere() -> None:
    """Whoever looks for help at night ends at a page that was moved."""

    @every(PAGES)
    def _(page: Path) -> None:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", _text(page)):
            if re.match(r"(https?|mailto):", target):
                continue
            found = ROOT / page.parent / target if target else ROOT / page
            assert found.exists(), f"{page}: {target}"
            if anchor and found.suffix == ".md":
                assert anchor in _anchors(found.read_text(encoding="utf-8")), f"{target}#{anchor}"


# looked up by entry, or written from code: none is read from top to bottom
LOOKED_UP = {
    "benchmarks", "conformity", "registry-file", "roles", "runbook", "threat-model",
    "views",
}  # fmt: skip
# all systems of the programme, each with its own short section
LONG = {"haiphong": 6_000}
MOST_WORDS, MOST_IN_A_CELL = 1_500, 40


def test_pages_name_their_reader_and_are_short() -> None:
    """An operator would look for one step in a page of an hour, written for another reader."""
    pages = [ROOT / page for page in PAGES if page.parent in {Path("docs"), Path("docs/rules")}]
    wrong = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if page.stem not in {"index", *LOOKED_UP}:
            most = LONG.get(page.stem, MOST_WORDS)
            wrong += [f"{page.name}: {n} words"] if (n := len(text.split())) > most else []
        if page.stem != "index" and "For: " not in "".join(text.splitlines()[:5]):
            wrong.append(f"{page.name}: names no reader")
        wrong += [f"{page.name}: {cell[:60]}" for cell in _cells(text) if _long(cell)]
    assert wrong == []
    assert _long("word " * (MOST_IN_A_CELL + 1))
    assert [*_cells("| a | b |\n```\n| code |\n```\n")] == [" a ", " b "]


def _cells(text: str) -> Iterator[str]:
    """Cells of the tables of a page, without code."""
    code = False
    for line in text.splitlines():
        code ^= line.startswith("```")
        if line.startswith("|") and not code:
            yield from line.strip("|").split("|")


def _long(cell: str) -> bool:
    return len(cell.split()) > MOST_IN_A_CELL


def test_the_site_has_every_page() -> None:
    """A page that no list of contents names is found by nobody."""
    index = _text(Path("docs/index.md"))
    listed = re.findall(r"^(?!:)([\w./*-]+)$", index, re.MULTILINE)
    known = {path.resolve() for line in listed for path in (ROOT / "docs").glob(line)}
    known |= {(ROOT / "docs" / line).resolve() for line in listed}
    written = {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("mrv/*.md")}
    written -= {ROOT / "docs/index.md", ROOT / "mrv/README.md"}
    assert {str(path.relative_to(ROOT)) for path in written - known} == set()


# what other programs say
THEIRS = {"Unspecified error", "Not authorized"}


def test_messages_that_are_explained_are_ours() -> None:
    """Whoever searches the page for what they read finds nothing."""
    rows = re.findall(r"^\| ([^|]*) \|", _text(Path("docs/troubleshooting.md")), re.MULTILINE)
    told = {word for row in rows for word in re.findall(r"`([^`]+)`", row)} - THEIRS
    rooms = ("mrv", "services", "ingest")
    code = "\n".join(p.read_text("utf-8") for room in rooms for p in (ROOT / room).rglob("*.py"))
    assert {word for word in told if word not in code} == set()


def test_commands_are_taken() -> None:
    """An operator types what a page says and is told that there is no such option."""

    @every(PAGES)
    def _(page: Path) -> None:
        for line in _commands(_text(page)):
            _accepted(line)


def _commands(text: str) -> list[str]:
    fences = re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)
    blocks = [block for language, block in fences if language in {"", "sh", "bash", "console"}]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = [span.removeprefix("tonne ") for span in spans if span.startswith("tonne ")]
    for block in blocks:
        joined = block.replace("\\\n", " ")
        found += re.findall(r"^\s*(?:\$ )?(?:\.venv/bin/)?tonne (.+)$", joined, re.MULTILINE)
    return [re.split(r"\s+#|\s[|>&]", line)[0] for line in found]


def _accepted(line: str) -> None:
    """Look for each option of a command."""
    command, words = _command(line)
    known = {"--help"}.union(*(p.opts + p.secondary_opts for p in command.params))
    for word in re.findall(r"--[a-z][a-z0-9-]*[a-z0-9]", " ".join(words)):
        assert word in known, f"tonne {line}: no option {word}"


def _command(line: str) -> tuple[click.Command, list[str]]:
    """Walk down the groups to the command, and the words after it; `a|b` stands for either."""
    words, command, context = shlex.split(line), main, click.Context(main)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        for one in name.split("|"):
            found = command.get_command(context, one)
            assert found is not None, f"tonne {line}: no command {one}"
        command = found
    return command, words


def test_the_table_of_systems_says_whole_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A city officer copies the command beside a system and is told what is missing."""
    monkeypatch.chdir(ROOT)
    text = _text(Path("docs/haiphong.md"))
    day = re.search(r'^DAY="(.*?)"', text, re.MULTILINE)
    assert day is not None
    lines = _commands(text.replace("$DAY", day[1]))
    assert sum("intervals" in line for line in lines) > 15
    for line in lines:
        command, words = _command(line)
        command.make_context(command.name, words)


def test_files_that_are_named_exist() -> None:
    """Who would change a rule opens the file that CONTRIBUTING names, and it was moved."""
    room = r"`((?:ingest|mrv|services|deploy|tests|docs)/[\w./-]*\.(?:py|toml|sql|sh|md))`"
    named = {
        (str(page.relative_to(ROOT)), path)
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *README_OF_PACKAGES]
        for path in re.findall(room, page.read_text(encoding="utf-8"))
        if not re.search(r"[A-Z]{4}|NNNN", path.replace("README.md", ""))
    }
    assert len(named) > 50
    assert [one for one in sorted(named) if not (ROOT / one[1]).exists()] == []


def test_targets_and_settings_exist() -> None:
    """A setting that no process knows stops every process at its start."""

    @every(PAGES)
    def _(page: Path) -> None:
        text = _text(page)
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
        named = set(re.findall(r"\bTONNE_[A-Z][A-Z0-9_]*[A-Z0-9]\b(?!_?\*)", text))
        assert named <= KNOWN | SWITCHES | COMPOSED


def test_every_setting_is_told_of() -> None:
    """Whoever deploys finds out about a setting from the source, or not at all."""
    told = set().union(
        *(re.findall(r"\bTONNE_[A-Z0-9_]+[A-Z0-9]\b", _text(page)) for page in PAGES)
    )
    assert {f"TONNE_{name.upper()}" for name in Settings.model_fields} - told == set()


def test_something_is_looked_at() -> None:
    """Patterns that no longer match would pass every page."""
    lines = [line for page in PAGES for line in _commands(_text(page))]
    assert len(lines) > 150
    with pytest.raises(AssertionError, match="no option --acept"):
        _accepted("log seal --acept x")
    with pytest.raises(AssertionError, match="no command sael"):
        _accepted("log seal|sael")
