"""The page that an evidence pack begins with: VERIFY.md, in plain words."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def guide(statement: Mapping[str, Any]) -> bytes:
    """Write the page for a statement; a newer wording needs another format number."""
    subject = statement["credentialSubject"]
    period, method = subject["monitoringPeriod"], subject["methodology"]
    return (
        _text()
        .format(
            name=subject["statement"],
            project=subject["project"]["id"],
            project_name=subject["project"]["name"],
            methodology=method["id"],
            version=method["version"],
            title=method["title"],
            begin=period["localFrom"],
            end=period["localTo"],
            zone=period["timezone"],
            reduction=subject["emissions"]["reduction"]["t"],
            credited=subject["credited"]["t"],
        )
        .encode()
    )


@cache
def _text() -> str:
    return resources.files(__package__).joinpath("guide.md").read_text(encoding="utf-8")
