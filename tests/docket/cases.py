"""The cases of the docket: those of the files in `labelled/`, and each unchanged plant."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

from tests.docket.world import HERE


@cache
def cases() -> dict[str, dict[str, Any]]:
    """Return all cases by name: those of the files, and each unchanged plant."""
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
                if f"{plant}/{name}" in found:
                    raise ValueError(f"{file.name}: another case is called {plant}/{name}")
                label = "honest" if "honest" in one else "fraud"
                said = {"plant": plant, "label": label, "is": one.pop(label)}
                found[f"{plant}/{name}"] = {**said, "asked": [], "grade": "C", "earns": 1.0, **one}
    return found


# values of distortions that name what is false
_NAMING = ("on", "of", "device", "with_", "name")


def false_in(case: dict[str, Any]) -> set[str]:
    """Return the meters and values of a fraud that are false."""
    found = {*case.get("params", ()), *case.get("false", ())}
    for word, values in (pair for step in case["do"] for pair in step.items()):
        names = [values[key] for key in _NAMING if key in values]
        flat = [one for name in names for one in ([name] if isinstance(name, str) else name)]
        found |= {one.partition(".")[0] for one in flat}
        found |= set(values) - {"on", "stated"} if word in ("typed", "typed_later") else set()
    return found
