"""Each codec's own cases: a payload, and the readings or the refusal that come of it."""

import pytest

from ingest import codec_detection
from tests.every import every
from tests.ingest.codecs.cases import cases
from tests.ingest.reading_messages import read, reasons, rows

ALL = [(name, case) for name, held in cases().items() for case in held]


@pytest.mark.parametrize("by_type", [True, False], ids=["by its content type", "by its bytes"])
def test_a_payload_is_read_as_its_standard_says(by_type):
    """A device would be stored wrong, or refused for want of a content type."""

    @every(pytest.param(*one, id=f"{one[0]} {one[1]['file']}") for one in ALL)
    def _(name, case):
        codec = next(one for one in codec_detection.CODECS if one.name == name)
        kind = codec.content_types[0] if by_type else case.get("content_type")
        decoded = read(
            case["bytes"], device_class=case["class"], profile=case["profile"], content_type=kind
        )
        assert decoded.codecs == [name]
        assert rows(decoded) == [pytest.approx(row, rel=1e-12, abs=0) for row in case["readings"]]
        assert reasons(decoded) == case.get("rejected", [])


def test_every_codec_has_a_case_and_a_name_of_its_own():
    """A codec that nobody ever read a payload with would be a guess."""
    assert all(cases().values())
    types = [kind for codec in codec_detection.CODECS for kind in codec.content_types]
    assert len(set(types)) == len(types)
    assert len(cases()) == len(codec_detection.CODECS)
