"""Flows between places: bands from givers to receivers, as wide as they are large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from services.api.console.charts.declared import declared


class Flow(NamedTuple):
    """A flow: who gives, who gets, how much, and how it is written."""

    giver: str
    receiver: str
    amount: float
    shown: str


def flows(found: Sequence[Flow], unit: str, amount: str, alt: str, name: str) -> Markup:
    """
    Draw flows.

    Parameters
    ----------
    found : sequence of Flow
        Of one unit, each above zero.
    amount : str
        What an amount is called.
    alt : str
        The flows in words.
    """
    said = {"unit": unit, "words": {"amount": amount}, "flows": [one._asdict() for one in found]}
    return declared("flows", said, alt, name)
