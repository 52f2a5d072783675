"""MQTT names that gateways use too; imports nothing, since a gateway has little memory."""

from __future__ import annotations

PREFIX = "tonne/v1/"
PORTS = {"mqtt": 1883, "mqtts": 8883}


def receipt_topic(principal: str) -> str:
    """Return the topic on which a principal learns what is durable."""
    return f"{PREFIX}{principal}/receipt"


def status_topic(principal: str) -> str:
    """Return the topic on which a principal says that it lives, and its will that it does not."""
    return f"{PREFIX}{principal}/status"
