"""A verifier's sampling list as it is signed; see `mrv.statement.sampling`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from services.api.schemas.base import Line, Shape

_MOST = 100_000
_Whole = r"^[0-9]{1,12}$"


class SampledDay(Shape):
    """A device on a local day of its service."""

    device: Line = Field(max_length=64)
    role: Line = Field(max_length=64)
    day: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    drawn: Literal["at random", "by risk"]
    weight: str = Field(pattern=_Whole)
    reasons: list[Line]
    metered: str = Field(pattern=r"^-?[0-9]{1,30}$")
    unit: Line = Field(max_length=20)


class SampledDays(Shape):
    """What was drawn, from how many, and by which seed; counts are decimal text."""

    id: Line = Field(max_length=200)
    draw: str = Field(pattern=r"^z[1-9A-HJ-NP-Za-km-z]{1,200}$")
    seed: str = Field(pattern="^[0-9a-f]{64}$")
    population: str = Field(pattern=_Whole)
    random: str = Field(pattern=_Whole)
    by_risk: str = Field(alias="byRisk", pattern=_Whole)
    items: list[SampledDay] = Field(max_length=_MOST)


class SamplingList(Shape):
    """
    The verifier's credential, as `tonne statement sample PACK --key N --out FILE` signs it.

    Only its form is reported here; proof, issuer and draw are checked, and the list is drawn
    again from the evidence.
    """

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    context: list[Line] = Field(alias="@context")
    id: Line = Field(max_length=200)
    type: list[Line]
    issuer: dict[str, Any]
    valid_from: Line = Field(alias="validFrom", max_length=40)
    subject: SampledDays = Field(alias="credentialSubject")
    related: list[dict[str, Any]] = Field(alias="relatedResource")
    proof: dict[str, Any]


class Sampled(Shape):
    """What a statement's verifier looks at: so many device-days of so many."""

    statement: str
    state: Literal["under_verification"]
    random: int
    by_risk: int
    population: int
