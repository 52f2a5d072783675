"""
A running Alertmanager with the routing of deploy/: recipients,
messages, and inhibited alerts.
"""

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services import local
from tests.operations.rules import ROOT, alerts
from tests.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.integration
CONFIG = ROOT / "deploy/alertmanager/alertmanager.yml"
LABELS = {rule["alert"]: rule["labels"] for rule in alerts()}
Told = list[tuple[str, set[str]]]


@contextmanager
def _listener(told: Told) -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.append((self.path, {a["labels"]["alertname"] for a in body["alerts"]}))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _alertmanager(folder: Path, told: Told) -> Iterator[str]:
    local.require()
    port = free_port()
    with _listener(told) as heard:
        text = CONFIG.read_text().replace("alert-receiver:8080", f"127.0.0.1:{heard}")
        (folder / "alertmanager.yml").write_text(text.replace("group_wait: 30s", "group_wait: 2s"))
        command = [
            str(local.ALERTMANAGER),
            "--config.file=alertmanager.yml",
            "--storage.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            _until_ready(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def _until_ready(url: str) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"{url}/-/ready", timeout=30).close()  # noqa: S310 - our own
        except OSError:
            assert time.monotonic() < end, "Alertmanager does not answer"
            time.sleep(0.1)
        else:
            return


def _raise(url: str, *names: str, **labels: str) -> None:
    body = [{"labels": LABELS[name] | {"alertname": name} | labels} for name in names]
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{url}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=60).close()  # noqa: S310 - as above


def _heard(told: Told, least: int, quiet_s: float = 4) -> Told:
    """Return a number of received messages, and those that follow soon."""
    until(lambda: len(told) >= least, what=lambda: told)
    time.sleep(quiet_s)  # twice the wait before a group is told
    found = list(told)
    told.clear()
    return found


def test_one_cause_is_one_message(tmp_path: Path) -> None:
    """Anyone who is on call would get a message for everything that follows from a trouble."""
    told: Told = []
    with _alertmanager(tmp_path, told) as url:
        _raise(url, "GatewayDark", "DevicesSilent")
        assert _heard(told, 1) == [("/page", {"GatewayDark"})]
        _raise(url, "CalibrationExpiring", project="roof")
        _raise(url, "CalibrationExpired", "CalibrationExpiring", project="bus")
        found = _heard(told, 2)
        assert [path for path, _ in found] == ["/ticket", "/ticket"]  # no night mends them
        assert {name for _, names in found for name in names} == {
            "CalibrationExpired",
            "CalibrationExpiring",
        }
        _raise(url, "DatabaseDown", "PipelineStalled", "NoTelemetry", "ApiFailing", "CommitsSlow")
        assert _heard(told, 1) == [("/page", {"DatabaseDown"})]
