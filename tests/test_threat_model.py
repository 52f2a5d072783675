"""The threat model names tests that there are, and at each boundary every kind of threat."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.every import every

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
BOUNDARIES = re.findall(r"^## (\d\. .*?)$(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE)))


def test_what_shows_a_control_is_there() -> None:
    """A reviewer would be told of a test that nobody runs any more."""

    @every(NAMED)
    def _(named: str) -> None:
        path, _, name = named.partition("::")
        file = ROOT / path
        assert file.exists(), path
        found = {
            node.name
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef)
        }
        assert not name or name in found, f"{path} has no {name}"


def test_each_threat_has_a_control_and_a_test() -> None:
    """A threat that is only named is not held."""

    @every(BOUNDARIES)
    def _(boundary: str, text: str) -> None:
        rows = [
            line.split(" | ") for line in text.splitlines() if re.match(r"\| [STRIDE] \|", line)
        ]
        assert rows, boundary
        for row in rows:
            assert len(row) == 4, row
            assert "`tests/" in row[3], row


def test_no_kind_of_threat_is_passed_over() -> None:
    """A whole kind could be forgotten without anybody seeing it."""
    kinds = set(re.findall(r"^\| ([STRIDE]) \|", PAGE, re.MULTILINE))
    assert kinds == set("STRIDE")
    assert len(BOUNDARIES) == 6
