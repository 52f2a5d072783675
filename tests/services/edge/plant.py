"""A plant: a Modbus meter and a SunSpec inverter on pymodbus' server, and a gateway beside."""

import asyncio
import json
import os
import signal
import sqlite3
import struct
import threading
import time
import urllib.request
from contextlib import closing, contextmanager

import yaml
from prometheus_client.parser import text_string_to_metric_families
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests import commands
from tests.ports import free_port
from tests.running import Pipeline
from tests.waiting import until

IMPORT = 72  # the SDM630's register of imported energy
GATEWAY, OTHER = "gw-1", "gw-2"
DEVICES = (
    {"id": "meter-1", "class": "energy_meter", "profile": "eastron-sdm630"},
    {"id": "meter-2", "class": "energy_meter", "profile": "eastron-sdm630"},
    {"id": "inv-1", "class": "pv_inverter", "profile": "sunspec-103", "rated_power_w": 10_000},
    {"id": "q-1", "class": "pv_inverter"},
    {"id": "q-2", "class": "pv_inverter"},
    {"id": "c-1", "class": "energy_meter"},
    {"id": "watched-1", "class": "energy_meter"},
    {"id": "rtu-1", "class": "energy_meter", "profile": "eastron-sdm630"},
    {"id": "rtu-2", "class": "pv_inverter", "profile": "sunspec-103", "rated_power_w": 10_000},
    {"id": "clock-1", "class": "energy_meter", "profile": "eastron-sdm630"},
    {"id": "full-1", "class": "energy_meter", "profile": "eastron-sdm630"},
    {"id": "signed-1", "class": "energy_meter", "profile": "eastron-sdm630"},
    *({"id": f"away-{k}", "class": "energy_meter"} for k in range(5)),
)


def meter_device(unit):
    """Return an SDM630 whose register rises by an eighth of a kWh with each request."""
    readings = 0

    async def show(_function, start, address, count, registers, _written):
        nonlocal readings
        if address <= IMPORT < address + count:
            readings += 1
        for at, value in ((IMPORT, 1_000 + readings / 8), (52, 4_200.0), (42, 230.0)):
            registers[at - start : at - start + 2] = struct.unpack(">HH", struct.pack(">f", value))

    return SimDevice(unit, SimData(0, values=[0] * 200, datatype=DataType.REGISTERS), action=show)


def inverter_device(unit, energy_wh=123_456):
    """Return an inverter that describes itself at 40000."""
    return SimDevice(
        unit, SimData(40_000, values=sunspec_map(energy_wh), datatype=DataType.REGISTERS)
    )


def sunspec_map(energy_wh=123_456):
    """Return registers of an inverter: "SunS", a common model, an unknown one, and model 103."""
    body = [0] * 50
    body[12], body[13] = 4_200, 0  # W
    body[14], body[15] = 5_000, 0xFFFE  # Hz, hundredths
    body[22], body[23], body[24] = energy_wh >> 16, energy_wh & 0xFFFF, 0
    body[36] = 4
    for absent in (0, 1, 2, 3, 4):
        body[absent] = 0
    return [0x5375, 0x6E53, 1, 66, *[0] * 66, 64_999, 3, 1, 2, 3, 103, 50, *body, 0xFFFF, 0]


class Plant:
    """The two servers, each on a separate port."""

    def __init__(self):
        self.meter, self.inverter = free_port(), free_port()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(60)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._over = asyncio.Event()
        devices = [(self.meter, meter_device(0)), (self.inverter, inverter_device(0))]
        servers = [ModbusTcpServer(one, address=("127.0.0.1", port)) for port, one in devices]
        for server in servers:
            await server.listen()
        self._started.set()
        await self._over.wait()
        for server in servers:
            await server.shutdown()

    def close(self):
        """Stop the servers."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)
        assert not self._thread.is_alive()


class SecurePipeline(Pipeline):
    """`tonne run` beside a broker with known users."""

    secure = True

    def enrol(self):
        """Give every principal its credential."""
        self.tonne("registry", "issue-credentials", "--all")

    @property
    def identity(self):
        """Return the gateway's identity."""
        return str(self.home / "identity" / "devices" / GATEWAY)


