"""The programs of docs/connect.md, unchanged, with the secured broker."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services import local
from services.local import LOOPBACK
from tests.ports import free_port
from tests.security.brokers import Secured

PAGE = Path(__file__).parents[2] / "docs/connect.md"
PROGRAMS = dict(
    re.findall(
        r"^```(python|sh|json|cpp)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
)
# where the Arduino IDE keeps libraries; `ARDUINO_LIBRARIES` says another place
LIBRARIES = Path(os.environ.get("ARDUINO_LIBRARIES", Path.home() / "Arduino/libraries"))
BOARD = Path(__file__).parent / "arduino/board.h"
HEADERS = ("Arduino", "Client", "IPAddress", "Stream", "WiFi", "WiFiClientSecure")
RUN = {"python": [sys.executable, "-c"], "sh": ["sh", "-ec"]}


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """Yield a running broker with its users."""
    local.require()
    found = Secured("mosquitto", tmp_path_factory.mktemp("connect"))
    found.server.start()
    yield found
    found.server.stop()


@pytest.mark.parametrize("language", sorted(RUN))
def test_a_program_of_the_page_sends_its_reading(broker, language):
    """A configuration copied from the docs would deliver nothing."""
    if language == "sh" and shutil.which("mosquitto_pub") is None:
        pytest.skip("mosquitto-clients is not installed")
    told = os.environ | {"DEVICE": "devA", "HOST": LOOPBACK, "PORT": str(broker.server.port)}
    with broker.pipeline("tonne/v1/+/telemetry") as pipeline:
        subprocess.run(
            [*RUN[language], PROGRAMS[language]],
            cwd=broker.folder.device("devA"),
            env=told,
            check=True,
            timeout=200,
        )
        (topic, payload), *_ = pipeline.wait_for(1)
    assert topic == "tonne/v1/devA/telemetry"
    assert json.loads(payload)["values"] == {"energy_export_kwh": 1234.567}


def test_the_flow_of_node_red_sends_its_reading(broker, tmp_path):
    """An imported flow would look connected while the broker refuses its messages."""
    command = shutil.which("node-red")
    if command is None:
        pytest.skip("node-red is not installed")
    (tmp_path / "flows.json").write_text(PROGRAMS["json"], "utf-8")
    told = os.environ | {"DEVICE": "devA", "HOST": LOOPBACK, "PORT": str(broker.server.port)}
    with broker.pipeline("tonne/v1/+/telemetry") as pipeline:
        running = subprocess.Popen(
            [command, "--userDir", tmp_path, "--port", str(free_port()), "flows.json"],
            cwd=broker.folder.device("devA"),
            env=told,
        )
        try:
            (topic, payload), *_ = pipeline.wait_for(1, seconds=60)
        finally:
            running.terminate()
            running.wait(30)
    assert topic == "tonne/v1/devA/telemetry"
    assert json.loads(payload)["values"] == {"energy_export_kwh": 1234.567}


@pytest.fixture
def sketch(broker, tmp_path):
    """Return the program of the page's sketch, for this machine instead of an ESP32."""
    libraries = [LIBRARIES / name / "src" for name in ("PubSubClient", "ArduinoJson")]
    compiler = shutil.which("g++")
    if compiler is None or not Path("/usr/include/openssl/ssl.h").exists():
        pytest.skip("g++ or libssl-dev is not installed")
    if missing := [str(one.parent) for one in libraries if not one.is_dir()]:
        pytest.skip(f"no Arduino library at {', '.join(missing)}")
    files = broker.folder.device("devA")
    texts = {"CA": "ca.crt", "CERT": "client.crt", "KEY": "client.key"}
    secrets = [
        f'const char {name}[] = R"({(files / file).read_text()})";' for name, file in texts.items()
    ]
    secrets += [
        f'const char HOST[] = "{LOOPBACK}", DEVICE[] = "devA", WIFI_NAME[] = "a",',
        f'WIFI_PASSWORD[] = "b"; const int PORT = {broker.server.port};',
    ]
    (tmp_path / "secrets.h").write_text("\n".join(secrets))
    for name in HEADERS:
        (tmp_path / f"{name}.h").write_text(f'#include "{BOARD}"\n')
    (tmp_path / "tonne.cpp").write_text(
        PROGRAMS["cpp"] + "\nint main() { setup(); for (;;) loop(); }\n"
    )
    sources = ["tonne.cpp", str(libraries[0] / "PubSubClient.cpp")]
    subprocess.run(
        [compiler, "-std=c++17", "-DESP32", "-I.",
         *(f"-I{one}" for one in libraries), *sources, "-lssl", "-lcrypto", "-o", "tonne"],
        cwd=tmp_path, check=True,
    )  # fmt: skip
    return tmp_path / "tonne"


def test_the_sketch_of_an_esp32_sends_until_its_receipt(broker, sketch):
    """The example firmware would not send a lost reading again."""
    with broker.pipeline("tonne/v1/+/telemetry") as pipeline:
        running = subprocess.Popen([sketch])
        try:
            # nobody answers the first: it comes again
            (topic, payload), second, *_ = pipeline.wait_for(2, seconds=60)
            assert second == (topic, payload)
            told = json.loads(payload)
            receipt = json.dumps({"device": "devA", "times": [told["ts"]], "ids": []}).encode()
            assert pipeline.publish("tonne/v1/devA/receipt", receipt)
            heard = len(pipeline.heard)
            assert len(pipeline.wait_for(heard + 1, seconds=12)) == heard
        finally:
            running.kill()
            running.wait(30)
    assert topic == "tonne/v1/devA/telemetry"
    assert told["values"] == {"energy_export_kwh": 1234.567}
