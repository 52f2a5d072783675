"""Any methodology as an estimate: its own equation with the planned year's activity."""

from __future__ import annotations

from mrv.exante.model import Estimate, Outcome
from mrv.methodologies import compute
from mrv.model import Factors, Methodology
from mrv.parameters.inputs import Inputs


def of(methodology: Methodology) -> Estimate:
    """Return the estimate of a methodology."""

    def run(inputs: Inputs, factors: Factors, where: str) -> Outcome:
        result = compute(methodology, inputs, factors, where)
        return Outcome(
            method=methodology.id, energy_kwh=None, reductions=result, figures=result.extra
        )

    return Estimate(
        methodology.id,
        methodology.title,
        methodology.reference,
        f"The planned year's activity in the equation of {methodology.id}.\n\n{methodology.notes}",
        methodology.inputs,
        run,
    )
