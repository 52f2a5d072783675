"""Flows between places: bands from givers on the left to receivers on the right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from services.api.console.charts.frame import Size, figure
from services.api.console.charts.svg import rectangle, shortened, tag

_NODE, _GAP, _HIGH, _TOP, _CHARACTER = 12, 30, 230.0, 8, 7.4
_FORMS = (("broad", 1100, 270), ("slim", 340, 96))


class Flow(NamedTuple):
    """A flow: who gives, who gets, how much, and how it is written."""

    giver: str
    receiver: str
    amount: float
    shown: str


def sankey(found: Sequence[Flow], alt: str) -> Markup:
    """
    Draw flows as bands, as wide as they are large.

    Parameters
    ----------
    found : sequence of Flow
        Of one unit, each above zero.
    alt : str
        The flows in words.
    """
    givers = _sums((one.giver, one.amount) for one in found)
    receivers = _sums((one.receiver, one.amount) for one in found)
    total = sum(givers.values())
    rows = max(len(givers), len(receivers))
    high = _HIGH + _GAP * (rows - 1)

    def draw(size: Size) -> list[Markup]:
        room = size.width * _FORMS[0][2] // _FORMS[0][1] if size.name == "broad" else _FORMS[1][2]
        scale = _HIGH / total
        left, right = room, size.width - room - _NODE
        begin, end = _places(givers, scale, high), _places(receivers, scale, high)
        most = int(room / _CHARACTER)
        drawn = [
            *_nodes(givers, begin, scale, left, most, -1),
            *_nodes(receivers, end, scale, right, most, 1),
        ]
        middle = (left + _NODE + right) / 2
        for i, one in enumerate(sorted(found, key=lambda f: (begin[f.giver], end[f.receiver]))):
            thick = one.amount * scale
            y1, y2 = begin[one.giver] + thick / 2, end[one.receiver] + thick / 2
            begin[one.giver] += thick
            end[one.receiver] += thick
            path = (
                f"M{left + _NODE} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f}"
                f" {right} {y2:.1f}"
            )
            told = tag("title", f"{one.giver} \N{RIGHTWARDS ARROW} {one.receiver}: {one.shown}")
            drawn.append(
                tag("path", told, d=path, stroke_width=max(thick, 1.0), class_=f"flow c{i % 6}")
            )
        return drawn

    forms = [Size(name, width, int(high) + 2 * _TOP) for name, width, _ in _FORMS]
    return figure(draw, alt, forms)


def _sums(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, amount in pairs:
        found[name] = found.get(name, 0.0) + amount
    return found


def _places(nodes: dict[str, float], scale: float, high: float) -> dict[str, float]:
    """Return where each node begins, spread over the height."""
    free = high - sum(nodes.values()) * scale
    gap = free / len(nodes)
    found, y = {}, _TOP + gap / 2
    for name, amount in nodes.items():
        found[name] = y
        y += amount * scale + gap
    return found


def _nodes(
    nodes: dict[str, float], places: dict[str, float], scale: float, x: float, most: int, side: int
) -> list[Markup]:
    drawn = []
    for name, amount in nodes.items():
        high = max(amount * scale, 1.0)
        at = x - 6 if side < 0 else x + _NODE + 6
        drawn.append(tag("path", d=rectangle(x, places[name], _NODE, high), class_="node"))
        drawn.append(
            tag("text", shortened(name, most), tag("title", name), x=float(at),
                y=places[name] + high / 2 + 4, text_anchor="end" if side < 0 else "start",
                class_="axis")
        )  # fmt: skip
    return drawn
