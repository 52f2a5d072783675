"""
Links, make targets, commands, options and settings named in README and docs exist.

The conformity map states what tests show, and nothing else.

The threat model names existing tests.

docs/lexicon.toml is compared with the texts of console and reports: one term for each thing.

A reader who finds "baseline" on one page and "reference" on the next assumes two figures.
"""

import ast
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import click
import pytest

from deploy import catalog_docs as docs
from deploy import catalog_docs as findings
from deploy import lexicon
from mrv.texts import languages, read
from services.cli.__main__ import main
from services.cli.words import FOLDERS
from services.settings import Settings
from tests.deploy.files import KNOWN
from tests.every import every

ROOT = Path(__file__).parents[1]


def test_every_term_has_every_language_and_a_meaning():
    """Each glossary term has all languages and a meaning."""
    assert set(lexicon.COLUMNS) == set(languages())
    for section in lexicon.lexicon()["section"]:
        for one in section["terms"]:
            assert one.keys() == {*languages(), "means"}
            assert all(one.values()), one


# endings of sentences: polite on pages, plain in documents that are signed and printed
_POLITE = re.compile(r"(です|ます|ません|ました|でした|ください)(?=[。」\uff09;、]|$)")
_PLAIN = re.compile(r"(である|する|(?<![まで])した|ない|いる|れる|った)。")


def test_japanese_is_polite_on_pages_and_plain_in_documents():
    """A report would change its tone from one sentence to the next, as no Japanese report does."""
    plain = {
        f"{folder}: {key}"
        for folder in FOLDERS
        if folder.startswith("mrv/")
        for key, text in _flat(read(ROOT / folder, "ja"))
        if _POLITE.search(text)
    }
    assert plain == set()
    assert _POLITE.search("登録してください。")
    blunt = {
        f"{folder}: {key}"
        for folder in FOLDERS
        if not folder.startswith("mrv/")
        for key, text in _flat(read(ROOT / folder, "ja"))
        if _PLAIN.search(text)
    }
    assert blunt == set()


@pytest.mark.parametrize("language", lexicon.lexicon()["refused_in"])
def test_no_text_has_a_second_word_for_a_term(language):
    """Two words for one thing would come back with the next translated text."""
    refused = lexicon.lexicon()["refused_in"][language]
    found = {
        (folder, key, word)
        for folder in FOLDERS
        for key, text in _flat(read(ROOT / folder, language))
        for word in refused
        if word in text
    }
    assert found == set()


def test_no_sentence_is_too_long():
    """A reader would not understand a condition at first reading."""
    assert lexicon.length_faults() == []


def test_a_long_sentence_is_found():
    """Each language has its own measure; a colon or semicolon ends a part of a list."""
    words = " ".join(["one"] * 26)
    assert list(lexicon.long_sentences("en", f"Short. {words}")) == [(26, words)]
    assert list(lexicon.long_sentences("de", f"Kurz: {words}")) == [(26, words)]
    assert not list(lexicon.long_sentences("vi", words))
    assert not list(lexicon.long_sentences("en", f"{words[:-4]}; {words[:-4]}."))
    japanese = "長" * 70
    assert list(lexicon.long_sentences("ja", f"短い。{japanese}a")) == [(70.5, f"{japanese}a")]
    assert not list(lexicon.long_sentences("ja", japanese))
    assert not list(lexicon.long_sentences("pages", f"{words} two three four five"))
    assert list(lexicon.long_sentences("pages", f"{words} two three four five six"))


def _flat(words, head=""):
    for key, one in words.items():
        if isinstance(one, dict):
            yield from _flat(one, f"{head}{key}.")
        else:
            yield f"{head}{key}", one


def test_the_glossary_is_that_of_the_lexicon():
    """A reader would look a word up that the translators changed."""
    assert lexicon.GLOSSARY.read_text("utf-8") == lexicon.page()


