"""What is asked of the world goes by the proxy that knows names, where one is set."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading

import pytest

# of each, the program's own function and its arguments, and what the proxy is asked for
CALLS = {
    "time stamps": (
        "from services.issuer.timestamp_authority import ask as do",
        "'https://tsa.example.org/', b'x'",
        "CONNECT tsa.example.org:443 HTTP/1.",
    ),
    "time stamps, plain": (
        "from services.issuer.timestamp_authority import ask as do",
        "'http://tsa.example.org/t', b'x'",
        "POST http://tsa.example.org/t HTTP/1.",
    ),
    "identity provider": (
        "from services.api.provider_keys import read as do",
        "'https://id.example.vn/keys'",
        "CONNECT id.example.vn:443 HTTP/1.",
    ),
    "witnesses": (
        "import httpx, time; from services.issuer.witness_client import _post as do",
        "httpx.Client(timeout=5), 'https://witness.example.com/a', 'x', time.monotonic() + 5",
        "CONNECT witness.example.com:443 HTTP/1.",
    ),
}


@pytest.fixture
def proxy():
    """A proxy that notes what it is asked for, and lets nothing through."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    one, _ = listening.accept()
                    with one:
                        asked.append(one.recv(2_000).split(b"\r\n")[0].decode())
                        one.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("whom", CALLS)
def test_the_proxy_is_asked_by_name(proxy, whom):
    """A signer without another way out would stamp nothing, though the proxy lets it."""
    address, asked = proxy
    function, given, wanted = CALLS[whom]
    subprocess.run(
        [sys.executable, "-c", f"{function}; do({given})"],
        env={**os.environ, "HTTPS_PROXY": address, "HTTP_PROXY": address, "NO_PROXY": ""},
        capture_output=True,
        timeout=60,
        check=False,  # what is asked is refused
    )
    assert asked
    assert asked[0].startswith(wanted)
