"""
Diagrams as SVG: monitoring (meters to account), and single-line (supplies and loads).

Drawn only from the plan extract, so that a pack's diagram can be drawn again and compared byte for
byte.  Texts come from registry files: they are escaped, cut to their box, and freed of control
characters. If a role has too many meters, the first ones and their number are drawn.

In the single-line diagram meters name what they feed: a meter, a bus bar, a consumer, the grid;
each column is fed by those before it (longest path, as in Sugiyama's first step).
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from xml.sax.saxutils import escape, quoteattr

from ingest.model import Device
from mrv.accounting.coverage import role_needs
from mrv.methodologies import find
from mrv.registry.project import FIRST
from mrv.statement.plan_extract import MonitoringPlan
from mrv.texts import Text, render, signed_by_0_1_0, text

_SHOWN = 6  # meters drawn a role
_HEIGHT, _GAP_Y, _EDGE = 80, 18, 24
_TOP = 92
# of a box: width, distance to the next, font size, and characters that fit by font size
_Layout = tuple[int, int, int, dict[int, int]]
_LAYOUT: _Layout = (324, 42, 12, {15: 35, 12: 47})
_LAYOUT_0_1_0: _Layout = (300, 90, 11, {15: 32, 11: 47})
STYLE = (
    "text{font-family:'DejaVu Sans',Verdana,Arial,sans-serif;fill:#1b2a36}"
    ".t{font-size:15px;font-weight:bold}.s{font-size:%dpx}.h{font-size:19px;font-weight:bold}"
    "rect{stroke-width:1.5}.baseline{fill:#e3f1e5;stroke:#2e7d4f}"
    ".project{fill:#fbeadd;stroke:#b4531a}.check{fill:#f4f4f4;stroke:#777;stroke-dasharray:5 3}"
    ".rest{fill:#ffffff;stroke:#777}.sum{fill:#e4ecf7;stroke:#2f5d9b}"
    "path{fill:none;stroke:#5a6b78;stroke-width:1.4}.dash{stroke-dasharray:5 3}"
)


@dataclass
class _Drawing:
    """Boxes and lines of a drawing, with texts of a language."""

    language: str
    names: Mapping[str, str]
    layout: _Layout = _LAYOUT
    parts: list[str] = field(default_factory=list)
    right: int = 0
    bottom: int = 0

    def named(self, kind: str, name: str) -> str:
        """Return the name of a role or a frequency."""
        return self.names.get(f"{kind}.{name}", name)

    def day(self, day: date) -> str:
        """Return a day for readers; in packs as in files."""
        if not self.names:
            return day.isoformat()
        from mrv.texts import dates  # noqa: PLC0415 - a verifier draws without its library

        return dates.day(day, self.language)

    def box(
        self, x: int, y: int, kind: str, title: str | Text, *lines: str | Text
    ) -> tuple[int, int, int, int]:
        """Draw a box with its texts; return its edges."""
        (width, _, small, _), height = self.layout, _HEIGHT
        self.parts.append(
            f'<rect class={quoteattr(kind)} x="{x}" y="{y}" width="{width}" height="{height}"'
            ' rx="6"/>'
        )
        self.text(x + 12, y + 22, "t", 15, title)
        for number, line in enumerate(lines):
            self.text(x + 12, y + 40 + 16 * number, "s", small, line)
        self.right, self.bottom = max(self.right, x + width), max(self.bottom, y + height)
        return x, y, x + width, y + height

    def text(self, x: int, y: int, style: str, size: int, text: str | Text) -> None:
        """Draw a line of text, cut to the width of a box."""
        message = render(text, self.language) if isinstance(text, Text) else text
        plain_text = plain(message, self.layout[-1].get(size, 90))
        self.parts.append(f'<text class="{style}" x="{x}" y="{y}">{escape(plain_text)}</text>')

    def line(self, begin: tuple[int, int], end: tuple[int, int], style: str = "") -> None:
        """Draw a line with two bends."""
        (x, y), (to_x, to_y) = begin, end
        middle = (x + to_x) // 2
        drawn = f'class="{style}" ' if style else ""
        self.parts.append(f'<path {drawn}d="M{x} {y}H{middle}V{to_y}H{to_x}"/>')


def diagram(
    plan: MonitoringPlan, language: str = "en", names: Mapping[str, str] | None = None
) -> str:
    """
    Return a plan as one SVG document.

    Parameters
    ----------
    language : str
        Language of its texts; English in packs.
    names : mapping, optional
        Names of roles and frequencies, as `role.NAME`; else by their names in the registry.

    Raises
    ------
    MethodologyError
        If its methodology or a role of it is unknown.
    """
    project = plan.project
    # a pack's diagram is drawn again byte for byte
    layout = _LAYOUT_0_1_0 if plan.accounting == FIRST else _LAYOUT
    drawing = _Drawing(language, names or {}, layout)
    drawing.text(_EDGE, 38, "h", 19, f"{project.name} ({project.id})")
    title = text("diagram.no_plan")
    if plan.versions:
        begin = drawing.day(plan.versions[-1].begins)
        title = text("diagram.plan", version=plan.versions[-1].name, begin=begin)
    method = f"{project.methodology} {project.version}"
    drawing.text(_EDGE, 60, "s", 0, text("diagram.monitoring", methodology=method, plan=title))
    ends, y = _meters(plan, drawing)
    middle = max(_TOP, (_TOP + y - _GAP_Y - _HEIGHT) // 2)
    _account(plan, drawing, ends, middle)
    return _page(drawing, render(text("diagram.title", project=project.name), language))


def _meters(plan: MonitoringPlan, drawing: _Drawing) -> tuple[list[tuple[int, int]], int]:
    """Draw the meters of each role with their check meters; return the start points of lines."""
    methodology = find(plan.project.methodology, plan.project.version)
    devices = {device.id: device for device in plan.devices}
    own = _EDGE + (sum(drawing.layout[:2]) if plan.checks else 0)
    ends, y = [], _TOP
    for role in sorted({d.role for d in plan.project.devices}):
        bound = [d for d in plan.project.devices if d.role == role]
        names = sorted({d.device for d in bound})
        needs = role_needs(methodology, bound[0], role)
        count = _SHOWN if len(names) > _SHOWN + 1 else len(names)
        for name in names[:count]:
            about = _about(plan, devices[name], role, drawing)
            box = drawing.box(own, y, needs.side, name, *about)
            ends.append((box[2], y + _HEIGHT // 2))
            checks = [c for c in plan.checks if c.main == name]
            for number, check in enumerate(checks):
                top = y + number * (_HEIGHT + _GAP_Y)
                texts = (
                    text("diagram.check_of", meter=name),
                    text("diagram.may_differ", percent=str(check.percent)),
                )
                beside = drawing.box(_EDGE, top, "check", check.check, *texts)
                drawing.line((beside[2], top + _HEIGHT // 2), (own, y + _HEIGHT // 2), "dash")
            y += max(1, len(checks)) * (_HEIGHT + _GAP_Y)
        if len(names) > count:
            rest = text("diagram.more_meters", count=len(names) - count)
            in_role = text("diagram.in_role", role=drawing.named("role", role))
            box = drawing.box(own, y, "rest", rest, in_role)
            ends.append((box[2], y + _HEIGHT // 2))
            y += _HEIGHT + _GAP_Y
    return ends, y


def _about(
    plan: MonitoringPlan, device: Device, role: str, drawing: _Drawing
) -> tuple[Text, Text, Text]:
    version = plan.versions[-1] if plan.versions else None
    line = version.line(role, device.id) if version else None
    certificates = plan.calibrations.get(device.id, ())
    certified, lacking = text("diagram.no_certificate"), text("diagram.not_given")
    if certificates:
        last = certificates[-1]
        certified = text(
            "diagram.certificate", certificate=last.certificate, until=drawing.day(last.valid_until)
        )
    how = text("diagram.no_line")
    if line is not None:
        how = text(
            "diagram.line", option=line.option, accuracy=line.accuracy_class or lacking,
            frequency=drawing.named("frequency", line.frequency),
        )  # fmt: skip
    serial = plan.serials.get(device.id) or lacking
    called = drawing.named("role", role)
    return text("diagram.meter", role=called, kind=device.class_id, serial=serial), how, certified


def _account(plan: MonitoringPlan, drawing: _Drawing, ends: list[tuple[int, int]], y: int) -> None:
    """Draw the part after the meters: stream, store, account, responsible persons."""
    height = _HEIGHT
    x = _EDGE + (2 if plan.checks else 1) * sum(drawing.layout[:2])
    gateways = sorted({d.gateway for d in plan.devices if d.gateway})
    how = text("diagram.sent_itself")
    if gateways:
        how = text("diagram.sent_by_gateways", count=len(gateways))
    data = drawing.box(x, y, "sum", text("diagram.readings"), how)
    for end in ends:
        drawing.line(end, (x, y + height // 2))
    below = y + height + _GAP_Y * 2
    first = plan.accounting == FIRST  # as tonne 0.1.0 drew it
    missing = signed_by_0_1_0("no_responsible") if first else text("diagram.not_stated")
    answers = text(
        "diagram.responsible", who=plan.versions[-1].responsible if plan.versions else missing
    )
    methodology = f"{plan.project.methodology} {plan.project.version}"
    drawing.box(x, below, "sum", text("diagram.account"), methodology, answers)
    middle = (data[0] + data[2]) // 2
    drawing.parts.append(f'<path d="M{middle} {y + height}V{below}"/>')
    if plan.invoices:
        lower = below + height + _GAP_Y * 2
        drawing.box(
            x,
            lower,
            "check",
            text("diagram.invoices", count=len(plan.invoices)),
            signed_by_0_1_0("invoices") if first else text("diagram.cross_checked"),
        )
        drawing.parts.append(f'<path class="dash" d="M{middle} {lower}V{below + height}"/>')


def plain(text: str, maximum: int) -> str:
    """Return text on one line without control or formatting characters, cut to a length."""
    kept = "".join(
        c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return kept if len(kept) <= maximum else kept[: maximum - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _page(drawing: _Drawing, title: str) -> str:
    width, height = drawing.right + _EDGE, drawing.bottom + _EDGE
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img">'
    )
    body = "\n".join(drawing.parts)
    background = f'<rect width="{width}" height="{height}" fill="#ffffff" stroke="none"/>'
    style = STYLE % drawing.layout[2]
    return (
        f"{head}\n<title>{escape(plain(title, 200))}</title>\n<style>{style}</style>\n"
        f"{background}\n{body}\n</svg>\n"
    )


_LINE_W, _LINE_GAP_X, _LINE_GAP_Y, _MARGIN, _LINE_TOP = 250, 80, 20, 24, 60
_LINE, _HEAD = 15, 24
# of the smaller font that fit into a box, counted wide
_COLUMNS = 36
_MOST = 24  # meters that feed the same
_ELSE = 200  # characters of a name


def line_diagram(plan: MonitoringPlan, language: str = "en") -> str | None:
    """Return the plant's meters as one SVG document; None where no meter names its load."""
    feeds = {meter: to for meter, (_, to) in plan.points.items() if to}
    if not feeds:
        return None
    drawn, more = _limited(feeds)
    names = sorted({*drawn, *(to for each in drawn.values() for to in each)})
    level = _levels(drawn, names)
    boxes: dict[str, tuple[int, int, int]] = {}
    parts: list[str] = []
    bottom = _LINE_TOP
    for column in range(max(level.values()) + 1):
        y = _LINE_TOP
        for name in (name for name in names if level[name] == column):
            lines = _lines(plan, name, more, language)
            height = _HEAD + _LINE * len(lines)
            x = _MARGIN + column * (_LINE_W + _LINE_GAP_X)
            parts += _box(x, y, height, "baseline" if name in plan.points else "sum", lines)
            boxes[name] = (x, y, height)
            y += height + _LINE_GAP_Y
        bottom = max(bottom, y)
    lanes = _lanes(drawn, level)
    for name, targets in sorted(drawn.items()):
        x, y, height = boxes[name]
        for to in targets:
            to_x, to_y, to_height = boxes[to]
            # each meter has a lane of its own, so that no line seems to lead elsewhere
            begin, lane = x + _LINE_W, x + _LINE_W + lanes[name]
            at, end = y + height // 2, to_y + to_height // 2
            parts.append(f'<path d="M{begin} {at}H{lane}V{end}H{to_x}"/>')
    width = _MARGIN * 2 + (max(level.values()) + 1) * (_LINE_W + _LINE_GAP_X) - _LINE_GAP_X
    title = render(text("diagram.single_line", project=plan.project.id), language)
    title = escape(plain(title, _ELSE))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom}"'
        f' viewBox="0 0 {width} {bottom}" role="img">\n<title>{title}</title>\n'
        f"<style>{STYLE % _LAYOUT[2]}</style>\n"
        f'<rect width="{width}" height="{bottom}" fill="#ffffff" stroke="none"/>\n'
        f'<text class="t" x="{_MARGIN}" y="34">{title}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _limited(
    feeds: Mapping[str, tuple[str, ...]],
) -> tuple[dict[str, tuple[str, ...]], dict[str, int]]:
    """Return the meters to draw, and for the last of a group the number of those left out."""
    groups: dict[tuple[str, ...], list[str]] = {}
    fed = {to for each in feeds.values() for to in each}
    for name, to in sorted(feeds.items()):
        # a meter that others feed is always drawn
        groups.setdefault((*to, name) if name in fed else to, []).append(name)
    limited: dict[str, tuple[str, ...]] = {}
    more: dict[str, int] = {}
    for names in groups.values():
        limited |= {name: feeds[name] for name in names[:_MOST]}
        if len(names) > _MOST:
            more[names[_MOST - 1]] = len(names) - _MOST
    return limited, more


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
    """Return where the line of each meter bends behind its box; one lane for equal feeds."""
    lanes: dict[str, int] = {}
    for column in set(level.values()):
        kinds = sorted({to for name, to in feeds.items() if level[name] == column})
        for name, to in feeds.items():
            if level[name] == column:
                lanes[name] = _LINE_GAP_X * (kinds.index(to) + 1) // (len(kinds) + 1)
    return lanes


def _lines(plan: MonitoringPlan, name: str, more: Mapping[str, int], language: str) -> list[str]:
    lines = [name]
    if name in plan.points:
        point = plan.points[name][0]
        serial = plan.serials.get(name)
        lines += [point] if point else []
        lines += [render(text("diagram.serial", serial=serial), language)] if serial else []
    if name in more:
        lines.append(render(text("diagram.more_meters", count=more[name]), language))
    return [line for text in lines for line in textwrap.wrap(plain(text, _ELSE), _COLUMNS) or [""]]


def _box(x: int, y: int, height: int, kind: str, lines: list[str]) -> list[str]:
    result = [f'<rect class="{kind}" x="{x}" y="{y}" width="{_LINE_W}" height="{height}" rx="4"/>']
    for number, line in enumerate(lines):
        at = y + 20 + _LINE * number
        result.append(f'<text class="s" x="{x + 10}" y="{at}">{escape(line)}</text>')
    return result
