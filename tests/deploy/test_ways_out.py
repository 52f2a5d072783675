"""Outgoing requests use the configured proxy, which also resolves names."""

import contextlib
import os
import socket
import subprocess
import sys
import threading

import pytest

from services import vault

# of each, the program's own function and its arguments, and what the proxy is asked for
CALLS = {
    "time stamps": (
        "from services.issuer.timestamps import ask as do",
        "'https://tsa.example.org/', b'x'",
        "CONNECT tsa.example.org:443 HTTP/1.",
    ),
    "time stamps, plain": (
        "from services.issuer.timestamps import ask as do",
        "'http://tsa.example.org/t', b'x'",
        "POST http://tsa.example.org/t HTTP/1.",
    ),
    "identity provider": (
        "from services.api.principals import read as do",
        "'https://id.example.org/keys'",
        "CONNECT id.example.org:443 HTTP/1.",
    ),
    "bucket": (
        "from services.vault import Place; do = lambda url: Place(url).get('x')",
        "'s3://archive/hp?endpoint_override=s3.example.org&region=r'",
        "CONNECT s3.example.org:443 HTTP/1.",
    ),
    "witnesses": (
        "import httpx, time; from services.issuer.cosigning import _post as do",
        "httpx.Client(timeout=5), 'https://witness.example.com/a', 'x', time.monotonic() + 5",
        "CONNECT witness.example.com:443 HTTP/1.",
    ),
}

# of a bucket; without them its client looks for some elsewhere
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.fixture
def proxy():
    """Yield a proxy that records requests and forwards none."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            while True:
                try:
                    one, _ = listening.accept()
                except OSError:
                    return
                with one, contextlib.suppress(OSError):
                    asked.append(one.recv(2_000).split(b"\r\n")[0].decode())
                    one.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)


def test_the_proxy_is_asked_by_name(proxy):
    """A signer behind a proxy would get no time stamps, although the proxy permits them."""
    address, asked = proxy
    calls = "".join(
        f"with suppress(BaseException):\n    {function}; do({given})\n"
        for function, given, _ in CALLS.values()
    )  # what is asked is refused
    told = {**os.environ, **KEYS, "HTTPS_PROXY": address, "HTTP_PROXY": address, "NO_PROXY": ""}
    subprocess.run(
        [sys.executable, "-c", f"from contextlib import suppress\n{calls}"],
        env=told,
        capture_output=True,
        timeout=240,
        check=True,
    )
    wanted = {whom: line for whom, (*_, line) in CALLS.items()}
    found = {whom: [one for one in asked if one.startswith(wanted[whom])] for whom in wanted}
    assert [whom for whom in wanted if not found[whom]] == []
    assert sum(map(len, found.values())) == len(asked)


def test_what_is_not_to_go_by_the_proxy_does_not(monkeypatch):
    """An internal object store would be requested from a proxy that reaches only external hosts."""
    monkeypatch.setenv("HTTPS_PROXY", "egress:3128")
    assert vault._proxy({"endpoint_override": "s3.example.org:9000"}) == "http://egress:3128"
    assert vault._proxy({"scheme": "http", "endpoint_override": "minio:9000"}) is None
    monkeypatch.setenv("NO_PROXY", "localhost,.inside")
    assert vault._proxy({"endpoint_override": "minio.inside:9000"}) is None
    assert vault._proxy({"region": "ap-southeast-1"}) == "http://egress:3128"
