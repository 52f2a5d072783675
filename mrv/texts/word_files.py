"""Word files: one TOML file per language in a folder; missing words are taken from English."""

from __future__ import annotations

import re
import string
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

ENGLISH = "en"
# what a file is named after: `de`, `pt-BR`; a file of any other name is not a language
TAG = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
Words = Mapping[str, Any]


class Fault(NamedTuple):
    """A fault of a key in a language."""

    key: str
    what: str


def tags(folder: Traversable) -> tuple[str, ...]:
    """Return the languages with a file in a folder, English first."""
    names = (path.name.removesuffix(".toml") for path in folder.iterdir() if path.is_file())
    return (ENGLISH, *sorted({name for name in names if TAG.fullmatch(name)} - {ENGLISH}))


def read(folder: Traversable, name: str) -> Words:
    """Return the words of one file; empty without such a file."""
    file = folder.joinpath(f"{name}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


@cache
def filled(package: str, folder: str, name: str) -> Words:
    """Return the words of one file, with English for missing ones."""
    place = resources.files(package).joinpath(folder)
    return _filled(read(place, ENGLISH), read(place, name))


def _filled(english: Words, own: Words) -> Words:
    return {
        key: _filled(item, own.get(key) or {})
        if isinstance(item, Mapping)
        else own.get(key) or item
        for key, item in english.items()
    }


def faults(english: Words, own: Words) -> Iterator[Fault]:
    """Yield missing words of a language, missing words of English, and different values."""
    here, there = dict(_flat(english)), dict(_flat(own))
    for key, value in here.items():
        if not there.get(key, "").strip(" "):
            yield Fault(key, "missing")
            continue
        try:
            wrong = fields(value) != fields(there[key])
        except ValueError as error:
            yield Fault(key, f"braces: {error}")
            continue
        if wrong:
            needed = ", ".join(f"{{{name}}}" for name in fields(value).elements()) or "none"
            yield Fault(
                key, f"its placeholders differ from those of the English text; use {needed}"
            )
    yield from (Fault(key, "unknown to English") for key in there if key not in here)


def fields(pattern: str) -> Counter[str]:
    """Return the value names in a text."""
    parsed = [(name, form) for _, name, form, _ in string.Formatter().parse(pattern)]
    result = Counter(
        f"{name}:{form}" if form else name for name, form in parsed if name is not None
    )
    return Counter({name: 1 if name else often for name, often in result.items()})


def _flat(words: Words, head: str = "") -> Iterator[tuple[str, str]]:
    for key, item in words.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{head}{key}.")
        else:
            yield f"{head}{key}", str(item)
