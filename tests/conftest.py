"""Fixtures of all tests: real servers, one file a server, and a clean environment."""

import os

import pytest

pytest_plugins = [
    "tests.fix_timescale",
    "tests.fix_mqtt",
    "tests.fix_kafka",
    "tests.fix_pipeline",
    "tests.fix_node",
    "tests.fix_s3",
]


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory, monkeypatch):
    """No test may see a developer's settings, or use the servers of a demo that runs."""
    for name in os.environ:
        if name.upper().startswith("TONNE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TONNE_HOME", str(tmp_path_factory.getbasetemp() / "no-servers"))
