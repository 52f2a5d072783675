"""The page that an evidence pack begins with: VERIFY.md, in plain words."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrv.documents.statement import Claims


def guide(said: Claims) -> bytes:
    """Write the page for a statement; a newer wording needs another format number."""
    period, method = said.monitoring_period, said.methodology
    return (
        _text()
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


@cache
def _text() -> str:
    return resources.files(__package__).joinpath("guide.md").read_text(encoding="utf-8")
