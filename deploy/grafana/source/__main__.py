"""
Write the dashboards: `make dashboards`.

    python -m deploy.grafana.source          # writes deploy/grafana/dashboards/*.json
"""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import (
    air,
    ev,
    factories,
    fleet,
    mrv,
    overview,
    pipeline,
    pv,
    water,
    works,
)

FOLDER = Path(__file__).parents[1] / "dashboards"
BOARDS = (overview, pv, ev, air, water, factories, works, fleet, mrv, pipeline)


def written(made: model.Dashboard) -> str:
    """Text of a dashboard's file: keys in order, so that a change shows as itself."""
    return json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def files() -> dict[str, str]:
    """Return every file by its name."""
    made = [module.dashboard() for module in BOARDS]
    return {f"{one.uid}.json": written(one) for one in made}


def main() -> None:
    """Write them all, and remove what nothing writes any more."""
    FOLDER.mkdir(exist_ok=True)
    wanted = files()
    for old in FOLDER.glob("*.json"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
