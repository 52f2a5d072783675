"""
Texts as data: a code and exact values; words are in one file per language.

Findings, deductions and conditions contain a `Text`, which is rendered in the reader's language on
display.  A text is never used as a key.

Word files: one TOML file per language in a folder; missing words are taken from English.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, total_ordering
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

_GROUP = 3
# table with a language's name, and the forms of its numbers and dates
_LANGUAGE = "language"
# a separate language: English texts signed by tonne 0.1.0
RELEASE_0_1_0 = "release_0_1_0"
# maximum number of texts of a finding; a last text states the number of further ones
MAX_LINES = 5
# matches marks of certainty, but not links in Markdown
_CERTAINTY = re.compile(r"(?<![:,\s]) \[M\]|(?:(?<=[:,])(\s))?\[([MrTBR])\](?!\()")


@total_ordering
@dataclass(frozen=True, slots=True, eq=True, order=False)
class Text:
    """
    A text before rendering.

    `code`: table and key in the word files, such as `MTR-01.above_rating`.
    `values`: by name: a name or identifier, a number as exact decimal text or int, a `Text`, or a
    tuple of these, which is a list.
    """

    code: str
    values: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        return render(self)

    def __lt__(self, other: object) -> bool:
        """Return whether this text's code, then its values, precede those of another text."""
        if not isinstance(other, Text | str):
            return NotImplemented
        return repr(self) < repr(other)

    def named(self, what: str) -> Iterator[str]:
        """Yield the values named `what` in a text and its nested texts, such as `device`."""
        for name, value in self.values:
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, Text):
                    yield from each.named(what)
                elif name == what and isinstance(each, str):
                    yield each


Value = str | int | Text | tuple["Value", ...]


def text(code: str, /, **values: Value) -> Text:
    """Return a text from its code and values."""
    return Text(code, tuple(sorted(values.items())))


def joint(code: str, names: Sequence[str]) -> Value:
    """Return names joined by `text.and` or `text.or`; a single name unchanged."""
    whole: Value = names[0]
    for other in names[1:]:
        whole = text(code, one=whole, other=other)
    return whole


def plain(words: str) -> tuple[Text, ...]:
    """Return words without a code as texts; empty for no words."""
    return (text("text.plain", words=words),) if words else ()


# texts of a finding; `str` is a text without a code
Texts = tuple[Text, ...] | Text | str


def texts_of(texts: Texts) -> tuple[Text, ...]:
    """Return one text, or several, as a tuple of texts."""
    if isinstance(texts, str):
        return plain(texts)
    return (texts,) if isinstance(texts, Text) else texts


def devices_of(texts: Iterable[Text]) -> tuple[str, ...]:
    """Return the ids of the devices named in texts, each once."""
    return tuple(sorted({name for text_ in texts for name in text_.named("device")}))


def lines(texts: Iterable[Text], maximum: int = MAX_LINES) -> tuple[Text, ...]:
    """Return the first lines of a finding, with a last line for the number of further ones."""
    every = tuple(texts)
    if len(every) <= maximum:
        return every
    return (*every[:maximum], text("text.more", count=len(every) - maximum))


def render(text_: Text, language: str = "en", **others: Value) -> str:
    """
    Return a text in a language, or in English if a translation is missing.

    `others`: further values, such as the `tonnes` of its finding.

    Notes
    -----
    A code that this release does not know is written with its values.
    """
    values = {**others, **dict(text_.values)}
    pattern = words(language).get(text_.code)
    if pattern is None:
        stated = ", ".join(f"{k} = {_formatted(v, language)}" for k, v in text_.values)
        return f"{text_.code} ({stated})"
    return _Formatter(language).vformat(pattern, (), values)


def sourced(source: str, language: str = "en") -> str:
    """
    Return a source in which a note in words replaces the mark of how its text was read.

    A note directly after [M], which marks an unverified text, is omitted.
    """
    own = words(language)

    def written(match: re.Match[str]) -> str:
        space, letter = match.groups()
        if letter is None:
            return ""
        meaning = own[f"certainty.read_{letter}"]
        return f"({meaning})" if space is None else f"{space}{meaning}"

    return _CERTAINTY.sub(written, source)


def joined(texts: Sequence[Text], language: str = "en", **others: Value) -> str:
    """Return the texts of a finding as one line; one with a capital letter is a new sentence."""
    line = ""
    for text_ in texts:
        words_ = render(text_, language, **others)
        sentence = words_[:1].isupper() and language != RELEASE_0_1_0
        line += f"{'. ' if sentence else '; '}{words_}" if line else words_
    return line


def number(decimal: str, language: str) -> str:
    """Return decimal text in a language's form: same digits, other separators."""
    point, comma = form("decimal", language), form("group", language)
    sign = "\N{MINUS SIGN}" if decimal.startswith("-") else ""
    whole, _, rest = decimal.lstrip("-").partition(".")
    head = len(whole) % _GROUP
    parts = [whole[:head]] if head else []
    parts += [whole[i : i + _GROUP] for i in range(head, len(whole), _GROUP)]
    return sign + comma.join(parts) + (point + rest if rest else "")


@cache
def languages() -> tuple[str, ...]:
    """Return the available languages, English first."""
    return tags(resources.files(__name__))


def form(name: str, language: str) -> str:
    """
    Return an entry of a language's word file, by key: its name, or a pattern of
    numbers or dates.
    """
    result: str = _tables(language)[_LANGUAGE][name]
    return result


@cache
def words(language: str) -> Mapping[str, str]:
    """Return the words of a language by code; English where missing."""
    tables = _tables(language).items()
    return {
        f"{table}.{key}": value
        for table, rows in tables
        if table != _LANGUAGE
        for key, value in rows.items()
    }


@cache
def signed_by_0_1_0(key: str) -> str:
    """Return the English text of a key, in the words that tonne 0.1.0 signed."""
    result: str = read(resources.files(__name__), RELEASE_0_1_0)["signed"][key]
    return result


def declared(meaning: str, *, first: bool) -> str:
    """Return a meaning or source of a parameter; `first`: in the words that tonne 0.1.0 signed."""
    return _declared().get(meaning, meaning) if first else meaning


@cache
def _declared() -> Mapping[str, str]:
    result: Mapping[str, str] = read(resources.files(__name__), RELEASE_0_1_0)["declared"]
    return result


def _tables(language: str) -> Mapping[str, Mapping[str, str]]:
    return filled(__name__, "", language)


def _formatted(value: object, language: str) -> str:
    if isinstance(value, Text):
        return render(value, language)
    if isinstance(value, tuple):
        return ", ".join(_formatted(item, language) for item in value)
    return str(value)


class _Formatter(string.Formatter):
    """
    Formatter of `{name}` with a value, and `{name:number}` with digits in the language's form.

    Other formats are those of Python floats, as in tonne 0.1.0.
    """

    def __init__(self, language: str) -> None:
        self._language = language

    def format_field(self, value: object, format_spec: str) -> str:
        formatted = _formatted(value, self._language)
        if format_spec == "number":
            return number(formatted, self._language)
        return format(float(formatted), format_spec) if format_spec else formatted


ENGLISH = "en"
# names of word files, such as `de`, `pt-BR`; other files are not languages
TAG = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
Words = Mapping[str, Any]


class Fault(NamedTuple):
    """A fault in a language's word file: its key, and what is wrong."""

    key: str
    problem: str


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
    """Yield words that a language lacks, words that English lacks, and differing values."""
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
    """Return the number of each value name in a text."""
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
