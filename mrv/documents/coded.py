"""Texts of a document: a code and its values, rendered in the reader's language."""

from __future__ import annotations

from mrv.documents.form import Form
from mrv.texts import RELEASE_0_1_0, Text, Value, render


class Coded(Form):
    """
    A text as a code of the word files, with its values by name.

    Values are names and identifiers, numbers as decimal text or whole numbers, texts of their
    own, or lists of these.
    """

    code: str
    values: dict[str, str | int | Coded | tuple[str | int | Coded, ...]]


def coded(text: Text) -> Coded:
    """Return a text in the form of a document."""
    return Coded(code=text.code, values={name: _out(value) for name, value in text.values})


def text_in(coded: Coded) -> Text:
    """Return a text from the form of a document."""
    return Text(coded.code, tuple(sorted((n, _in(v)) for n, v in coded.values.items())))


def read_text(said: str | Coded) -> Text | str:
    """Return a text; words without a code unchanged."""
    return said if isinstance(said, str) else text_in(said)


def words_of(said: str | Coded, language: str = "en") -> str:
    """Return a text in a language; words of tonne 0.1.0 unchanged."""
    return said if isinstance(said, str) else render(text_in(said), language)


def coded_or_words(said: str | Text) -> str | Coded:
    """Return a text in the form of a document; words without a code unchanged."""
    return said if isinstance(said, str) else coded(said)


def words_of_0_1_0(said: str | Text) -> str:
    """Return a text in the words that tonne 0.1.0 signed."""
    return said if isinstance(said, str) else render(said, RELEASE_0_1_0)


def _out(value: Value) -> str | int | Coded | tuple[str | int | Coded, ...]:
    if isinstance(value, Text):
        return coded(value)
    if isinstance(value, tuple):
        return tuple(coded(one) if isinstance(one, Text) else _single(one) for one in value)
    return value


def _single(value: Value) -> str | int:
    if isinstance(value, Text | tuple):
        raise TypeError(f"the value {value} is a list of lists; a text has no such values")
    return value


def _in(value: str | int | Coded | tuple[str | int | Coded, ...]) -> Value:
    if isinstance(value, Coded):
        return text_in(value)
    if isinstance(value, tuple):
        return tuple(text_in(one) if isinstance(one, Coded) else one for one in value)
    return value
