"""A database for all examples of a file."""

import psycopg
import pytest

from tests.fix_timescale import _fresh


@pytest.fixture(scope="module")
def connection(timescale, migrated_template):
    """Connect to it."""
    for url in _fresh(timescale, migrated_template):
        with psycopg.connect(url, autocommit=True) as opened:
            yield opened
