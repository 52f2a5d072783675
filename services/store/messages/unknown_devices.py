"""
Unregistered devices, and principals that published for another's device, found in dead
letters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from psycopg import Connection
from psycopg.rows import TupleRow

from ingest.mqtt.topics import device_of
from services.store.registry.load import load_fleet

_NEWEST = 200_000  # letters looked through: a flood must not make the list a scan of all


@dataclass(frozen=True, slots=True)
class UnknownDevice:
    """
    Unregistered device, and the principal that published for it.

    `example` is the number of its newest dead letter; `refused` is the reason why it is unwanted,
    if marked so.
    """

    device: str
    principal: str
    topic: str
    messages: int
    first: datetime
    last: datetime
    example: int
    refused: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """Registered device, the principal that published for it, and `speaker`, the permitted one."""

    device: str
    principal: str
    speaker: str
    messages: int
    first: datetime
    last: datetime


def unknown_devices(conn: Connection, *, refused: bool = False) -> list[UnknownDevice]:
    """Return unregistered devices that messages named, the newest first."""
    fleet = load_fleet(conn)
    decided = {
        (principal, device): reason
        for principal, device, reason in conn.execute(
            "SELECT principal, device, reason FROM knock_refused"
        )
    }
    devices = []
    for principal, topic, count, first, last, example in _refused_as(conn, "unknown_device"):
        device = device_of(topic, fleet)
        if device is None or device in fleet.by_id:
            continue
        why = decided.get((principal, device))
        if (why is not None) == refused:
            devices.append(
                UnknownDevice(device, principal, topic, count, first, last, example, why)
            )
    return devices


def claims(conn: Connection) -> list[Claim]:
    """Return principals that published for a device of another, the newest first."""
    fleet = load_fleet(conn)
    result: dict[tuple[str, str], Claim] = {}
    for principal, topic, count, first, last, _ in _refused_as(conn, "not_your_device"):
        device = device_of(topic, fleet)
        if device is None or device not in fleet.by_id:
            continue
        speaker = fleet.devices[fleet.by_id[device]].gateway or device
        if principal == speaker:
            continue  # the registry was mended since
        claim = Claim(device, principal, speaker, count, first, last)
        newer = result.get((principal, device), replace(claim, messages=0))
        result[principal, device] = replace(
            newer, messages=newer.messages + count, first=min(newer.first, first)
        )
    return list(result.values())


def _refused_as(conn: Connection, reason: str) -> list[TupleRow]:
    """Return principal, topic, count, first, last and newest letter of a reason, newest first."""
    return conn.execute(
        "SELECT principal, topic, count(*), min(received), max(received), max(id) FROM ("
        " SELECT principal, topic, received, id FROM dead_letter WHERE reason = %s"
        " ORDER BY id DESC LIMIT %s) newest GROUP BY principal, topic ORDER BY max(id) DESC",
        [reason, _NEWEST],
    ).fetchall()


def refuse(conn: Connection, principal: str, device: str, author: str, reason: str) -> None:
    """Mark an unregistered device as unwanted; `unknown_devices` no longer lists it."""
    conn.execute(
        "INSERT INTO knock_refused (principal, device, author, reason) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (principal, device) DO UPDATE SET refused = now(),"
        " author = excluded.author, reason = excluded.reason",
        [principal, device, author, reason],
    )
