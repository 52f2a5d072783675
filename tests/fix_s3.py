"""
An S3 server that stores objects as files, and a proxy before it that can simulate faults.

The proxy forwards whole requests over real sockets.  `mode` is its fault: `pass` (none), `hang`
(never answer), `half` (truncate an answer), `swallow` (confirm the storing of an object, and drop
it), `flip` (change a byte of an answer), `refuse` (a server error).
"""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.ports import free_port

KEY, SECRET = "tonne-test", "a-secret-of-the-tests"
_REFUSED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_STORED = b'HTTP/1.1 200 OK\r\nETag: "0"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'


class Proxy:
    """Proxy that forwards requests to a port, or simulates a fault."""

    def __init__(self, upstream):
        self.mode, self._upstream, self._open = "pass", upstream, True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self):
        """Accept no more requests."""
        self._open = False
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # which ends the wait in `accept`
        self._accepting.join()
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while self._open:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, suppress(OSError):
            request = _request(client)
            if not request:
                return
            answer = self._answer(request)
            if answer is not None:
                client.sendall(answer)

    def _answer(self, request):
        method, mode = request.split(b" ", 1)[0], self.mode
        if mode == "hang":
            while self._open and self.mode == "hang":
                time.sleep(0.05)
            return None
        if mode == "refuse":
            return _REFUSED
        if mode == "swallow" and method == b"PUT":
            return _STORED
        answer = self._pass(request)
        if method == b"GET" and mode == "half":
            return answer[: len(answer) - max(1, len(_body(answer)) // 2)]
        if method == b"GET" and mode == "flip" and _body(answer):
            return answer[:-1] + bytes([answer[-1] ^ 1])
        return answer

    def _pass(self, request):
        head, body = request.split(b"\r\n\r\n", 1)
        lines = [x for x in head.split(b"\r\n") if not x.lower().startswith(b"connection:")]
        with socket.create_connection(("127.0.0.1", self._upstream)) as server:
            server.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            parts = []
            while part := server.recv(1 << 16):
                parts.append(part)
        return b"".join(parts)


def _request(client):
    data = b""
    while b"\r\n\r\n" not in data:
        part = client.recv(1 << 16)
        if not part:
            return b""
        data += part
    head, body = data.split(b"\r\n\r\n", 1)
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if fields.get(b"expect") == b"100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = b"\r\n".join(
            line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect")
        )
    wanted = int(fields.get(b"content-length", b"0"))
    while len(body) < wanted:
        part = client.recv(1 << 16)
        if not part:
            return b""
        body += part
    return head + b"\r\n\r\n" + body


def _body(answer):
    return answer.split(b"\r\n\r\n", 1)[1]


class Bucket:
    """A bucket: its URL through the proxy, and its folder."""

    def __init__(self, proxy, folder):
        self.proxy, self.folder = proxy, folder
        self.url = (
            f"s3://{folder.name}/archive?endpoint_override=127.0.0.1:{proxy.port}"
            "&scheme=http&region=us-east-1&timeout_s=60"
        )

    @property
    def impatient_url(self):
        """
        Return the bucket's URL with a short timeout, for tests with a
        server that never answers.
        """
        return self.url.replace("timeout_s=60", "timeout_s=2")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """Return port and data folder of a running server."""
    folder, port = tmp_path_factory.mktemp("s3"), free_port()
    with (folder / "server.log").open("wb") as out:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "nanio", "serve", "--data-dir", folder / "data",
             "--host", "127.0.0.1", "--port", str(port), "--no-access-log"],
            env=os.environ | {"NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET},
            stdout=out, stderr=out,
        )  # fmt: skip
    end = time.monotonic() + 120
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
            break
        if time.monotonic() > end or process.poll() is not None:
            process.kill()
            process.wait()
            raise RuntimeError((folder / "server.log").read_text())
        time.sleep(0.05)
    yield port, folder / "data"
    process.terminate()
    process.wait(60)


@pytest.fixture
def bucket(s3_server, monkeypatch, request):
    """Return an empty bucket behind a proxy; credentials are in the environment."""
    port, data = s3_server
    folder = data / f"bucket-{abs(hash(request.node.nodeid)) % 10**8}"
    folder.mkdir(parents=True)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    # checksums behind a body are younger than this server, as than many
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    proxy = Proxy(port)
    yield Bucket(proxy, folder)
    proxy.close()
