"""
Translation of dashboards: marked texts are replaced by those of a language.

A marked text is its own key in the word files of `deploy/grafana/words`; one that begins with @ is
a key of the console's word files, so that both use the same names of classes and alarms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from mrv.report.words import names
from mrv.texts.word_files import ENGLISH, read, tags
from services.api.console.translations import texts

WORDS = Path(__file__).parents[1] / "words"
_MARKED = re.compile(r"«([^«»]+)»")
_HEAD = "# English texts of the boards, written by `make dashboards`: each is its own key.\n\n"


def word(text: str) -> str:
    """Return a text marked for translation; a text with marks is returned unchanged."""
    return text if "«" in text else f"«{text}»"


def named(key: str) -> str:
    """Return the translation mark for a key of the console's word files, such as `class.pump`."""
    return f"«@{key}»"


def languages() -> tuple[str, ...]:
    """Return the languages with a word file, English first."""
    return tags(WORDS)


def marked(text: str) -> set[str]:
    """Return the texts in a dashboard that need translation."""
    return {text_ for text_ in _MARKED.findall(text) if not text_.startswith("@")}


def spoken(text: str, language: str) -> str:
    """Return a dashboard's text in a language; untranslated texts stay English."""
    own, common = _own(language), _common(language)

    def words_of(match: re.Match[str]) -> str:
        text = match[1]
        return common[text[1:]] if text.startswith("@") else own.get(text) or text

    return _MARKED.sub(words_of, text)


def english(marks: Iterable[str]) -> str:
    """Return the contents of the English word file."""
    lines = (
        f"{json.dumps(mark, ensure_ascii=False)} = {json.dumps(mark, ensure_ascii=False)}\n"
        for mark in sorted(marks)
    )
    return _HEAD + "".join(lines)


@cache
def _own(language: str) -> Mapping[str, str]:
    return {} if language == ENGLISH else read(WORDS, language)


@cache
def _common(language: str) -> Mapping[str, str]:
    return {**names(language), **texts(language)}
