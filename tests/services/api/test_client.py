"""The typed client returns the data, and retries where the connection breaks."""

import io
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ingest.errors import ServerError
from mrv.errors import PackTooLargeError
from services.api.client import Client, RefusedError
from tests.ports import free_port

SPAN = ("2026-03-02", "2026-03-03")


def test_an_auditor_reads_everything_there_is(served, tmp_path):
    """The client library reads all data of a project."""
    with Client(served.url, served.tokens["auditor"]) as client:
        assert client.me().role == "auditor"
        assert [p.id for p in client.projects()] == ["bus", "pv"]
        assert {s.role for s in client.project("pv").devices} == {"generation"}
        assert len(list(client.devices())) == 4
        assert client.device("inv-1").calibrations[0].certificate == "C-1"
        assert sum(i.value for i in client.intervals("inv-1", *SPAN)) > 1_000_000
        assert len(list(client.emissions("pv", *SPAN))) == 96
        detail = client.statement(served.issued)
        assert detail.verification is not None
        assert [s.statement for s in client.statements("pv")][:1] == [served.issued]
        assert client.status(served.issued).superseded_by is None
        assert b"eddsa-jcs-2022" in client.document(served.issued)
        assert b"VerificationStatement" in client.verification(served.issued)
        size = int(client.checkpoint().splitlines()[1])
        assert client.inclusion(0).size == client.consistency(1).second == size
        assert client.receipt(served.issued)
        assert list(client.dead_letters()) == []
        file = client.evidence(served.issued, tmp_path / "pack.zip")
    assert zipfile.is_zipfile(io.BytesIO(file.read_bytes()))


def test_a_download_goes_on_where_it_stopped(served, tmp_path):
    """A pack of gigabytes would begin again at each break."""
    with Client(served.url, served.tokens["auditor"]) as client:
        whole = client.evidence(served.issued, tmp_path / "whole.zip").read_bytes()
        tag = served.ask(f"/v1/statements/{served.issued}/evidence", "auditor").headers["etag"]
        (tmp_path / "half.zip.part").write_bytes(whole[:1_000])
        (tmp_path / "half.zip.tag").write_text(tag)
        assert client.evidence(served.issued, tmp_path / "half.zip").read_bytes() == whole
        (tmp_path / "old.zip.part").write_bytes(b"of another edition")
        (tmp_path / "old.zip.tag").write_text('"older"')
        assert client.evidence(served.issued, tmp_path / "old.zip").read_bytes() == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["half.zip", "old.zip", "whole.zip"]


def test_what_is_refused_says_why(served):
    """A program would only know that something went wrong."""
    with Client(served.url, served.tokens["stranger"]) as client:
        with pytest.raises(RefusedError, match="no project 'pv'") as refused:
            client.project("pv")
        assert refused.value.problem.status == 404
        with pytest.raises(RefusedError, match="use a key of the role operator"):
            client.close_period("bus", *SPAN)


def test_an_api_that_is_not_there_is_said(monkeypatch):
    """A program would wait permanently, or show a traceback of sockets."""
    monkeypatch.setattr("services.api.client._PAUSE_S", 0.001)
    with (
        Client(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(ServerError, match="cannot be reached"),
    ):
        client.checkpoint()


class _Endless(BaseHTTPRequestHandler):
    """Sends bytes as long as they are accepted, whatever length it announced."""

    sent = 0

    def do_GET(self):
        """Answer as the API does, with a body that does not end."""
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(65_536))
                type(self).sent += 65_536
        except OSError:
            pass

    def log_message(self, *_):
        """Log nothing."""


def test_a_pack_without_end_is_not_downloaded(tmp_path):
    """Anyone who hands an auditor a URL could fill the disk of their machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        with (
            Client(url) as client,
            pytest.raises(PackTooLargeError, match="maximum of 1,000,000; if you know who made"),
        ):
            client.evidence("TN-pv-1", tmp_path / "pack.zip", 1_000_000)
    finally:
        server.shutdown()
        server.server_close()
    assert not (tmp_path / "pack.zip").exists()
    assert (tmp_path / "pack.zip.part").stat().st_size <= 1_000_000
    assert _Endless.sent < 100_000_000
