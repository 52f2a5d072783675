"""An operator's approval of an issue, where two or more have to; see `mrv.statement.approval`."""

from mrv.documents.credential import RelatedResource, SignedCredential
from mrv.documents.form import Form, Hex


class Approved(Form):
    """Which statement is to be issued, and by which verification."""

    id: str
    verification_sha256: Hex


class IssueApproval(SignedCredential):
    """The signed approval."""

    credential_subject: Approved
    related_resource: tuple[RelatedResource, ...]
