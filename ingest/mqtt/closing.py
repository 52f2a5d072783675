"""
The end of a paho client: what it keeps open after its loop.

paho wakes its own loop by a pair of sockets, made by `loop` and `loop_start`.
Neither `disconnect` nor `loop_stop` closes the pair: `Client.__del__` does.  A
client that its callbacks lead back to is freed by the collector, which may free
the pair first: a ResourceWarning, and open files until then.  The method used is
paho's from 2.1 to 2.2; pyproject caps the version.
"""

from __future__ import annotations

from typing import Any


def close_sockets(client: Any) -> None:
    """
    Close every socket of a client whose loop has ended.

    Parameters
    ----------
    client : paho.mqtt.client.Client
        Disconnected, its thread stopped; it may connect again.
    """
    client._reset_sockets()  # noqa: SLF001
