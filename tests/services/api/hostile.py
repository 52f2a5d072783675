"""A client that means harm, and readers beside it who should not notice."""

import contextlib
import secrets
import socket
import threading
import time
from base64 import urlsafe_b64encode
from urllib.parse import urlsplit

import httpx
import msgspec

from tests.services.api import plain

ATTACKER = "127.0.0.66"


def connection(url, source=ATTACKER, timeout=plain.PATIENCE_S):
    """Connect from an address of one's own; every address of 127/8 is this machine's."""
    where = urlsplit(url)
    return socket.create_connection((where.hostname, where.port), timeout, (source, 0))


def client(source=ATTACKER):
    """Return a client that asks from an address of its own."""
    # no TLS here, and its settings take longer to make than a request does
    way = httpx.HTTPTransport(local_address=source, verify=False)
    return httpx.Client(transport=way, timeout=plain.PATIENCE_S)


def endless_header(url, until_s):
    """Send a header that never ends; the bytes that were taken and what was answered."""
    taken, part = 0, b"a" * 65_536
    with connection(url) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ")
        with contextlib.suppress(OSError):
            while time.monotonic() < until_s:
                taken += one.send(part)
        with contextlib.suppress(OSError):
            return taken, one.recv(200)
    return taken, b""


def idle(url, count, source=ATTACKER):
    """Open sockets that say nothing; those that could be opened."""
    opened = []
    for _ in range(count):
        try:
            opened.append(connection(url, source, 2.0))
        except OSError:
            break
    return opened


def forged_token():
    """Return a token of three parts that names a key which no one has."""
    head = {"alg": "RS256", "typ": "JWT", "kid": secrets.token_hex(8)}
    body = {"sub": "x", "iss": "x", "aud": "x", "exp": 2**33, "iat": 1}
    parts = [msgspec.json.encode(head), msgspec.json.encode(body), b"no signature"]
    return ".".join(urlsafe_b64encode(one).rstrip(b"=").decode() for one in parts)


def at_once(calls):
    """Run each call in a thread of its own; their results once all have ended."""
    results = [None] * len(calls)

    def run(place, call):
        results[place] = call()

    threads = [threading.Thread(target=run, args=one, daemon=True) for one in enumerate(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return results


class Reader:
    """
    Reads public pages the whole time; `times_s` of the answers, `statuses` of those.

    In turn with them it reads the same pages of a process beside that no one attacks: by
    its times, `beside_s`, it is known how busy the machine is.
    """

    def __init__(self, urls, beside):
        self._urls, self._beside = urls, beside
        self._began, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self.times_s, self.beside_s, self.statuses = [], [], []

    def __enter__(self):
        self._thread.start()
        assert self._began.wait(plain.PATIENCE_S)
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _read(self):
        with httpx.Client(
            verify=plain.NO_AUTHORITIES, timeout=plain.PATIENCE_S, headers={"Connection": "close"}
        ) as client:
            while not self._ended.is_set():
                for url, other in zip(self._urls, self._beside, strict=True):
                    self.beside_s.append(_read(client, other)[0])
                    time_s, status = _read(client, url)
                    self.times_s.append(time_s)
                    self.statuses.append(status)
                    self._began.set()
                self._ended.wait(0.02)

    def told(self, what):
        """Print the figures; return median and slowest but one in a hundred, beside too. [s]"""
        own, beside = (
            (_share(times_s, 0.5), _share(times_s, 0.99))
            for times_s in (self.times_s, self.beside_s)
        )
        print(  # noqa: T201 - the figures are what the soak is for
            f"{what}: {len(self.times_s)} reads, median {own[0]:.3f} s, 99 % {own[1]:.3f} s;"
            f" beside {beside[0]:.3f} and {beside[1]:.3f} s;"
            f" statuses {sorted(set(self.statuses))}"
        )
        return own, beside


def _read(client, url):
    """Read a page; how long it took [s], and the status, 0 for none."""
    began_s = time.monotonic()
    try:
        status = client.get(url).status_code
    except httpx.HTTPError:
        status = 0
    return time.monotonic() - began_s, status


def _share(times_s, share):
    """Return the time under which this share of all answers stayed. [s]"""
    return sorted(times_s)[min(len(times_s) - 1, int(share * len(times_s)))]


@contextlib.contextmanager
def hanging_provider():
    """Yield the address of a server that never says a word, and its socket."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/keys", listening


def knocks(listening):
    """Count who asked a server that never says a word."""
    listening.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listening.accept()[0].close()
            count += 1
    return count
