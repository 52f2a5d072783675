"""
Diagrams as SVG: monitoring (meters to account), and single-line (supplies and loads).

Diagrams are drawn from the plan extract only, so that a pack's diagram can be drawn again and
compared byte for byte.  Texts come from registry files: they are escaped, wrapped in their box (cut
in 0.1.0), and control characters are removed.  If a role has too many meters, only the first ones
are drawn, with the total number.  A drawing has the width of a printed page, with letters of 8
points.

The single-line diagram is drawn from the loads of meters: a meter, a bus bar, a consumer, the
grid.  Each column is supplied by the columns before it (longest path, as in Sugiyama's first step).
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from ingest.model import Device
from mrv.accounting.coverage import role_needs
from mrv.methodologies import find
from mrv.registry.project import FIRST, CheckMeter
from mrv.statement.plan_extract import MonitoringPlan
from mrv.texts import Text, render, signed_by_0_1_0, text

_MAX_DRAWN = 6  # maximum number of meters drawn per role
_HEIGHT, _GAP_Y, _EDGE = 80, 18, 24
# layout of a box: width, distance to the next, font size, and characters per line by font size
_Layout = tuple[int, int, int, dict[int, int]]
_LAYOUT: _Layout = (324, 42, 12, {15: 35, 12: 47})
_LAYOUT_0_1_0: _Layout = (300, 90, 11, {15: 32, 11: 47})
# A4 between its margins: 174 mm by 207 mm, at 12 px for 8 points
_PAGE_W, _PAGE_H = 738, 880
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
        return self.names.get(f"{kind}.{name}", name)

    def day(self, day: date) -> str:
        """Return a day in the reader's form; in packs in ISO form."""
        if not self.names:
            return day.isoformat()
        from mrv.texts import dates  # noqa: PLC0415 - a verifier draws without its library

        return dates.day(day, self.language)

    def box(
        self, x: int, y: int, kind: str, title: str | Text, *lines: str | Text
    ) -> tuple[int, int, int, int]:
        """Draw a box with its texts; return its edges."""
        width, _, small, _ = self.layout
        heads = self.lines(15, title)
        below = [part for line in lines for part in self.lines(small, line)]
        height = max(_HEIGHT, 30 + 18 * (len(heads) - 1) + 16 * len(below))
        self.parts.append(
            f'<rect class={quoteattr(kind)} x="{x}" y="{y}" width="{width}" height="{height}"'
            ' rx="6"/>'
        )
        self.texts(x + 12, y + 22, "t", heads)
        self.texts(x + 12, y + 22 + 18 * len(heads), "s", below)
        self.right, self.bottom = max(self.right, x + width), max(self.bottom, y + height)
        return x, y, x + width, y + height

    def lines(self, size: int, text: str | Text, columns: int = 90) -> list[str]:
        """Return a text in lines as wide as a box, or of `columns`; for 0.1.0 one cut line."""
        message = render(text, self.language) if isinstance(text, Text) else text
        maximum = self.layout[-1].get(size, columns)
        if self.layout == _LAYOUT_0_1_0:
            return [plain(message, self.layout[-1].get(size, 90))]
        return wrapped(message, maximum)

    def texts(self, x: int, y: int, style: str, lines: list[str]) -> None:
        step = {"h": 24, "t": 18}.get(style, 16)
        self.parts += [
            f'<text class="{style}" x="{x}" y="{y + step * number}">{escape(line)}</text>'
            for number, line in enumerate(lines)
        ]

    def line(self, begin: tuple[int, int], end: tuple[int, int], style: str = "") -> None:
        (x, y), (to_x, to_y) = begin, end
        middle = (x + to_x) // 2
        drawn = f'class="{style}" ' if style else ""
        self.parts.append(f'<path {drawn}d="M{x} {y}H{middle}V{to_y}H{to_x}"/>')


