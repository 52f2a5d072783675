"""MQTT topic names shared with gateways; imports nothing, to save memory."""

from __future__ import annotations

PREFIX = "tonne/v1/"
PORTS = {"mqtt": 1883, "mqtts": 8883}


def receipt_topic(principal: str) -> str:
    """Return the topic of a principal's receipts."""
    return f"{PREFIX}{principal}/receipt"


def status_topic(principal: str) -> str:
    """Return the topic of a principal's birth and will."""
    return f"{PREFIX}{principal}/status"
