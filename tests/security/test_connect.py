"""The programs of docs/connect.md, as they stand there, against the secured broker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.local import packages
from services.local.ports import LOOPBACK
from tests.security.brokers import Secured

PAGE = Path(__file__).parents[2] / "docs/connect.md"
PROGRAMS = dict(
    re.findall(r"^```(python|sh)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
)
RUN = {"python": [sys.executable, "-c"], "sh": ["sh", "-ec"]}


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """Return a running broker that knows who is who."""
    packages.require()
    found = Secured("mosquitto", tmp_path_factory.mktemp("connect"))
    found.server.start()
    yield found
    found.server.stop()


@pytest.mark.parametrize("language", sorted(RUN))
def test_a_program_of_the_page_sends_its_reading(broker, language):
    """A technician copies it, and nothing arrives."""
    if language == "sh" and shutil.which("mosquitto_pub") is None:
        pytest.skip("mosquitto-clients is not installed")
    told = os.environ | {"DEVICE": "devA", "HOST": LOOPBACK, "PORT": str(broker.server.port)}
    with broker.pipeline("tonne/v1/+/telemetry") as pipeline:
        subprocess.run(
            [*RUN[language], PROGRAMS[language]], cwd=broker.folder.device("devA"), env=told,
            check=True, timeout=60,
        )  # fmt: skip
        (topic, payload), *_ = pipeline.wait_for(1)
    assert topic == "tonne/v1/devA/telemetry"
    assert json.loads(payload)["values"] == {"energy_export_kwh": 1234.567}
