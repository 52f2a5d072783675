"""The alert rules as deployed, as text, as names, and with a faster clock."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
_LONGER = {"m": "s", "h": "m"}


def every() -> list[dict[str, Any]]:
    """Return all rules, recording rules and alerts."""
    groups = [g for path in RULES for g in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Return the alerts."""
    return [rule for rule in every() if "alert" in rule]


def faster(folder: Path) -> tuple[Path, ...]:
    """Write the same rules with a second for each minute and a minute for each hour."""
    made = []
    for path in RULES:
        text = re.sub(r"(?<=\[)(\d+)([mh])(?=\])", _sooner, path.read_text())
        text = re.sub(r"(?<=for: )(\d+)([mh])$", _sooner, text, flags=re.MULTILINE)
        text = re.sub(r"(?<=offset )(\d+)([mh])", _sooner, text)
        # what a rate over five minutes is called stays; it is over five seconds
        made.append(folder / path.name)
        made[-1].write_text(text)
    return tuple(made)


def _sooner(match: re.Match[str]) -> str:
    return match[1] + _LONGER[match[2]]


_WORDS = frozenset(
    ["sum", "max", "min", "avg", "count", "by", "on", "and", "or", "unless", "offset", "rate",
     "increase", "absent", "time", "histogram_quantile", "min_over_time", "max_over_time", "bool",
     "vector", "clamp_min", "deriv", "label_replace"]
)  # fmt: skip


def metrics_of(expr: str) -> set[str]:
    """Return the names of series in an expression."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', "", expr)
    bare = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"[a-zA-Z_][a-zA-Z0-9_:]*", bare)) - _WORDS - {"m", "h", "d"}
