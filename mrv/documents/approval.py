"""An operator's approval of an issue, if two or more are required; see `mrv.statement.approval`."""

from mrv.documents.credential import RelatedResource, SignedCredential
from mrv.documents.form import Form, Hex


class Approved(Form):
    """The statement to be issued, and its verification."""

    id: str
    verification_sha256: Hex


class IssueApproval(SignedCredential):
    """The signed approval."""

    credential_subject: Approved
    related_resource: tuple[RelatedResource, ...]
