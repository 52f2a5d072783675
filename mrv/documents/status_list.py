"""A project's status list: which of its statements count no more; see `mrv.statement.status`."""

from typing import Literal

from mrv.documents.credential import SignedCredential
from mrv.documents.form import UNSET, Form, Time, UnsetType


class StatusBits(Form):
    """One bit a statement, compressed: multibase base64url of gzip."""

    id: str
    type: Literal["BitstringStatusList"]
    status_purpose: str
    encoded_list: str


class StatusList(SignedCredential):
    """The operator's signed list; `valid_until` is absent in those of tonne 0.1.0."""

    valid_until: Time | UnsetType = UNSET
    credential_subject: StatusBits
