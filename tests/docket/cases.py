"""The cases of the docket: those of the files in `labelled/`, and each plant as it is."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

from tests.docket.world import HERE


@cache
def cases() -> dict[str, dict[str, Any]]:
    """Read all cases by name: those of the files, and each plant as it is."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted((HERE / "plants").glob("*.toml")):
        said = tomllib.loads(file.read_text("utf-8"))
        found[f"{file.stem}/as-it-is"] = {
            "plant": file.stem, "label": "honest", "is": said["is"], "do": [],
            "asked": [], "grade": "C", "earns": 1.0,
        }  # fmt: skip
    for file in sorted((HERE / "labelled").glob("*.toml")):
        for plant, some in tomllib.loads(file.read_text("utf-8")).items():
            for name, one in some.items():
                label = "honest" if "honest" in one else "fraud"
                said = {"plant": plant, "label": label, "is": one.pop(label)}
                found[f"{plant}/{name}"] = {**said, "asked": [], "grade": "C", "earns": 1.0, **one}
    return found
