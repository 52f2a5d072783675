"""
Figures of other statements that a statement is compared with.

The period before, and the same days a year before: what is far off without a
reason is where a verifier looks first.  And, for a correction, the issued
statement that it replaces: what came late, and what that changed.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mrv.rounding import UG_PER_T, exact_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def figures(
    body: Mapping[str, Any], *, energy: Collection[str] = (), by_device: bool = False
) -> dict[str, Any]:
    """
    Return the figures of a statement.

    Parameters
    ----------
    body : mapping
        The statement, signed or not.
    energy : collection of str
        Roles whose energy counts; that of all where it is empty.
    by_device : bool
        With what each device metered, factors and digests, for a correction.
    """
    said = body["credentialSubject"]
    parameters = said["monitoredParameters"]
    meters = [p for p in parameters if p["unit"] == "Wh" and (not energy or p["role"] in energy)]
    found = {
        "statement": said["statement"],
        "from": said["monitoringPeriod"]["from"],
        "to": said["monitoringPeriod"]["to"],
        "energy_Wh": str(sum(int(p["metered"]) for p in meters)),
        "reduction_ug": said["emissions"]["reduction"]["ug"],
        "credited_t": said["credited"]["t"],
        "coverage": said["coverage"],
    }
    if by_device:
        found["devices"] = [
            {key: p[key] for key in ("device", "role", "from", "metered", "counted")}
            for p in parameters
        ]
        found["factors"] = [f"{f['id']} = {f['value']} {f['unit']}" for f in said["factors"]]
        found["digests"] = dict(said["digests"])
    return found


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """
    Say what a correction changes.

    Parameters
    ----------
    before, now : mapping
        `figures(..., by_device=True)` of the statement that is replaced, and of the
        one that replaces it.
    """
    was, is_ = ({_place(d): d for d in one["devices"]} for one in (before, now))
    lines = [
        {
            "device": place[0],
            "role": place[1],
            "meteredBefore": was.get(place, _NOTHING)["metered"],
            "meteredNow": is_.get(place, _NOTHING)["metered"],
            "countedBefore": was.get(place, _NOTHING)["counted"],
            "countedNow": is_.get(place, _NOTHING)["counted"],
        }
        for place in sorted(was.keys() | is_.keys())
        if was.get(place) != is_.get(place)
    ]
    ug = int(now["reduction_ug"]) - int(before["reduction_ug"])
    return {
        "reduction_t": _tonnes(ug),
        "credited_t": str(int(now["credited_t"]) - int(before["credited_t"])),
        "coverageBefore": before["coverage"],
        "coverageNow": now["coverage"],
        # the plan's digest is left out: it holds what is corrected, so it always changes
        "evidence": [k for k in _MEASURED if before["digests"].get(k) != now["digests"][k]],
        "factorsBefore": [f for f in before["factors"] if f not in now["factors"]],
        "factorsNow": [f for f in now["factors"] if f not in before["factors"]],
        "devices": lines,
    }


_MEASURED = ("readings", "intervals", "factors")
_NOTHING = {"metered": None, "counted": None}


def _place(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return one["device"], one["role"], one["from"]


def _tonnes(ug: int) -> str:
    return exact_text(Fraction(ug, UG_PER_T))
