# ruff: noqa: INP001 - a script, run by `make pages` and `make lint`
"""Write GLOSSARY.md from docs/lexicon.toml; `lint` reports refused words and long sentences."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LEXICON = ROOT / "docs/lexicon.toml"
GLOSSARY = ROOT / "GLOSSARY.md"
ROOMS = ("ingest", "mrv", "services", "deploy")
# generated pages, whose sources are checked instead
_MADE = ("docs/haiphong.md", "docs/metrics.md", "docs/views.md", "GLOSSARY.md")
_HEAD = """\
# Glossary

For: everyone who writes or translates texts of tonne. One word for one thing: code, command line, \
console, reports and documentation use these words. `make pages` writes this page from \
`docs/lexicon.toml`; `make lint` refuses the words of the last table. `tests/test_documented.py` \
compares the texts of console and reports with it. No native reader of the field has confirmed \
the columns of other languages than English yet.
"""
# names of the languages in the headings of columns
COLUMNS = {"en": "English", "vi": "Vietnamese", "ja": "Japanese", "de": "German"}


@cache
def lexicon() -> dict[str, Any]:
    """Return the lexicon: sections of terms, and a replacement for each refused word."""
    return tomllib.loads(LEXICON.read_text(encoding="utf-8"))


def page() -> str:
    """Return the text of GLOSSARY.md."""
    content = lexicon()
    lines = [_HEAD]
    for section in content["section"]:
        lines += [f"## {section['title']}", ""]
        lines += [
            f"| {' | '.join((*COLUMNS.values(), 'meaning'))} |",
            f"|{'---|' * len(COLUMNS)}---|",
        ]
        rows = ([*(t[tag] for tag in COLUMNS), t["means"]] for t in section["terms"])
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines.append("")
    lines += ["## Words not used", "", "| not | but |", "|---|---|"]
    lines += [f"| {word} | {better} |" for word, better in content["refused"].items()]
    lines += ["", "Also refused, in pages and in words of the console and reports:", ""]
    lines += ["| not | but |", "|---|---|"]
    lines += [f"| {word} | {better} |" for word, better in content["refused_in_texts"].items()]
    return "\n".join(lines) + "\n"


def refused(text: str, *tables: str) -> Iterator[str]:
    """
    Yield each refused word in a text, in lower case.

    `tables`: names of the lexicon's tables with refused words; `refused` if none is given.
    """
    yield from (word.lower() for word in _pattern(tables or ("refused",)).findall(text))


@cache
def _pattern(tables: tuple[str, ...]) -> re.Pattern[str]:
    words = "|".join(re.escape(word) for table in tables for word in lexicon()[table])
    return re.compile(rf"\b({words})\b", re.IGNORECASE)


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of a file's prose, without code and file names."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from _strings(ast.parse(text), path.is_relative_to(ROOT / "tests"))
        return
    code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif path.suffix == ".toml":
            yield number, line.partition(" = ")[2]
        elif not code:
            yield number, re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)


def _strings(tree: ast.Module, alone: bool) -> Iterator[tuple[int, str]]:
    """
    Yield (line, text) of docstrings; without `alone` also of other strings with a space.

    Names in the sections of a docstring are omitted.
    """
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documented = [node for node in ast.walk(tree) if isinstance(node, kinds) and node.body]
    docstrings = {
        id(node.body[0].value) for node in documented if isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) in docstrings:
            yield node.lineno, re.sub(r"`[^`]*`|^ *[\w, ]+ : ", "", node.value, flags=re.MULTILINE)
        elif not alone and " " in node.value and "SELECT" not in node.value:
            yield node.lineno, node.value


def files() -> Iterator[Path]:
    """Yield the files to check: word files, pages, Python modules (of tests only docstrings)."""
    yield from ROOT.glob("services/api/console/words/en.toml")
    yield from ROOT.glob("mrv/**/en.toml")
    yield from (ROOT / "docs").rglob("*.md")
    yield from ROOT.glob("*.md")
    for room in (*ROOMS, "tests"):
        yield from (ROOT / room).rglob("*.py")


@cache
def faults() -> list[str]:
    """Return a line for each refused word, with file and line number."""
    lines, better = [], lexicon()["refused"] | lexicon()["refused_in_texts"]
    for path in sorted(files()):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(_MADE) or path == Path(__file__).resolve():
            continue
        # the changelog keeps the words of its releases
        read_alone = path.suffix != ".py" and path.name != "CHANGELOG.md"
        tables = ("refused", "refused_in_texts") if read_alone else ("refused",)
        for number, text in prose(path):
            lines += [
                f"{name}:{number}: {word!r} is not used; write: {better[word]}"
                for word in refused(text, *tables)
            ]
    return lines


def long_sentences(language: str, text: str) -> Iterator[tuple[float, str]]:
    """Yield (size, sentence) of each sentence above the bound of its language."""
    japanese = language == "ja"
    for sentence in re.split(r"(?<=[.!?。])\s*" if japanese else r"(?<=[.!?:;])\s+", text):
        size: float = len(sentence.split())
        if japanese:  # a half-width character is half a full-width one
            size = sum(1 if unicodedata.east_asian_width(c) in "WFA" else 0.5 for c in sentence)
        if size > lexicon()["longest_sentence"][language]:
            yield size, sentence


@cache
def length_faults() -> list[str]:
    """Return a line for each sentence of a word file or page above its bound, with its place."""
    return [
        f"{path.relative_to(ROOT)}: {key}: a sentence of {size:g} {unit}, above {bound}; "
        f"write shorter sentences or a list: {sentence}"
        for language, bound in lexicon()["longest_sentence"].items()
        for unit in ("full-width characters" if language == "ja" else "words",)
        for room in ROOMS
        for path in sorted((ROOT / room).rglob(f"{language}.toml"))
        for key, text in _texts(tomllib.loads(path.read_text(encoding="utf-8")))
        for size, sentence in long_sentences(language, text)
    ] + [
        f"{path.relative_to(ROOT)}:{number}: a sentence of {size:g} words; split it: {sentence}"
        for path in sorted((*(ROOT / "docs").glob("*.md"), ROOT / "README.md"))
        if not path.relative_to(ROOT).as_posix().startswith((*_MADE, "docs/conformity.md"))
        for number, line in prose(path)
        for cell in re.split(r"\||<br>", line)
        for size, sentence in long_sentences("pages", cell)
    ]


def _texts(words: dict[str, Any], head: str = "") -> Iterator[tuple[str, str]]:
    for key, value in words.items():
        if isinstance(value, dict):
            yield from _texts(value, f"{head}{key}.")
        elif isinstance(value, str):
            yield f"{head}{key}", value


def main() -> None:
    """Write the glossary, or, with `lint`, exit with 1 if a word or sentence is at fault."""
    if sys.argv[1:] != ["lint"]:
        GLOSSARY.write_text(page(), encoding="utf-8")
        return
    if found := faults() + length_faults():
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
