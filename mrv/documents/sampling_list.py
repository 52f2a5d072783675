"""The verifier's list of the device-days to look at; see `mrv.statement.sampling`."""

from typing import Literal

from mrv.documents.credential import RelatedResource, SignedCredential
from mrv.documents.form import Form, Hex, Whole

Drawn = Literal["at random", "by risk"]


class SampledDay(Form):
    """A device in a role on a local day, and why it was drawn; `metered` in `unit`."""

    device: str
    role: str
    day: str
    drawn: Drawn
    weight: Whole
    reasons: tuple[str, ...]
    metered: Whole
    unit: str


class Sample(Form):
    """Draw and seed, how many device-days there are and how many were drawn, and these."""

    id: str
    draw: str
    seed: Hex
    population: Whole
    random: Whole
    by_risk: Whole
    items: tuple[SampledDay, ...]


class SamplingList(SignedCredential):
    """The verifier's signed list."""

    credential_subject: Sample
    related_resource: tuple[RelatedResource, ...]
