"""How registry files state a field: annotation of the fields of registry entries."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

# the most that an annual amount may be
MAX_EXPECTED = 10**15
MAX_WATT = 10**12
YEARS = 1990, 2200
Form = Literal["", "id", "sha256", "names", "year", "flat", "derived"]


class Key(NamedTuple):
    """
    Annotation of a field: its key in files, and what a file may give.

    Attributes
    ----------
    name : str
        Key, where it is not the name of the field.
    lacks : str
        What to give, where a required value is missing.
    low, high : float
        Limits of a number, inclusive.
    form : Form
        Form of a text or date; `flat` for a mapping whose keys are listed with those of the other
        fields, `derived` for a field that a file does not have.
    order : tuple of str
        Fields by which rows of a list are sorted; two rows may not be equal in all of them.
    column : str
        Column in the database, where it is not the name of the field.
    """

    name: str = ""
    lacks: str = ""
    low: float = 0
    high: float | None = None
    form: Form = ""
    order: tuple[str, ...] = ()
    column: str = ""


Id = Annotated[str, Key(form="id")]
Sha256 = Annotated[str, Key(form="sha256")]
