"""Loopback ports: the usual one where it is free, else another."""

import random
import socket

from ingest.errors import ServerError

LOOPBACK = "127.0.0.1"
_TRIES = 50


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as servers do: a port whose last connections are still closing counts as free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(usual: int) -> int:
    """
    Return `usual` where it is free, else a free port of the next thousand.

    They lie below the range from which the system lends ports to clients.
    Picked at random, so that two starts at the same time seldom meet.

    Raises
    ------
    ServerError
        When no free port is found.
    """
    if is_free(usual):
        return usual
    for port in random.sample(range(usual + 1, usual + 1_000), _TRIES):
        if is_free(port):
            return port
    raise ServerError(f"no free port near {usual} on {LOOPBACK}; stop what listens there")
