"""Readings with every kind of register fault, and the ways in which they can be delivered."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ingest import classes
from ingest.model import NULL, Frame
from tests.ingest.metering import MINUTE_US, T0_US
from tests.ingest.test_metering import JUMPS, ODD_STEPS
from tests.soak import SOAK

CLASS = "pv_inverter"
GAPS = st.sampled_from([1, 5, 10, 15, 17, 30, 59, 61, 130, 400, 1500])
POWER = st.sampled_from([0.0, 1_000.0, 50_000.5, 99_000.0, -200.0])
# of examples that take a second each, over one database
FEW = settings(
    max_examples=40 if SOAK else 2,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
FAILING = ("reading_pv_inverter", "interval_quantity", "interval_emission", "quality_flag")


@dataclass(frozen=True)
class Reading:
    """One message: the values of a device at one time; None for an absent value."""

    device: int
    time_us: int
    export: int | None = None
    imported: int | None = None
    power: float | None = None
    irradiance: float | None = None

    def values(self) -> dict[str, float | None]:
        """Return the channels that the table has, by column."""
        return {
            "energy_export_wh": self.export,
            "energy_import_wh": self.imported,
            "active_power_w": self.power,
            "irradiance_w_m2": self.irradiance,
        }


@dataclass
class Batch:
    """Readings of one transaction, and the outcome of the transaction."""

    readings: list[Reading]
    fate: str = "stored"
    failing: str | None = None


@dataclass
class Journal:
    """The expected stored rows: the first value is kept, empty channels are filled."""

    rows: dict[tuple[int, int], dict[str, float | None]] = field(default_factory=dict)
    conflicts: int = 0

    def take(self, readings: list[Reading]) -> None:
        """Record a batch that was committed."""
        for reading in readings:
            held = self.rows.setdefault((reading.device, reading.time_us), {})
            new = {k: v for k, v in reading.values().items() if v is not None}
            if any(k in held and held[k] != v for k, v in new.items()):
                self.conflicts += 1
            else:
                held.update(new)


@st.composite
def register(draw, n: int) -> list[int]:
    """
    Return the values of one register: rises, standstills, jitter,
    resets, glitches, rollovers.
    """
    value = draw(st.sampled_from([0, 50, 10**8 - 500, 10**6]))
    before, out = value, []
    for _ in range(n):
        out.append(max(value, 0))
        kind = draw(st.integers(0, 9))
        if kind == 0:
            before, value = value, max(0, value + draw(JUMPS))
        elif kind == 1:
            before, value = value, before
        elif kind == 2:
            value %= 10**8
        else:
            value += draw(ODD_STEPS)
    return out


@st.composite
def history(draw, device: int) -> list[Reading]:
    """Return one device's readings in the order of time."""
    n = draw(st.integers(0, 22))
    kind = draw(st.sampled_from(["register", "register", "both", "power", "late-register"]))
    time_us = T0_US + draw(st.integers(0, 20)) * MINUTE_US
    export, imported = draw(register(n)), draw(register(n))
    out = []
    for k in range(n):
        has_register = kind in {"register", "both"} or (kind == "late-register" and k >= n - 3)
        out.append(
            Reading(
                device,
                time_us,
                export[k] if has_register and draw(st.integers(0, 5)) else None,
                imported[k] if kind == "both" and draw(st.booleans()) else None,
                draw(POWER) if kind != "register" and draw(st.integers(0, 3)) else None,
                float(k),
            )
        )
        time_us += draw(GAPS) * MINUTE_US
    return out


WATTS = st.sampled_from([0.0, 10.0, 1_000.0, 30_000.0, 60_000.0, 120_000.0])
LITTLE = st.sampled_from([10.0, 30.0, 1_000.0, 1_000.0, 1_999.0, 11_000.0])
QUICK = st.sampled_from([1, 1, 5, 10, 30, 59, 60, 61, 130, 400])
SLOW = st.sampled_from([600, 700, 1_000, 1_300, 1_440, 1_500])


