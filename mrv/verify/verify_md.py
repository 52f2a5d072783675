"""The page that an evidence pack begins with: VERIFY.md, in plain words."""

from __future__ import annotations

from functools import cache
from importlib import resources

from mrv.documents.statement import Claims

# The wording of now, and the one that packs of 0.1.0 hold.
_WORDINGS = ("guide.md", "guide_0_1_0.md")


def guide(said: Claims, wording: str = _WORDINGS[0]) -> bytes:
    """Write the page for a statement."""
    period, method = said.monitoring_period, said.methodology
    return (
        _text(wording)
        .format(
            name=said.statement,
            project=said.project.id,
            project_name=said.project.name,
            methodology=method.id,
            version=method.version,
            title=method.title,
            begin=period.local_from,
            end=period.local_to,
            zone=period.timezone,
            reduction=said.emissions.reduction.t,
            credited=said.credited.t,
        )
        .encode()
    )


def is_guide(data: bytes, said: Claims) -> bool:
    """Whether bytes are the page that this or an earlier version writes for a statement."""
    return any(data == guide(said, wording) for wording in _WORDINGS)


@cache
def _text(wording: str) -> str:
    return resources.files(__package__).joinpath(wording).read_text(encoding="utf-8")
