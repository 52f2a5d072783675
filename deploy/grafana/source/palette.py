"""
Colours of the dashboards, between the console's light and dark colours.

Grafana uses one colour for both themes, so each has a contrast of 3.5:1 or more on both backgrounds
(checked in `tests/grafana/test_languages.py`).
"""

from __future__ import annotations

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE = (
    "#398a57",
    "#b97a12",
    "#b5691c",
    "#d5534a",
    "#577dbd",
    "#a961e6",
)
# Grafana's own colour of text in either scheme
GREY = "text"
# actions of the programme, as the console's --a1 to --a6
ACTIONS = (BLUE, YELLOW, PURPLE, "#0b9656", "#d43f95", "#7f8894")
