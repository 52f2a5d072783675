"""
What can go wrong on the way from a meter to the broker, by request.

| fault | unit | what happens |
|---|---|---|
| duplicates | share of readings | sent twice, unchanged |
| disorder | share of readings | overtaken by the next few |
| late | share of readings | held back up to three hours, then sent as one array |
| dropout | share of readings | never sent; the register counts on |
| glitch | share of readings | registers show 0 once, then go on: x, 0, x |
| jitter | share of readings | registers show a few base units less than just before |
| units | share of readings | energy and power a thousand times too large (Wh as kWh) |
| garbage | share of readings | a payload that nobody can use, besides the good one |
| reset | times a device | registers start again at 0 |
"""

from dataclasses import dataclass, fields

from services.simulator.model import SimulatorError

DEFAULT_RATES = {
    "duplicates": 0.01,
    "disorder": 0.02,
    "late": 0.01,
    "dropout": 0.01,
    "glitch": 0.001,
    "jitter": 0.001,
    "units": 0.001,
    "garbage": 0.001,
    "reset": 1,
}


@dataclass(frozen=True, slots=True)
class Faults:
    """How much of each fault: shares from 0 to 1, `reset` a number of times a device."""

    duplicates: float = 0.0
    disorder: float = 0.0
    late: float = 0.0
    dropout: float = 0.0
    glitch: float = 0.0
    jitter: float = 0.0
    units: float = 0.0
    garbage: float = 0.0
    reset: int = 0


NO_FAULTS = Faults()


def parse_faults(spec: str) -> Faults:
    """
    Faults from `duplicates=0.01,reset=1,glitch`; a name alone takes its usual rate.

    Raises
    ------
    SimulatorError
        On an unknown name, a rate that is no share, or a name given twice.
    """
    chosen: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in spec.split(","))):
        name, equals, given = part.partition("=")
        if name not in DEFAULT_RATES:
            known = ", ".join(field.name for field in fields(Faults))
            raise SimulatorError(f"fault {name!r} is unknown; choose from {known}")
        if name in chosen:
            raise SimulatorError(f"fault {name!r} is given twice; keep one")
        chosen[name] = _rate(name, given) if equals else DEFAULT_RATES[name]
    return Faults(**chosen)  # type: ignore[arg-type]  # reset is whole, _rate saw to it


def _rate(name: str, given: str) -> float:
    if name == "reset":
        if not given.isdecimal():
            raise SimulatorError(f"fault reset={given!r} must be a whole number of times a device")
        return int(given)
    try:
        rate = float(given)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        raise SimulatorError(f"fault {name}={given!r} must be a share from 0 to 1, such as 0.01")
    return rate
