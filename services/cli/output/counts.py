"""Numbers of things, in the right form of the word."""

from __future__ import annotations

_PLURALS = {"entry": "entries", "registry": "registries"}


def counted(number: int, noun: str) -> str:
    """Return `1 device`, `2 devices`; thousands are grouped."""
    return f"{number:,} {noun if number == 1 else _PLURALS.get(noun, f'{noun}s')}"
