"""
Write dashboards and alert rules in each available language: `make dashboards`.

    python -m deploy.grafana.source          # writes deploy/grafana/dashboards and alerting
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import (
    WORDS,
    english,
    fleet,
    languages,
    marked,
    mrv,
    overview,
    pv,
    translated,
    water,
    works,
)
from mrv.texts import ENGLISH

FOLDER = Path(__file__).parents[1]
BOARDS = (
    overview.dashboard,
    pv.dashboard,
    works.wind_dashboard,
    pv.ev_dashboard,
    water.air_dashboard,
    water.dashboard,
    works.factories_dashboard,
    works.dashboard,
    fleet.dashboard,
    mrv.dashboard,
    fleet.pipeline_dashboard,
)
_RULES = Path(__file__).parent / "alerting.yaml"
# key of a dashboard whose panels are written one per line: a diff shows the changed panels
_PANELS = "panels"


def written(made: model.Dashboard) -> str:
    """Return a dashboard as JSON text: keys in order, one panel per line."""
    board = json.loads(json.dumps(made, cls=JSONEncoder))
    panels = ",\n".join(_line(panel) for panel in board.pop(_PANELS))
    keys = (f"{_line(key)}: {_line(board[key])}" for key in sorted(board))
    return "{\n" + ",\n".join((*keys, f'"{_PANELS}": [\n{panels}\n]')) + "\n}\n"


def declared() -> dict[str, str]:
    """
    Return the content of every file before translation, by path; {} in a path is the
    language.
    """
    made = [board() for board in BOARDS]
    boards = {f"dashboards/{{}}/{board.uid}.json": written(board) for board in made}
    return {**boards, "alerting/{}/tonne.yaml": _RULES.read_text(encoding="utf-8")}


def files() -> dict[str, str]:
    """Return the content of every file by path: each language's, and the English word file."""
    marks = declared()
    texts = {text for declaration in marks.values() for text in marked(declaration)}
    made = {
        name.format(language): translated(declaration, language)
        for language in languages()
        for name, declaration in marks.items()
    }
    return {**made, f"{WORDS.name}/{ENGLISH}.toml": english(texts)}


def main() -> None:
    """Write all files, and remove obsolete ones."""
    for folder in ("dashboards", "alerting"):
        shutil.rmtree(FOLDER / folder, ignore_errors=True)
    for name, text in files().items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")


def _line(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


if __name__ == "__main__":
    main()
