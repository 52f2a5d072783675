"""One of some words; what is none of them is answered with the nearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from services.nearest import did_you_mean


class Choice(click.Choice[str]):
    """Click's choice, with a question where the word is nearly right."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__(choices)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word that was chosen."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            near = did_you_mean(str(value), map(str, self.choices))
            error.message = f"{error.message} {near[:1].upper()}{near[1:]}".rstrip()
            raise
