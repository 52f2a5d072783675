"""
Values of a baseline that a condition asks a dated document for; nothing is taken off.

The diesel of the replaced buses is a survey's, the electricity of a model its type approval's,
the depth of a lagoon and what the old plant could release are of reports before the project: a
free text shows none of them, and lists and classes bound them.  A rule of tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from mrv.accounting.device_period import Monitored
from mrv.accounting.invoice_evidence import undocumented
from mrv.accounting.period_result import Finding
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs
from mrv.registry.project import Besides

RULE = "PAR-07"


def undated(
    methodology: Methodology,
    parameters: Inputs,
    monitored: Sequence[Monitored],
    besides: Besides,
    first: date,
) -> Iterator[Finding]:
    """
    Say which values that are given lack a document of before the period.

    Parameters
    ----------
    first : date
        Local day on which the period begins.
    """
    if not methodology.dated:
        return
    given = {**{k: v for m in monitored for k, v in m.params.items()}, **parameters}
    told = []
    for name in methodology.dated:
        lacks = undocumented(name, given, besides.documents, first) if name in given else None
        if lacks is not None:
            spec = methodology.spec_of(name)
            told.append(f"{name} ({spec.meaning} [{spec.unit}]; {spec.source}): {lacks}")
    remedy = (
        "; name the report in the project's `documents` with `by`, `issued` (before the period)"
        " and `sha256`"
    )
    yield Finding(RULE, not told, "; ".join(told) + remedy if told else "")
