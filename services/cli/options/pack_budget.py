"""How much of an evidence pack a command reads."""

from __future__ import annotations

from mrv.packs.budget import LARGE, USUAL, Budget


def pack_budget(*, large: bool = False) -> Budget:
    """Return the usual budget, or that of a pack whose maker the reader knows."""
    from services.settings import Settings  # noqa: PLC0415 - loads what else `verify` does without

    return LARGE if large or Settings().large_packs else USUAL
