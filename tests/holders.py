"""
Keys with which the tests sign: of an operator, and of an accredited verifier of another
organisation.
"""

from mrv.signatures.key_bounds import NO_BOUNDS, Accreditation, KeyBounds

BOUNDS = {
    "operator": KeyBounds("The Operator"),
    "verifier": KeyBounds("The Verifier", accreditation=Accreditation("VN-017")),
}
# the same as options of `tonne keys create`
OPTIONS = {
    "operator": ("--organisation", "The Operator"),
    "verifier": ("--organisation", "The Verifier", "--accreditation", "VN-017"),
}


def create(home, name, role):
    """Create a key with its organisation."""
    from services.issuer import keys  # noqa: PLC0415 - tests of `mrv` alone load no services

    return keys.create(home, name, role, BOUNDS.get(role, NO_BOUNDS))
