"""A serial line between two pseudo-terminals, with a meter and an inverter at its far end."""

import asyncio
import os
import select
import threading
import tty

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer

from tests.services.edge.plant import inverter_device, meter_device

METER, INVERTER = 3, 4
BAUD = 19_200


class Line:
    """
    Two devices that answer Modbus RTU.

    `near` is the path that a gateway opens; `cut` removes the wire, `mend` restores it.
    """

    def __init__(self):
        pairs = [os.openpty() for _ in range(2)]
        self._ends = [master for master, _ in pairs]
        self._slaves = [slave for _, slave in pairs]
        for slave in self._slaves:
            tty.setraw(slave)
        self.near, self._far = (os.ttyname(slave) for slave in self._slaves)
        self._whole, self._over = threading.Event(), threading.Event()
        self._whole.set()
        self._threads = [threading.Thread(target=t, daemon=True) for t in (self._carry, self._run)]
        self._listening = threading.Event()
        for thread in self._threads:
            thread.start()
        assert self._listening.wait(60)

    def _carry(self):
        """Carry bytes in both directions, as a wire does; a cut wire loses them."""
        near, far = self._ends
        while not self._over.is_set():
            ready, _, _ = select.select(self._ends, [], [], 0.1)
            for end in ready:
                data = os.read(end, 4_096)
                if self._whole.is_set():
                    os.write(far if end == near else near, data)

    def _run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        server = ModbusSerialServer(
            [meter_device(METER), inverter_device(INVERTER, energy_wh=654_321)],
            framer=FramerType.RTU,
            ignore_missing_devices=True,
            port=self._far,
            baudrate=BAUD,
            parity="N",
            stopbits=1,
            bytesize=8,
        )
        await server.listen()
        self._loop, self._quit = asyncio.get_running_loop(), asyncio.Event()
        self._listening.set()
        await self._quit.wait()
        await server.shutdown()

    def cut(self):
        """Cut the wire."""
        self._whole.clear()

    def mend(self):
        """Restore the wire."""
        self._whole.set()

    def close(self):
        """Close the line."""
        self._over.set()
        self._loop.call_soon_threadsafe(self._quit.set)
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        for end in (*self._ends, *self._slaves):
            os.close(end)
