"""
The single-line diagram: loads of a plant, and monitoring points of its meters.

Meters name what they feed: a meter, a bus bar, a consumer, the grid.  What no one feeds stands at
the left, each column is fed by those before it.  Texts are wrapped and never cut; meters that feed
the same are a column, and of very many the first ones and a count are drawn.  Layered by the
longest way, as Sugiyama's first step; libraries that lay out more have no release of these years
or need a program beside Python, and one line from left to right needs no crossing minimised.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from xml.sax.saxutils import escape

from mrv.statement.diagram import STYLE, plain
from mrv.statement.plan_extract import MonitoringPlan
from mrv.texts import render, text

_WIDTH, _GAP_X, _GAP_Y, _EDGE, _TOP = 250, 80, 20, 24, 60
_LINE, _HEAD = 15, 24
# of the smaller font that fit into a box, counted wide
_COLUMNS = 36
_MOST = 24  # meters that feed the same
_ELSE = 200  # characters of a name


def line_diagram(plan: MonitoringPlan, language: str = "en") -> str | None:
    """Return the plant's meters as one SVG document; None where no meter names its load."""
    feeds = {one: to for one, (_, to) in plan.points.items() if to}
    if not feeds:
        return None
    drawn, more = _limited(feeds)
    names = sorted({*drawn, *(to for each in drawn.values() for to in each)})
    level = _levels(drawn, names)
    boxes: dict[str, tuple[int, int, int]] = {}
    parts: list[str] = []
    bottom = _TOP
    for column in range(max(level.values()) + 1):
        y = _TOP
        for name in (one for one in names if level[one] == column):
            lines = _lines(plan, name, more, language)
            height = _HEAD + _LINE * len(lines)
            x = _EDGE + column * (_WIDTH + _GAP_X)
            parts += _box(x, y, height, "baseline" if name in plan.points else "sum", lines)
            boxes[name] = (x, y, height)
            y += height + _GAP_Y
        bottom = max(bottom, y)
    lanes = _lanes(drawn, level)
    for name, targets in sorted(drawn.items()):
        x, y, height = boxes[name]
        for to in targets:
            to_x, to_y, to_height = boxes[to]
            # each meter has a lane of its own, so that no line seems to lead elsewhere
            begin, lane = x + _WIDTH, x + _WIDTH + lanes[name]
            at, end = y + height // 2, to_y + to_height // 2
            parts.append(f'<path d="M{begin} {at}H{lane}V{end}H{to_x}"/>')
    width = _EDGE * 2 + (max(level.values()) + 1) * (_WIDTH + _GAP_X) - _GAP_X
    title = render(text("diagram.single_line", project=plan.project.id), language)
    title = escape(plain(title, _ELSE))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom}"'
        f' viewBox="0 0 {width} {bottom}" role="img">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n"
        f'<rect width="{width}" height="{bottom}" fill="#ffffff" stroke="none"/>\n'
        f'<text class="t" x="{_EDGE}" y="34">{title}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _limited(
    feeds: Mapping[str, tuple[str, ...]],
) -> tuple[dict[str, tuple[str, ...]], dict[str, int]]:
    """Return meters to draw, and by the last one of a group how many more feed the same."""
    groups: dict[tuple[str, ...], list[str]] = {}
    fed = {to for each in feeds.values() for to in each}
    for name, to in sorted(feeds.items()):
        # a meter that others feed is always drawn
        groups.setdefault((*to, name) if name in fed else to, []).append(name)
    shown: dict[str, tuple[str, ...]] = {}
    more: dict[str, int] = {}
    for names in groups.values():
        shown |= {name: feeds[name] for name in names[:_MOST]}
        if len(names) > _MOST:
            more[names[_MOST - 1]] = len(names) - _MOST
    return shown, more


def _levels(feeds: Mapping[str, tuple[str, ...]], names: list[str]) -> dict[str, int]:
    """Return the column of each name, after all that feed it; a ring ends somewhere."""
    level = dict.fromkeys(names, 0)
    for _ in names:
        moved = False
        for name, targets in sorted(feeds.items()):
            for to in targets:
                if level[to] <= level[name] < len(names) - 1:
                    level[to] = level[name] + 1
                    moved = True
        if not moved:
            break
    used = sorted(set(level.values()))
    return {name: used.index(at) for name, at in level.items()}


def _lanes(feeds: Mapping[str, tuple[str, ...]], level: Mapping[str, int]) -> dict[str, int]:
    """Return how far behind its box the line of each meter turns; one lane for equal feeds."""
    lanes: dict[str, int] = {}
    for column in set(level.values()):
        kinds = sorted({to for name, to in feeds.items() if level[name] == column})
        for name, to in feeds.items():
            if level[name] == column:
                lanes[name] = _GAP_X * (kinds.index(to) + 1) // (len(kinds) + 1)
    return lanes


def _lines(plan: MonitoringPlan, name: str, more: Mapping[str, int], language: str) -> list[str]:
    said = [name]
    if name in plan.points:
        point = plan.points[name][0]
        serial = plan.serials.get(name)
        said += [point] if point else []
        said += [render(text("diagram.serial", serial=serial), language)] if serial else []
    if name in more:
        said.append(render(text("diagram.more_meters", count=more[name]), language))
    return [line for one in said for line in textwrap.wrap(plain(one, _ELSE), _COLUMNS) or [""]]


def _box(x: int, y: int, height: int, kind: str, lines: list[str]) -> list[str]:
    found = [f'<rect class="{kind}" x="{x}" y="{y}" width="{_WIDTH}" height="{height}" rx="4"/>']
    for number, line in enumerate(lines):
        at = y + 20 + _LINE * number
        found.append(f'<text class="s" x="{x + 10}" y="{at}">{escape(line)}</text>')
    return found