def diagram(
    plan: MonitoringPlan, language: str = "en", names: Mapping[str, str] | None = None
) -> str:
    """
    Return the monitoring diagram of a plan as one SVG document.

    `language`: language of its texts; English in packs.
    `names`: names of roles and frequencies, as `role.NAME`, and of the project, as `project.ID`;
    others have their names in the registry.
    Raises MethodologyError if its methodology or a role of it is unknown.
    """
    project = plan.project
    # a pack's diagram must be reproduced byte for byte
    layout = _LAYOUT_0_1_0 if plan.accounting == FIRST else _LAYOUT
    drawing = _Drawing(language, names or {}, layout)
    title = text("diagram.no_plan")
    if plan.versions:
        day = drawing.day(plan.versions[-1].begins)
        title = text("diagram.plan", version=plan.versions[-1].name, begin=day)
    method = f"{project.methodology} {project.version}"
    name = drawing.names.get(f"project.{project.id}", project.name)
    heads = drawing.lines(0, f"{name} ({project.id})", 58)
    drawing.texts(_EDGE, 38, "h", heads)
    begin = drawing.lines(0, text("diagram.monitoring", methodology=method, plan=title), 105)
    top = 60 + 24 * (len(heads) - 1)
    drawing.texts(_EDGE, top, "s", begin)
    top += 32 + 16 * (len(begin) - 1)
    ends, y = _meters(plan, drawing, top)
    middle = max(top, (top + y - _GAP_Y - _HEIGHT) // 2)
    _account(plan, drawing, ends, middle)
    return _page(drawing, render(text("diagram.title", project=project.name), language))


def _meters(plan: MonitoringPlan, drawing: _Drawing, y: int) -> tuple[list[tuple[int, int]], int]:
    """
    Draw the meters of each role with their check meters; return the start points (x, y) of the
    lines to the account, and the y below the last box.

    In diagrams of 0.1.0 check meters have their own boxes; since then they are a line in their
    meter's box.
    """
    methodology = find(plan.project.methodology, plan.project.version)
    devices = {device.id: device for device in plan.devices}
    first = drawing.layout == _LAYOUT_0_1_0
    own = _EDGE + (sum(drawing.layout[:2]) if plan.checks and first else 0)
    ends = []
    for role in sorted({d.role for d in plan.project.devices}):
        bound = [d for d in plan.project.devices if d.role == role]
        names = sorted({d.device for d in bound})
        needs = role_needs(methodology, bound[0], role)
        count = _MAX_DRAWN if len(names) > _MAX_DRAWN + 1 else len(names)
        for name in names[:count]:
            about = _about(plan, devices[name], role, drawing)
            checks = [c for c in plan.checks if c.main == name]
            beside = [] if first else [_checked_by(check) for check in checks]
            box = drawing.box(own, y, needs.side, name, *about, *beside)
            ends.append((box[2], (box[1] + box[3]) // 2))
            if not first:
                y = box[3] + _GAP_Y
                continue
            for number, check in enumerate(checks):
                top = y + number * (_HEIGHT + _GAP_Y)
                texts = (
                    text("diagram.check_of", meter=name),
                    text("diagram.may_differ", percent=str(check.percent)),
                )
                left = drawing.box(_EDGE, top, "check", check.check, *texts)
                drawing.line((left[2], top + _HEIGHT // 2), (own, y + _HEIGHT // 2), "dash")
            y += max(1, len(checks)) * (_HEIGHT + _GAP_Y)
        if len(names) > count:
            rest = text("diagram.more_meters", count=len(names) - count)
            in_role = text("diagram.in_role", role=drawing.named("role", role))
            box = drawing.box(own, y, "rest", rest, in_role)
            ends.append((box[2], y + _HEIGHT // 2))
            y += _HEIGHT + _GAP_Y
    return ends, y


def _checked_by(check: CheckMeter) -> Text:
    return text("diagram.checked_by", meter=check.check, percent=str(check.percent))


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
    called, kind = drawing.named("role", role), drawing.named("class", device.class_id)
    return text("diagram.meter", role=called, kind=kind, serial=serial), how, certified


def _account(plan: MonitoringPlan, drawing: _Drawing, ends: list[tuple[int, int]], y: int) -> None:
    """Draw the part after the meters: stream, store, account, responsible persons."""
    first = plan.accounting == FIRST  # layout of tonne 0.1.0
    x = _EDGE + (2 if plan.checks and first else 1) * sum(drawing.layout[:2])
    gateways = sorted({d.gateway for d in plan.devices if d.gateway})
    how = text("diagram.sent_itself")
    if gateways:
        how = text("diagram.sent_by_gateways", count=len(gateways))
    data = drawing.box(x, y, "sum", text("diagram.readings"), how)
    for end in ends:
        drawing.line(end, (x, (y + data[3]) // 2))
    below = data[3] + _GAP_Y * 2
    missing = signed_by_0_1_0("no_responsible") if first else text("diagram.not_stated")
    answers = text(
        "diagram.responsible", who=plan.versions[-1].responsible if plan.versions else missing
    )
    methodology = f"{plan.project.methodology} {plan.project.version}"
    account = drawing.box(x, below, "sum", text("diagram.account"), methodology, answers)
    middle = (data[0] + data[2]) // 2
    drawing.parts.append(f'<path d="M{middle} {data[3]}V{below}"/>')
    if plan.invoices:
        lower = account[3] + _GAP_Y * 2
        drawing.box(
            x,
            lower,
            "check",
            text("diagram.invoices", count=len(plan.invoices)),
            signed_by_0_1_0("invoices") if first else text("diagram.cross_checked"),
        )
        drawing.parts.append(f'<path class="dash" d="M{middle} {lower}V{account[3]}"/>')


def plain(text: str, maximum: int) -> str:
    """Return text on one line without control or formatting characters, cut to a maximum length."""
    kept = "".join(
        c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return kept if len(kept) <= maximum else kept[: maximum - 1] + "\N{HORIZONTAL ELLIPSIS}"


def wrapped(message: str, columns: int) -> list[str]:
    """Return text in lines of `columns` characters, of which East Asian ones take two."""
    line = plain(message, _ELSE)
    wide = any(unicodedata.east_asian_width(c) in "WF" for c in line)
    return textwrap.wrap(line, columns * 5 // 9 if wide else columns) or [""]


def in_pages(drawn: str, *, columns: bool = True) -> list[str]:
    """
    Return a drawing as SVG texts that fit on a printed page; no box is cut.

    `columns`: whether it is also divided by width; then the last column of boxes of a part is
    repeated as the first one of the next part.  It is always divided by height.
    """
    match = re.search(r'width="(\d+)" height="(\d+)" viewBox="0 0 \1 \2"', drawn)
    if match is None:
        return [drawn]
    width, height = map(int, match.groups())
    boxes = [
        tuple(map(int, box))
        for box in re.findall(
            r'<rect class="[^>]* x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', drawn
        )
    ]
    lefts, rows = [0], [(0, 0)]
    while columns and width - lefts[-1] > _PAGE_W:
        room = range(lefts[-1] + _EDGE + 1, lefts[-1] + _PAGE_W - _EDGE + 1)
        last = max((x for x, _, wide, _ in boxes if x in room and x + wide in room), default=0)
        if not last:
            break
        lefts.append(last - _EDGE)
    tall = [(y, y + high) for _, y, _, high in boxes]
    free = [y - 4 for y, _ in tall if not any(a < y - 4 < b for a, b in tall)]
    while height - rows[-1][1] > _PAGE_H:
        begin = rows[-1][1]
        reach = begin + _PAGE_H
        end = max((y for y in free if begin < y <= reach), default=reach)
        # columns end at different heights; a box that would be cut is moved to the next part
        rows.append((end, min((a - 4 for a, b in tall if begin + 4 < a < end < b), default=end)))
    edges = [(begin, end) for (_, begin), (end, _) in pairwise([*rows, (height, height)])]
    wide = min(width, _PAGE_W) if len(lefts) > 1 else width
    return [
        _seen(drawn, range(left, left + wide), range(begin, end + 1)).replace(
            match[0],
            f'width="{wide}" height="{end - begin}" viewBox="{left} {begin} {wide} {end - begin}"',
            1,
        )
        for left in lefts
        for begin, end in edges
        if any(left <= x < left + wide and begin < y < end for x, y, _, _ in boxes)
    ]


def _seen(drawn: str, across: range, down: range) -> str:
    """Return a drawing without texts outside its page."""

    def kept(placed: re.Match[str]) -> str:
        return placed[0] if int(placed[1]) in across and int(placed[2]) in down else ""

    return _PLACED.sub(kept, drawn)


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


_LINE_GAP_Y, _MARGIN, _LINE_TOP = 20, 24, 60
# widths of boxes: maximum and minimum; distances: of two columns, of three or more
_WIDEST, _NARROWEST, _WIDE_GAP, _GAP = 250, 106, 80, 40
_LINE, _HEAD, _ABOVE = 15, 24, 8
_CHARACTER = 6.4
_PLACED = re.compile(r'<text class="[^"]*" x="(\d+)" y="(\d+)">.*</text>')
_MAX_METERS = 24  # maximum meters with the same load
_ELSE = 200  # maximum characters of a name


def line_diagram(plan: MonitoringPlan, language: str = "en") -> str | None:
    """Return the plant's meters as one SVG document; None if no meter states its load."""
    feeds = {meter: to for meter, (_, to) in plan.points.items() if to}
    if not feeds:
        return None
    drawn, more = _limited(feeds)
    names = sorted({*drawn, *(to for each in drawn.values() for to in each)})
    level = _levels(drawn, names)
    count = max(level.values()) + 1
    gap = _WIDE_GAP if count < 3 else _GAP  # noqa: PLR2004 - columns
    room = (_PAGE_W - 2 * _MARGIN - (count - 1) * gap) // count
    wide = max(_NARROWEST, min(_WIDEST, room))
    boxes: dict[str, tuple[int, int, int]] = {}
    parts: list[str] = []
    # lines that skip a column are drawn above all boxes, one per target
    far = sorted({to for a, each in drawn.items() for to in each if level[to] != level[a] + 1})
    bottom = top = _LINE_TOP + _ABOVE * len(far)
    for column in range(count):
        y = top
        for name in (name for name in names if level[name] == column):
            texts = _lines(plan, name, more, language)
            lines = [w for item in texts for w in wrapped(item, int((wide - 20) / _CHARACTER))]
            height = _HEAD + _LINE * len(lines)
            x = _MARGIN + column * (wide + gap)
            kind = "baseline" if name in plan.points else "sum"
            parts += _box((x, y, wide, height), kind, lines)
            boxes[name] = (x, y, height)
            y += height + _LINE_GAP_Y
        bottom = max(bottom, y)
    lanes = _lanes(drawn, level, gap)
    for name, targets in sorted(drawn.items()):
        x, y, height = boxes[name]
        for to in targets:
            to_x, to_y, to_height = boxes[to]
            # each meter has a separate lane, so that its line cannot be confused with another
            begin, lane = x + wide, x + wide + lanes[name]
            at, end = y + height // 2, to_y + to_height // 2
            above = ""
            if level[to] != level[name] + 1:
                above = f"V{_LINE_TOP - 12 + _ABOVE * far.index(to)}H{to_x - _ABOVE}"
            parts.append(f'<path d="M{begin} {at}H{lane}{above}V{end}H{to_x}"/>')
    width = max(_PAGE_W, _MARGIN * 2 + count * (wide + gap) - gap)
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
    """
    Return the meters to draw, each with its loads; and by name, how many more of a kind were
    omitted.

    The number is listed under the last meter drawn.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    fed = {to for each in feeds.values() for to in each}
    for name, to in sorted(feeds.items()):
        # a meter that other meters supply is always drawn
        groups.setdefault((*to, name) if name in fed else to, []).append(name)
    limited: dict[str, tuple[str, ...]] = {}
    more: dict[str, int] = {}
    for names in groups.values():
        limited |= {name: feeds[name] for name in names[:_MAX_METERS]}
        if len(names) > _MAX_METERS:
            more[names[_MAX_METERS - 1]] = len(names) - _MAX_METERS
    return limited, more


def _levels(feeds: Mapping[str, tuple[str, ...]], names: list[str]) -> dict[str, int]:
    """
    Return the column of each meter by name: to the right of the columns of all its supplies.

    A cycle of meters is cut at one meter.
    """
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


def _lanes(
    feeds: Mapping[str, tuple[str, ...]], level: Mapping[str, int], gap: int
) -> dict[str, int]:
    """
    Return by meter how far right of its column its line bends. [px]

    Meters of a column with equal loads share a position.  `gap`: distance between two columns.
    """
    lanes: dict[str, int] = {}
    for column in set(level.values()):
        kinds = sorted({to for name, to in feeds.items() if level[name] == column})
        for name, to in feeds.items():
            if level[name] == column:
                lanes[name] = gap * (kinds.index(to) + 1) // (len(kinds) + 1)
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
    return lines


def _box(place: tuple[int, int, int, int], kind: str, lines: list[str]) -> list[str]:
    x, y, wide, height = place
    result = [f'<rect class="{kind}" x="{x}" y="{y}" width="{wide}" height="{height}" rx="4"/>']
    for number, line in enumerate(lines):
        at = y + 20 + _LINE * number
        result.append(f'<text class="s" x="{x + 10}" y="{at}">{escape(line)}</text>')
    return result
