"""
A recording as the device in the field would have sent it.

The meter integrates power by the trapezoid into whole Wh.  Positive power counts
as export and negative, a night's standby draw, as import: a meter never counts
backward.  Where the recording has a gap the two ends are joined by a line.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from services.simulator.model import Block, Device, SimulatorError
from services.simulator.recording import Recording
from services.simulator.register import Register

RISING = "energy_export_kwh"


class Replayed:
    """
    A PV device that repeats a recording.

    Parameters
    ----------
    start_ms : int, optional
        Moment of the first row; the recorded one when not given. [ms]
    duration_ms : int, optional
        Rows from then on, all when not given. [ms]

    Raises
    ------
    SimulatorError
        When the duration leaves nothing to send.
    """

    def __init__(
        self,
        recording: Recording,
        device_id: str,
        start_ms: int | None = None,
        duration_ms: int | None = None,
    ) -> None:
        times = np.array(recording.time_ms, dtype=np.int64)
        times += 0 if start_ms is None else start_ms - times[0]
        self._rows = len(times)
        if duration_ms is not None:
            self._rows = int(np.searchsorted(times, times[0] + duration_ms))
        if not self._rows:
            raise SimulatorError("the duration leaves no row to send; give a longer --duration")
        self._times, self._recording = times[: self._rows], recording
        peak_w = round(max(recording.power_w))
        step_ms = min((b - a for a, b in pairwise(recording.time_ms)), default=60_000)
        cadence_s = max(step_ms // 1_000, 1)
        self.device = Device(device_id, "pv_inverter", device_id, 0.0, 0.0, peak_w, cadence_s)

    @property
    def span_ms(self) -> tuple[int, int]:
        """First time, and the millisecond after the last."""
        return int(self._times[0]), int(self._times[-1]) + 1

    def blocks(self) -> Iterator[Block]:
        """Give the recording as one block, registers from 0."""
        power_mw = np.array(
            [round(power * 1_000) for power in self._recording.power_w[: self._rows]],
            dtype=np.int64,
        )
        yield Block(
            time_ms=self._times,
            number=np.arange(1, self._rows + 1, dtype=np.int64),
            registers={
                RISING: Register(0).advance(self._times, power_mw),
                "energy_import_kwh": Register(0).advance(self._times, -power_mw),
            },
            gauges={
                "active_power_kw": power_mw / 1e6,
                **{
                    channel: np.round(np.array(values[: self._rows]), 4)
                    for channel, values in self._recording.gauges.items()
                },
            },
        )
