"""A programme's trust root is replaced by newer versions only under its own rules."""

from datetime import UTC, datetime

import pytest

from mrv.errors import EnrolmentError, MrvError
from mrv.signatures import canonical
from mrv.signatures.keys import SigningKey, write_keyring
from mrv.signatures.trust_root import (
    TrustRoot,
    read_next,
    read_root,
    read_trusted,
    sign_root,
    write_root,
)
from mrv.verify import verify
from tests.mrv import packs
from tests.mrv.forging import ASKED, RING, STATUS, WHOLE

OLD = [SigningKey(bytes([120 + at]) * 32) for at in range(3)]
NEW = [SigningKey(bytes([140 + at]) * 32) for at in range(3)]
THEN = datetime(2026, 2, 10, tzinfo=UTC)


def root(version=1, keys=OLD, threshold=2, expires="2027-01-01T00:00:00Z", ring=RING, name="city"):
    """Make a trust root that two of its three keys must sign."""
    multikeys = tuple(key.public_multikey for key in keys)
    return TrustRoot(name, version, expires, multikeys, threshold, tuple(ring))


def signed(made, *keys):
    """Sign a trust root with some keys, of whatever kind."""
    message = canonical.encode(made.signed())
    return write_root(made, [(key.public_multikey, key.sign(message)) for key in keys])


FIRST = signed(root(), *OLD[:2])


def test_an_auditor_relies_on_whom_the_programme_names():
    """An auditor would have to collect every key by telephone, or trust the operator's list."""
    trusted = read_trusted(FIRST, THEN)
    report = verify(WHOLE, trusted, STATUS, at=ASKED)
    assert report.exit_code == 0
    assert report.keys == "3 trusted keys, from version 1 of the trust root of city"


def test_too_few_signatures_are_not_enough():
    """One root key in a thief's hand would name the verifiers."""
    for keys in ([], OLD[:1], [OLD[0], OLD[0]], [OLD[0], NEW[0]], NEW):
        with pytest.raises(EnrolmentError, match="are required"):
            read_root(signed(root(), *keys), THEN)
    for some in (OLD[:2], OLD[1:], OLD):
        assert read_root(signed(root(), *some), THEN).version == 1
    with pytest.raises(EnrolmentError, match="is not a root key"):
        sign_root(FIRST, NEW[0])


def test_the_next_version_is_signed_by_the_old_keys_and_by_the_new_ones():
    """Anyone who stole the new keys, or held the old ones alone, could take the programme over."""
    second = root(2, NEW)
    message = signed(second, *OLD[:2], *NEW[:2])
    assert read_next(FIRST, message, THEN) == second
    for keys in (OLD, NEW, [*OLD[:1], *NEW], [*OLD, *NEW[:1]], []):
        with pytest.raises(EnrolmentError, match="are required"):
            read_next(FIRST, signed(second, *keys), THEN)


def test_no_version_is_left_out_taken_twice_or_of_another_programme():
    """An old file would bring back a key that was taken out since."""
    for version in (1, 3, 9):
        with pytest.raises(EnrolmentError, match="does not follow"):
            read_next(FIRST, signed(root(version), *OLD), THEN)
    with pytest.raises(EnrolmentError, match="does not follow"):
        read_next(FIRST, signed(root(2, name="elsewhere"), *OLD), THEN)


def test_an_expired_root_is_refused():
    """A reader who was cut off from news would go on with yesterday's verifiers."""
    with pytest.raises(EnrolmentError, match="expired at 2026-02-10"):
        read_root(signed(root(expires="2026-02-10T00:00:00Z"), *OLD), THEN)


def test_every_field_is_signed():
    """Someone could add a verifier, or lower the threshold, on the way."""
    spoilt = list(packs.spoiled(FIRST))
    assert len(spoilt) > 40
    for _, data in spoilt:
        with pytest.raises(MrvError):
            read_root(data, THEN)


@pytest.mark.parametrize("threshold", [0, -1, 4])
def test_a_threshold_that_nobody_could_reach_or_miss_is_refused(threshold):
    """A root could be made that anyone signs, or that no one ever can."""
    with pytest.raises(EnrolmentError, match="threshold"):
        root(threshold=threshold)
    with pytest.raises(EnrolmentError, match="name each key once"):
        root(keys=[OLD[0], OLD[0]])


def test_a_plain_keyring_is_taken_as_well():
    """Anyone who has no programme above them could verify nothing."""
    assert read_trusted(write_keyring(RING), THEN).source == "your own keyring"