def registry(*devices):
    """Return a registry of two gateways without measurements, and the devices behind the first."""
    row = {"site": "s", "profile": "generic", "installed": "2025-01-01T00:00:00Z"}
    rows = [{"id": name, "class": "energy_meter", **row} for name in (GATEWAY, OTHER)]
    rows += [{**row, "gateway": GATEWAY, **device} for device in devices]
    site = {
        "id": "s",
        "name": "S",
        "latitude": 20.9,
        "longitude": 106.6,
        "timezone": "Asia/Ho_Chi_Minh",
    }
    return {"sites": [site], "devices": rows}


class Edge:
    """A `tonne edge` that can be killed and started again on its outbox."""

    def __init__(self, folder, pipeline, sources, environment=None, **more):
        self.folder = folder
        self.outbox = folder / "outbox.db"
        self.config = folder / "edge.yaml"
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("TONNE_")}
        self._environment |= environment or {}
        document = {
            "gateway": GATEWAY,
            "broker": pipeline.urls.mqtt_url,
            "identity": pipeline.identity,
            "outbox": str(self.outbox),
            "sources": sources,
            **more,
        }
        self.config.write_text(yaml.safe_dump(document))
        self.log = folder / "edge.log"
        self.process = None
        self.anew = False  # by a Python that holds no other command's modules

    def start(self):
        """Start it."""
        with self.log.open("ab") as out:
            self.process = commands.start(
                ["edge", str(self.config)],
                anew=self.anew,
                stdout=out,
                stderr=out,
                env=self._environment,
            )

    def kill(self):
        """Cut its power."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Stop it in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)

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
        """Return its memory. [MB]"""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:  # noqa: PTH123
            (line,) = [one for one in file if one.startswith("VmHWM")]
        return int(line.split()[1]) / 1024

    def scrape(self):
        """Return its metrics by name; None while it does not answer."""
        binds = [word["bind"] for word in self.words() if word["event"] == "metrics"]
        if not binds:
            return None
        try:
            with urllib.request.urlopen(f"http://{binds[-1]}/metrics", timeout=60) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        found = text_string_to_metric_families(text)
        return {one.name: one.value for family in found for one in family.samples}

    def scraped(self):
        """Return its metrics, including those of its outbox, once it answers."""
        found = {}
        until(lambda: found.update(self.scrape() or {}) or "tonne_edge_outbox_messages" in found)
        return found

    def told(self, name):
        """Return one of its metrics; None if it is absent."""
        return (self.scrape() or {}).get(f"tonne_edge_{name}")

    def words(self):
        """Return its log lines, without those that pymodbus writes between."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def status(self):
        """Return its status output on its outbox."""
        done = commands.run(
            ["edge", str(self.config), "--status"],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)


def meter(plant, every_s=0.2, device="meter-1"):
    """Return a source: the plant's Modbus meter."""
    return {
        "kind": "modbus-tcp",
        "device": device,
        "class": "energy_meter",
        "every_s": every_s,
        "profile": "eastron-sdm630",
        "host": "127.0.0.1",
        "port": plant.meter,
    }


def rows(pipeline, class_, device):
    """Return the stored rows of a device, in the order of time."""
    query = f"SELECT * FROM reading_{class_} WHERE device_id = %s ORDER BY time"
    return pipeline.ask(query, [device])


def one(pipeline, query, *values):
    """Return one row of the database."""
    found = pipeline.ask(query, values)
    return found[0] if found else None


def recorded(edge):
    """Return the number of messages that an outbox ever accepted."""
    return _asked(edge, "SELECT seq FROM sqlite_sequence WHERE name = 'message'")


def waiting(edge, device="%"):
    """Return the number of messages without a receipt, of all devices or of one."""
    return _asked(edge, f"SELECT count(*) FROM message WHERE device LIKE '{device}'")


def freed_to(edge, number):
    """Return whether the first messages, up to a number, have receipts; more may be waiting."""
    return _asked(edge, f"SELECT count(*) FROM message WHERE seq <= {number}") == 0


def _asked(edge, query):
    """
    Return a number from the outbox; 0 while the gateway is still creating it.

    After a kill, an outbox cannot be read for a moment; this does not concern its content.
    """
    end = time.monotonic() + 180
    while edge.outbox.exists():
        with closing(sqlite3.connect(f"file:{edge.outbox}?mode=ro", uri=True)) as db:
            try:
                found = db.execute(query).fetchone()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return 0
                if time.monotonic() > end:
                    raise
            else:
                return found[0] if found else 0
        time.sleep(0.05)
    return 0
