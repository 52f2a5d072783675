"""A project's status list: which of its statements count no more; see `mrv.statement.status`."""

from typing import Literal

from mrv.documents.credential import SignedCredential
from mrv.documents.form import Form


class StatusBits(Form):
    """One bit a statement, compressed: multibase base64url of gzip."""

    id: str
    type: Literal["BitstringStatusList"]
    status_purpose: str
    encoded_list: str


class StatusList(SignedCredential):
    """The operator's signed list."""

    credential_subject: StatusBits
