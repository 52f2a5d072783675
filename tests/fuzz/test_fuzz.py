"""Modified payloads into every codec: a short run, and all findings of longer runs."""

import os
from pathlib import Path

import pytest

from tests.fuzz import properties, seeds
from tests.fuzz.__main__ import fuzz

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.bin"))
COUNT = int(os.environ.get("TONNE_FUZZ_COUNT", "1500"))


@pytest.mark.parametrize("codec", sorted(properties.NAMES))
def test_changed_payloads_are_read_or_refused(codec):
    """One broken message of one device would stop the readings of all, or become a number."""
    figures = fuzz(codec, seeds.gather(), COUNT, seed=7)
    assert figures["found"] == 0
    assert 0 < figures["read"] < COUNT


@pytest.mark.parametrize("file", CORPUS, ids=lambda f: f.stem)
def test_what_broke_a_codec_once_does_not_again(file):
    """A payload that stopped the pipeline once would stop it again after the next change."""
    properties.judge(file.name.split("-", 1)[0], file.read_bytes())


@pytest.mark.parametrize("codec", sorted(properties.NAMES))
def test_a_payload_costs_no_more_than_its_size(codec):
    """The time to decode a large or nested payload is limited in proportion to its size."""
    for payload in seeds.large(100_000):
        properties.judge(codec, payload)


def test_every_codec_has_seeds():
    """A codec added later would go unfuzzed."""
    assert {*seeds.gather()} == {*properties.NAMES}
