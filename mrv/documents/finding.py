"""Events of verification findings, each a credential signed by its author."""

from typing import Annotated, Literal

from msgspec import Meta

from mrv.documents.credential import RelatedResource, SignedCredential
from mrv.documents.form import UNSET, Form, Number, UnsetType

Kind = Literal["CAR", "CL", "OBS", "FAR"]
What = Literal["raised", "answered", "closed"]
State = Literal["open", "answered", "closed"]
MOST_CHARACTERS = 10_000
FindingName = Annotated[str, Meta(pattern=r"^(CAR|CL|OBS|FAR)-[1-9][0-9]{0,3}$")]
Text = Annotated[str, Meta(min_length=1, max_length=MOST_CHARACTERS, pattern=r"\S")]


class About(Form):
    """Which devices and local days of the statement a finding is about; `to` is the day after."""

    devices: tuple[str, ...] = ()
    from_: str | UnsetType = UNSET
    to: str | UnsetType = UNSET


class FindingSaid(Form):
    """
    One event: of which statement, of which finding, what happened and in which words.

    `about` is of a finding that is raised.

    `effect_t` is by how much the statement's reduction is too high for it, negative
    where too low; of a closing event what of it remains.
    """

    id: str
    finding: FindingName
    event: What
    text: Text
    effect_t: Number | None
    about: About | UnsetType = UNSET


class FindingEvent(SignedCredential):
    """An event of a finding, signed by the verifier (raised, closed) or the operator (answered)."""

    credential_subject: FindingSaid
    related_resource: tuple[RelatedResource, ...]
