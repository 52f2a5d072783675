"""Command `tonne words`: adds a language of pages and reports, and checks its texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import click
from babel import Locale, UnknownLocaleError

from ingest.errors import InputError
from mrv.texts import ENGLISH, TAG, faults, read, tags
from services.cli import Group, json_option
from services.cli.output import Exit, print_result, table

# folder of the packages; folders of word files, of which the first determines the available
# languages
ROOT = Path(str(resources.files("mrv"))).parent
FOLDERS = (
    "mrv/texts",
    "mrv/rules/words",
    "mrv/report/words",
    "mrv/report/words/names",
    "mrv/report/words/meanings",
    "services/api/console/words",
    # only in a checkout: `make dashboards` writes boards from it
    *(folder for folder in ("deploy/grafana/words",) if (ROOT / folder).is_dir()),
)
_LINE = re.compile(r"(\".*?\"|\S+) = (\".*\")")


class Lack(NamedTuple):
    """Missing or wrong text of a key in a word file."""

    language: str
    file: str
    key: str
    problem: str


@click.group(cls=Group)
def words() -> None:
    """
    Add a language for pages, reports, dashboards and findings, and check its texts.

    A language is one TOML file in each folder of texts. Missing texts are shown in English.

    \b
    Example:
      tonne words new fr
      tonne words check fr
    """


@words.command()
@click.argument("language", metavar="LANG")
@json_option
def new(language: str, *, as_json: bool) -> None:
    """
    Add a language: write its word files with empty texts, each with the English text as a comment.

    LANG is its tag: fr, pt-BR. Its name and its formats of numbers and dates come from Unicode
    CLDR.

    \b
    Example:
      tonne words new fr
    """
    forms = _forms(language)
    if language in tags(ROOT / FOLDERS[0]):
        raise InputError(f"language {language!r} exists; see `tonne words check {language}`")
    files = [f"{folder}/{language}.toml" for folder in FOLDERS]
    for folder, name in zip(FOLDERS, files, strict=True):
        text = (ROOT / folder / f"{ENGLISH}.toml").read_text("utf-8")
        (ROOT / name).write_text("".join(f"{line}\n" for line in _begun(text, forms)), "utf-8")
    print_result({"language": language, "files": files}, "\n".join(files), as_json=as_json)


@words.command()
@click.argument("language", metavar="[LANG]", required=False)
@json_option
def check(language: str | None, *, as_json: bool) -> None:
    """
    Check the texts of one language or all; list missing ones by file and key, exit code 1 if any.

    A text must contain the same values in braces as the English one.

    \b
    Example:
      tonne words check
      tonne words check de
    """
    known = tags(ROOT / FOLDERS[0])
    if language is not None and language not in known:
        raise InputError(
            f"language {language!r} does not exist: {', '.join(known)}; `tonne words "
            f"new {language}` starts it"
        )
    lacks = [lack for tag in known if language in {None, tag} for lack in lacking(tag)]
    text = table(Lack._fields, lacks, empty="every text is there, with its values")
    print_result([lack._asdict() for lack in lacks], text, as_json=as_json)
    if lacks:
        raise click.exceptions.Exit(Exit.FALSE)


def lacking(language: str) -> Iterator[Lack]:
    """Yield the missing or wrong texts of a language."""
    for folder in FOLDERS:
        place = ROOT / folder
        for fault in faults(read(place, ENGLISH), read(place, language)):
            yield Lack(language, f"{folder}/{language}.toml", fault.key, fault.problem)


def _begun(english: str, forms: Mapping[str, str]) -> Iterator[str]:
    table_ = ""
    for line in english.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            table_ = line if line.startswith("[") else table_
            yield line
        elif table_ == "[language]":
            yield f'{match[1]} = "{forms[match[1]]}"'
        else:
            yield f'{match[1]} = ""  # {match[2]}'


def _forms(language: str) -> dict[str, str]:
    """Return a language's name and its formats of numbers and dates, from Unicode CLDR."""
    try:
        locale = Locale.parse(language, sep="-") if TAG.fullmatch(language) else None
    except UnknownLocaleError:
        locale = None
    if locale is None:
        raise InputError(
            f"language {language!r} is not a language tag of Unicode CLDR; enter one such as fr "
            "or pt-BR"
        )
    symbols, spans = locale.number_symbols["latn"], locale.interval_formats["yMMMd"]
    # month names in full; spaces replaced by those that every font has
    long = {key: "".join(parts).replace("MMM", "MMMM") for key, parts in spans.items() if key}
    forms = {
        "name": locale.get_display_name(locale) or language,
        "decimal": symbols["decimal"],
        "group": symbols["group"],
        "percent": locale.percent_formats[None].suffix[0],
        "day": locale.date_formats["long"].pattern,
        "days_of_month": long["d"],
        "days_of_year": long["M"],
        "days": long["y"],
    }
    return {
        key: re.sub("[\u2009\u202f]", "\N{NO-BREAK SPACE}", form) for key, form in forms.items()
    }
