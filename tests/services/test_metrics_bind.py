"""Where metrics are served."""

import socket

from services.cli.pipeline.metrics_bind import metrics_bind
from services.settings import Settings


def test_the_usual_port_gives_way_and_a_chosen_one_does_not(monkeypatch):
    """A second process on a machine could not start, or would serve where nobody looks."""
    monkeypatch.setenv("TONNE_HOME", "nowhere")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        chosen = Settings(metrics_bind=f"127.0.0.1:{port}")
        assert metrics_bind(chosen) == f"127.0.0.1:{port}"
    usual = metrics_bind(Settings())
    assert 9464 <= int(usual.rpartition(":")[2]) < 10_464
    assert metrics_bind(Settings(metrics_bind="")) == ""
