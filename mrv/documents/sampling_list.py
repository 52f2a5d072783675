"""The verifier's list of device-days to examine; see `mrv.statement.sampling`.

A project's status list: which of its statements count no more; see `mrv.statement.status`.
"""

from typing import Literal

from mrv.documents.credential import RelatedResource, SignedCredential
from mrv.documents.form import UNSET, Form, Hex, Time, UnsetType, Whole


class StatusBits(Form):
    """One bit per statement, compressed: multibase base64url of gzip."""

    id: str
    type: Literal["BitstringStatusList"]
    status_purpose: str
    encoded_list: str


class StatusList(SignedCredential):
    """The operator's signed list; `valid_until` is absent in lists of tonne 0.1.0."""

    valid_until: Time | UnsetType = UNSET
    credential_subject: StatusBits


Drawn = Literal["at random", "by risk"]


class SampledDay(Form):
    """A sampled device in a role on a local day, with the reason; `metered` in `unit`."""

    device: str
    role: str
    day: str
    drawn: Drawn
    weight: Whole
    reasons: tuple[str, ...]
    metered: Whole
    unit: str


class Sample(Form):
    """Draw, seed, number of device-days, number drawn, and the device-days drawn."""

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
