"""Whose keys the tests sign with: an operator's, and an accredited verifier's of another one."""

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
    """Make a key that says whose it is."""
    from services.issuer import keys  # noqa: PLC0415 - tests of `mrv` alone load no services

    return keys.create(home, name, role, BOUNDS.get(role, NO_BOUNDS))