PAGE = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"\(\.\./(tests/[\w/]+\.py(?:#\w+)?)\)", PAGE)))


@cache
def _tests(file: str) -> set[str]:
    """Return the names of a file's tests."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_what_shows_a_control_is_there() -> None:
    """Each test that the threat model names exists."""

    @every(NAMED)
    def _(named: str) -> None:
        path, _, name = named.partition("#")
        assert not name or name in _tests(path), f"{path} has no {name}"


TABLE = (ROOT / docs.TABLE).read_text("utf-8")
FINDINGS = (ROOT / findings.FINDINGS).read_text("utf-8")


def test_the_page_is_what_the_table_says():
    """An auditor would read an outdated generated page."""
    page = docs.conformity_page(TABLE) + findings.findings_section(FINDINGS, ROOT / findings.TESTS)
    assert page == (ROOT / docs.CONFORMITY).read_text("utf-8"), "run `make pages`"
    assert docs.refreshed(PAGE) == PAGE, "run `make pages`"
    assert [row for row in page.splitlines() if row.startswith("|") and row[-1] != "|"] == []


def test_every_test_that_is_named_is_there():
    """A line would refer to a removed test."""
    rows = findings.resolved(FINDINGS, ROOT / findings.TESTS)
    rows = [*rows, *tomllib.loads(TABLE)["line"]]
    for named in [test for row in rows for test in row.get("tests", ())]:
        file, _, name = named.partition("::")
        name = name.partition("[")[0]
        assert name in _tests(file), named
        # what the test shows, not what would be without it
        assert " would " not in docs.link_to(f"{file}::{name}"), named


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
    """Anyone who looks for help at night ends at a page that was moved."""

    @every(PAGES)
    def _(page: Path) -> None:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", _text(page)):
            if re.match(r"(https?|mailto):", target):
                continue
            found = ROOT / page.parent / target if target else ROOT / page
            assert found.exists(), f"{page}: {target}"
            if anchor and found.suffix == ".md":
                assert anchor in _anchors(found.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_the_site_has_every_page() -> None:
    """A page that no list of contents names is found by no one."""
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
    """A reader who searches the docs for an error message would not find it."""
    rows = re.findall(r"^\| ([^|]*) \|", _text(Path("docs/troubleshooting.md")), re.MULTILINE)
    told = {word for row in rows for word in re.findall(r"`([^`]+)`", row)} - THEIRS
    rooms = ("mrv", "services", "ingest")
    code = "\n".join(p.read_text("utf-8") for room in rooms for p in (ROOT / room).rglob("*.py"))
    assert {word for word in told if word not in code} == set()


def test_commands_are_taken() -> None:
    """An operator types what a page says and is informed that there is no such option."""
    assert sum(len(_commands(_text(page))) for page in PAGES) > 150

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
    """Check each option of a command."""
    command, words = _command(line)
    known = {"--help"}.union(*(p.opts + p.secondary_opts for p in command.params))
    for word in re.findall(r"--[a-z][a-z0-9-]*[a-z0-9]", " ".join(words)):
        assert word in known, f"tonne {line}: no option {word}"


def _command(line: str) -> tuple[click.Command, list[str]]:
    """Return the command below the groups, and the words after it; `a|b` is either."""
    words, command, context = shlex.split(line), main, click.Context(main)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        for one in name.split("|"):
            found = command.get_command(context, one)
            assert found is not None, f"tonne {line}: no command {one}"
        command = found
    return command, words


def test_the_table_of_systems_says_whole_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A city officer copies the command beside a system and gets an error
    about missing arguments.
    """
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
    """Anyone who deploys finds out about a setting from the source, or not at all."""
    told = set().union(
        *(re.findall(r"\bTONNE_[A-Z0-9_]+[A-Z0-9]\b", _text(page)) for page in PAGES)
    )
    assert {f"TONNE_{name.upper()}" for name in Settings.model_fields} - told == set()
