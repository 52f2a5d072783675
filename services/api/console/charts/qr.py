"""QR code (ISO/IEC 18004) as one SVG path, dark on white in every theme, with its quiet zone."""

from __future__ import annotations

import segno
from markupsafe import Markup

from services.api.console.charts.svg import tag

_QUIET = 4


def qr(text: str, alt: str) -> Markup:
    """Return the QR code of a text."""
    lines = segno.make(text, error="m", micro=False).matrix
    side = len(lines) + 2 * _QUIET
    path = "".join(
        f"M{x + _QUIET} {y + _QUIET}h1v1h-1z"
        for y, line in enumerate(lines)
        for x, dot in enumerate(line)
        if dot
    )
    return tag(
        "svg",
        tag("path", d=f"M0 0h{side}v{side}h-{side}z", fill="#fff"),
        tag("path", d=path, fill="#000"),
        class_="qr",
        viewBox=f"0 0 {side} {side}",
        role="img",
        aria_label=alt,
        shape_rendering="crispEdges",
    )
