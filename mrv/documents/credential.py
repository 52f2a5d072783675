"""Common parts of all signed documents: issuer, proof, and reference to another document."""

from mrv.documents.form import UNSET, Form, LocalTime, Time, UnsetType, field

Context = tuple[str, ...] | str


class Issuer(Form):
    """The issuer: did:key of an enrolled key, and its holder's name."""

    id: str
    name: str


class Proof(Form):
    """A Data Integrity proof (W3C, eddsa-jcs-2022); its signature is not verified here."""

    type: str
    cryptosuite: str
    created: LocalTime
    verification_method: str
    proof_purpose: str
    proof_value: str
    context: Context | UnsetType = field(default=UNSET, name="@context")
    id: str | UnsetType = UNSET


class RelatedResource(Form):
    """Another document, by its id and the digests of its canonical bytes."""

    id: str
    digest_sri: str = field(name="digestSRI")
    digest_multibase: str
    media_type: str


class Credential(Form):
    """
    A W3C Verifiable Credential (VC data model 2.0).

    `proof` is one, or a set; each counts only when `mrv.signatures` verified it.
    """

    context: tuple[str, ...] = field(name="@context")
    id: str
    type: tuple[str, ...]
    valid_from: Time


class SignedCredential(Credential):
    """A credential with its issuer and proof."""

    issuer: Issuer
    proof: Proof | tuple[Proof, ...]
