"""What kills of a server have in common: a fleet that sends, and the figures of it."""

from __future__ import annotations

import random

import pytest

from .fleet import Fleet

MARKS = [pytest.mark.faults, pytest.mark.timeout(1_800)]
CHANCE = random.Random(20)  # noqa: S311 (moments to kill at)


def start(pipeline, names, *, receipts=True) -> Fleet:
    fleet = Fleet(pipeline, names, receipts=receipts)
    fleet.start()
    return fleet


def report(capsys, text: str) -> None:
    with capsys.disabled():
        print(f"\n  {text}")  # noqa: T201 (the figures are for whoever runs it)


def figures(fleet: Fleet) -> str:
    messages = fleet.rounds * len(fleet.names)
    again = fleet.sent.transmissions - messages
    return f"{messages} readings, {again} sent again, {fleet.sent.connection_breaks} breaks"