@st.composite
def odd_history(draw, device: int) -> list[Reading]:
    """
    Return one device's readings with standstills, spikes, gaps and days of too little power.

    Its register may rise as its power indicates, and so corroborate a standstill.
    """
    slow = draw(st.integers(0, 2)) == 0
    watts = LITTLE if slow else WATTS
    time_us = T0_US + draw(st.integers(0, 600)) * MINUTE_US
    export, power, minutes, out = 1_000, draw(watts), 0, []
    rises = draw(st.sampled_from([(0, 0, 0, 100), (0, 100, None, None, None)]))
    for k in range(draw(st.integers(4, 22))):
        kind = draw(st.integers(0, 5))
        power = draw(watts) if kind == 0 else power
        rise = draw(st.sampled_from(rises))
        export += int(power * minutes / 60) if rise is None else rise
        out.append(
            Reading(
                device,
                time_us,
                export if draw(st.integers(0, 4)) else None,
                power=None if kind == 1 else power + 50_000.0 * (kind == 2 and not slow),
                irradiance=draw(st.sampled_from([float(k), 500.0])),
            )
        )
        minutes = draw(SLOW if slow else QUICK)
        time_us += minutes * MINUTE_US
    return out


@st.composite
def copies(draw, readings: list[Reading]) -> list[Reading]:
    """
    Return the same readings in another order: some twice, some in two
    halves, some contradicted.
    """
    out = []
    for reading in readings:
        kind = draw(st.integers(0, 11))
        rest = {"export": None, "imported": None}
        if kind == 0:
            out += [reading, reading]
        elif kind == 1:
            registers = Reading(reading.device, reading.time_us, reading.export, reading.imported)
            gauges = Reading(
                reading.device,
                reading.time_us,
                **rest,
                power=reading.power,
                irradiance=reading.irradiance,
            )
            out += [gauges, registers]
        elif kind == 2 and reading.export is not None:
            out += [
                reading,
                Reading(reading.device, reading.time_us, reading.export + 7, irradiance=1.5),
            ]
        else:
            out.append(reading)
    how = draw(st.sampled_from(["in order", "delayed", "shuffled"]))
    if how == "shuffled":
        return draw(st.permutations(out))
    delays = st.sampled_from([0, 0, 0, 0, 3, 60, 2_000] if how == "delayed" else [0])
    keyed = [(r.time_us + draw(delays) * MINUTE_US, k, r) for k, r in enumerate(out)]
    return [r for _, _, r in sorted(keyed, key=lambda item: item[:2])]


@st.composite
def batches(draw, devices: int, of=history) -> list[Batch]:
    """
    Return a delivery in which every reading occurs at least once, in
    transactions with outcomes.
    """
    readings = [r for d in range(devices) for r in draw(of(d))]
    arriving = draw(copies(readings))
    out: list[Batch] = []
    while arriving:
        size = draw(st.integers(1, 14))
        batch = Batch(arriving[:size], draw(st.sampled_from(FATES)))
        if batch.fate == "failed":
            batch.failing = draw(st.sampled_from(FAILING))
        arriving = arriving[size:]
        out.append(batch)
        if draw(st.integers(0, 7)) == 0:  # a redelivery of some batch that was stored
            out.append(Batch(draw(st.sampled_from(out)).readings))
    return out


FATES = ["stored", "stored", "stored", "restart", "failed", "crashed", "lost answer"]


def frame(readings: list[Reading], class_id: str = CLASS) -> Frame:
    """Return readings as an admitted frame, in the order of arrival."""
    columns = {}
    for name, channel in classes.load()[class_id].channels.items():
        values = [r.values().get(name) for r in readings]
        columns[name] = (
            np.array([NULL if v is None else v for v in values], dtype=np.int64)
            if channel.kind == "register"
            else np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        )
    return Frame(
        class_id,
        np.array([r.device for r in readings], dtype=np.int32),
        np.array([r.time_us for r in readings], dtype=np.int64),
        np.arange(len(readings), dtype=np.int32),
        columns,
    )
