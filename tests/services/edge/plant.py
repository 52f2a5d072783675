"""A plant: a Modbus meter and a SunSpec inverter by pymodbus' own server, and a gateway beside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import yaml
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import ModbusTcpServer

from tests.running import Pipeline, free_port

GATEWAY = "gw-1"


class _Rising(ModbusSequentialDataBlock):
    """Input registers of an SDM630 whose register rises with each reading."""

    def __init__(self):
        super().__init__(1, [0] * 200)
        self.reads = 0

    def getValues(self, address, count=1):  # noqa: N802 - pymodbus calls it so
        """Answer with what the meter shows now."""
        self.reads += 1
        self._put(72, 1_000 + self.reads / 8)
        self._put(52, 4_200.0)
        self._put(42, 230.0)
        return super().getValues(address, count)

    def _put(self, address, value):
        high, low = struct.unpack(">HH", struct.pack(">f", value))
        self.values[address : address + 2] = [high, low]


def sunspec_map(energy_wh=123_456):
    """Registers of an inverter: "SunS", a common model, an unknown one, and model 103."""
    body = [0] * 50
    body[12], body[13] = 4_200, 0  # W
    body[14], body[15] = 5_000, 0xFFFE  # Hz, hundredths
    body[22], body[23], body[24] = energy_wh >> 16, energy_wh & 0xFFFF, 0
    body[36] = 4
    for absent in (0, 1, 2, 3, 4):
        body[absent] = 0
    return [0x5375, 0x6E53, 1, 66, *[0] * 66, 64_999, 3, 1, 2, 3, 103, 50, *body, 0xFFFF, 0]


class Plant:
    """The two servers, each on a port of its own."""

    def __init__(self):
        self.meter, self.inverter = free_port(), free_port()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._over = asyncio.Event()
        hold = [0] * 40_000 + sunspec_map()
        contexts = [
            (self.meter, ModbusDeviceContext(ir=_Rising())),
            (self.inverter, ModbusDeviceContext(hr=ModbusSequentialDataBlock(1, hold))),
        ]
        servers = [
            ModbusTcpServer(
                ModbusServerContext(devices=context, single=True), address=("127.0.0.1", port)
            )
            for port, context in contexts
        ]
        for server in servers:
            await server.listen()
        self._started.set()
        await self._over.wait()
        for server in servers:
            await server.shutdown()

    def close(self):
        """Switch the plant off."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)


class SecurePipeline(Pipeline):
    """`tonne run` beside a broker that knows who is who."""

    secure = True

    def enrol(self):
        """Give every principal its credential."""
        self.tonne("registry", "issue-credentials", "--all")

    @property
    def identity(self):
        """The gateway's identity."""
        return str(self.home / "identity" / "devices" / GATEWAY)


def registry(*devices):
    """A gateway that measures nothing, and what is behind it."""
    row = {"site": "s", "profile": "generic", "installed": "2025-01-01T00:00:00Z"}
    rows = [{"id": GATEWAY, "class": "energy_meter", **row}]
    rows += [{**row, "gateway": GATEWAY, **device} for device in devices]
    site = {
        "id": "s", "name": "S", "latitude": 20.9, "longitude": 106.6,
        "timezone": "Asia/Ho_Chi_Minh",
    }  # fmt: skip
    return {"sites": [site], "devices": rows}


class Edge:
    """A `tonne edge` that may be killed and started again on its outbox."""

    def __init__(self, folder, pipeline, sources, **more):
        self.folder = folder
        self.outbox = folder / "outbox.db"
        self.config = folder / "edge.yaml"
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("TONNE_")}
        document = {
            "gateway": GATEWAY, "broker": pipeline.urls.mqtt_url, "identity": pipeline.identity,
            "outbox": str(self.outbox), "sources": sources, **more,
        }  # fmt: skip
        self.config.write_text(yaml.safe_dump(document))
        self.log = folder / "edge.log"
        self.process = None

    def start(self):
        """Start it."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.cli", "edge", str(self.config)],
                stdout=out, stderr=out, env=self._environment,
            )  # fmt: skip

    def kill(self):
        """Cut its power."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """End it in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    @contextmanager
    def running(self):
        """Yield it running."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    @property
    def memory_mb(self):
        """What it holds of the machine's memory."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:  # noqa: PTH123
            (line,) = [one for one in file if one.startswith("VmHWM")]
        return int(line.split()[1]) / 1024

    def status(self):
        """What it says of its outbox."""
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", "edge", str(self.config), "--status"],
            env=self._environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)


def until(happened, patience_s=60.0, what=""):
    """Wait until something is so."""
    end = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.1)
