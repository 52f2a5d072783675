"""Bindings that are compiled version after version are those that are compiled again."""

from dataclasses import replace

import numpy as np
import pytest

from ingest.model import Device, Fleet
from mrv import factors
from mrv.accounting import live_emissions as device_bindings
from mrv.accounting.live_emissions import Bindings, Compiled, compile_bindings
from mrv.errors import MethodologyError
from mrv.registry.project import Project, ProjectDevice

BEGIN_US, DAY_US = 1_767_225_600_000_000, 86_400_000_000
BOOK = factors.load()


def registry():
    """Two projects of two inverters each."""
    devices = [Device(f"d{k}", "s", "pv_inverter", rated_power_w=50_000) for k in range(4)]
    projects = [
        Project(
            f"p{n}", "P", "jcm-vn-am007", "1.0", "Asia/Ho_Chi_Minh",
            BEGIN_US, BEGIN_US + 900 * DAY_US,
            devices=tuple(
                ProjectDevice(f"d{k}", "generation", {"case": 1}) for k in (2 * n, 2 * n + 1)
            ),
        )
        for n in (0, 1)
    ]  # fmt: skip
    return devices, projects


def same(one: Bindings, other: Bindings) -> bool:
    """Whether two are the same in all that an account reads."""
    return (one.projects, one.sources) == (other.projects, other.sources) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("begin", "end", "project", "source")
    )


def changed(what):
    """The registry after a change."""
    devices, projects = registry()
    if what == "a device is removed":
        devices[3] = replace(devices[3], removed_us=BEGIN_US + 100 * DAY_US)
    elif what == "a device comes before others":
        devices.insert(0, Device("a0", "s", "pv_inverter", rated_power_w=1_000))
    elif what == "a device leaves a project":
        projects[0] = replace(projects[0], devices=projects[0].devices[:1])
    elif what == "a project ends earlier":
        projects[1] = replace(projects[1], to_us=BEGIN_US + 400 * DAY_US)
    elif what == "a project goes":
        projects.pop(0)
    return devices, projects


@pytest.mark.parametrize(
    "what",
    [
        "nothing",
        "a device is removed",
        "a device comes before others",
        "a device leaves a project",
        "a project ends earlier",
        "a project goes",
    ],
)
def test_a_change_gives_what_compiling_anew_gives(what):
    """A change of the registry that is taken up quickly and wrongly would price energy wrongly."""
    compiled = Compiled()
    devices, projects = registry()
    compile_bindings(projects, Fleet(devices), BOOK, compiled)
    devices, projects = changed(what)
    fleet = Fleet(devices)
    again = compile_bindings(projects, fleet, BOOK, compiled)
    assert same(again, compile_bindings(projects, fleet, BOOK))


def test_only_what_differs_is_compiled_again(monkeypatch):
    """One meter's new rating would hold up storing of a hundred thousand for seconds."""
    seen = []
    inner = device_bindings._of_project
    monkeypatch.setattr(
        device_bindings, "_of_project", lambda p, *rest: (seen.append(p.id), inner(p, *rest))[1]
    )
    compiled = Compiled()
    devices, projects = registry()
    compile_bindings(projects, Fleet(devices), BOOK, compiled)
    devices, projects = changed("a device is removed")
    compile_bindings(projects, Fleet(devices), BOOK, compiled)
    assert seen == ["p0", "p1", "p1"]
    compiled.by(["another factor"])
    compile_bindings(projects, Fleet(devices), BOOK, compiled)
    assert seen[3:] == ["p0", "p1"]


def test_a_device_that_is_gone_is_named():
    """A project would go on with a device that no one knows any more."""
    compiled = Compiled()
    devices, projects = registry()
    compile_bindings(projects, Fleet(devices), BOOK, compiled)
    with pytest.raises(MethodologyError, match="d3"):
        compile_bindings(projects, Fleet(devices[:3]), BOOK, compiled)
