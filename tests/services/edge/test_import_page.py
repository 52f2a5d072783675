"""Every example of docs/import.md is read as the page states."""

import csv
import io
import json
import re
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
import openpyxl
import pytest
import yaml

from ingest import classes
from ingest.columns import slots
from ingest.profiles import OWN
from services.edge.config import CsvFolder, LocalMqtt
from services.edge.csv_folder import Folder, decoded, records
from services.edge.gateway import Listener
from services.edge.outbox import Clock, Outbox
from services.edge.uplink import Recorder
from services.logs import get_logger

PAGE = (Path(__file__).parents[3] / "docs" / "import.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = ["Past readings in CSV files", "InfluxDB line protocol", "SMA", "SolarEdge"]
FILES.append("Huawei FusionSolar")
BROKERS = ["ChirpStack (LoRaWAN)", "ThingsBoard", "Home Assistant"]
KNOWN = {name for one in classes.load() for name in slots(one, OWN)}


def _blocks(name):
    return dict(BLOCK.findall(SECTIONS[name]))


def _source(name):
    found = yaml.safe_load(_blocks(name)["yaml"])
    return msgspec.convert(found, CsvFolder | LocalMqtt)


@pytest.mark.parametrize("name", FILES)
def test_an_export_is_read_as_the_page_says(name):
    """A technician would copy an example that tonne refuses, or that counts something else."""
    blocks = _blocks(name)
    sample = blocks.get("csv") or blocks["influx"]
    source = _source(name)
    found = records(sample, source)
    device = found[0].device
    assert {one.device for one in found} == {*source.devices.values()} or len(found) == 2
    first, second = (one.body for one in found if one.device == device)
    counted = next(c for c in first["values"] if c.startswith("energy"))
    assert 0 < second["values"][counted] - first["values"][counted] < 1000
    assert first["ts"] < second["ts"]
    assert first["ts"][:10] == "2026-06-01"
    assert first["values"].keys() <= KNOWN


@pytest.mark.parametrize("name", BROKERS)
def test_a_message_is_read_as_the_page_says(name, tmp_path):
    """A LoRaWAN meter would be stored without its time, or not at all."""
    source = _source(name)
    outbox = Outbox(tmp_path / "outbox.db", 64 << 20, "thin")
    recorder = Recorder(outbox, Clock(), get_logger("edge"))
    listener = Listener(source, "gw-1", recorder, threading.Event())
    name_of = next(iter(source.devices), "0101010101010101")
    topic = source.topics[0].replace("{device}", name_of)
    payload = _blocks(name)["json"].encode()
    (record,) = listener._records(topic, payload, None)
    outbox.close()
    assert record.device == source.devices.get(name_of, name_of)
    assert str(record.body["ts"]).startswith(("2026-06-01T10:15", "17803"))
    assert record.body["values"]
    assert record.body["values"].keys() <= KNOWN
    assert not {"Bat_mV", "Firmware_Version", "firmware"} & record.body["values"].keys()


def test_inverters_of_one_file_are_apart():
    """Two inverters of a file would be added up as one, or the file be refused."""
    found = records(_blocks("SMA")["csv"], _source("SMA"))
    totals = {(one.device, one.body["values"]["energy_export_kwh"]) for one in found}
    assert totals == {
        ("inv-1", 8123.401), ("inv-1", 8123.752), ("inv-2", 7510.496), ("inv-2", 7510.838),
    }  # fmt: skip
    with pytest.raises(ValueError, match="no line above the header has '1'"):
        records(
            _blocks("SMA")["csv"], msgspec.structs.replace(_source("SMA"), devices={"1": "inv-1"})
        )


def test_a_workbook_is_read_as_its_csv(tmp_path):
    """Someone would convert each export by hand, or a spreadsheet would change its times."""
    name = "Huawei FusionSolar"
    sample = _blocks(name)["csv"]
    book, file = openpyxl.Workbook(), io.BytesIO()
    for cells in csv.reader(sample.splitlines()):
        book.active.append([_typed(cell) for cell in cells])
    book.save(file)
    assert records(decoded(file.getvalue()), _source(name)) == records(sample, _source(name))
    for broken in (b"PK\x03\x04 cut", file.getvalue()[:-500]):
        with pytest.raises(ValueError, match="not an XLSX workbook"):
            decoded(broken)


def _typed(cell):
    """Return a cell as a workbook contains it: a number, a time, nothing, or text."""
    for read in (float, datetime.fromisoformat):
        with suppress(ValueError):
            return read(cell)
    return cell or None


def test_a_message_without_a_named_value_is_refused(tmp_path):
    """A codec whose names changed would be recorded as messages without a value."""
    source = _source("ChirpStack (LoRaWAN)")
    outbox = Outbox(tmp_path / "outbox.db", 64 << 20, "thin")
    recorder = Recorder(outbox, Clock(), get_logger("edge"))
    listener = Listener(source, "gw-1", recorder, threading.Event())
    topic = source.topics[0].replace("{device}", "a840415711866a85")
    payload = _blocks("ChirpStack (LoRaWAN)")["json"].replace("Total_kWh", "total").encode()
    with pytest.raises(ValueError, match="none of the values Total_kWh"):
        listener._records(topic, payload, None)
    outbox.close()


def test_the_automation_of_the_page_is_one():
    """Home Assistant would refuse the file that a reader pasted."""
    (one,) = yaml.safe_load(_blocks("Home Assistant")["text"])
    said = one["actions"][0]["data"]
    assert (said["qos"], said["topic"]) == (1, "home/meter-1/tonne")
    payload = re.sub(r"\{\{ \(as.*?\}\}", "1780308900000", said["payload"])
    assert json.loads(re.sub(r"\{\{.*?\}\}", "1.5", payload)) == {
        "ts": 1780308900000, "values": {"energy_import_kwh": 1.5},
    }  # fmt: skip


def test_a_folder_takes_line_protocol(tmp_path):
    """An export file would stay in the folder, or be moved without being read."""
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.lp").write_text(_blocks("InfluxDB line protocol")["influx"])
    outbox = Outbox(tmp_path / "outbox.db", 64 << 20, "thin")
    source = msgspec.structs.replace(_source("InfluxDB line protocol"), folder=str(drop))
    folder = Folder(source, Recorder(outbox, Clock(), get_logger("edge")), threading.Event())
    folder._take(drop / "a.lp")
    assert (drop / "done" / "a.lp").exists()
    (drop / "b.lp").write_text("energy,meter=meter-1 total_kwh=on 1780308900000000000\n")
    folder._take(drop / "b.lp")
    outbox.close()
    assert "'on' is not a number" in (drop / "refused" / "b.lp.txt").read_text()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("energy,meter=m total_kwh=1.5", "has no time"),
        ("energy total_kwh=1.5 1780308900000000000", "tag 'meter' is ''"),
        ("total_kwh", "not a point of line protocol"),
    ],
)
def test_a_line_that_is_no_point_names_itself(line, said):
    """A reading would be stored at the time of its import, or under another meter."""
    with pytest.raises(ValueError, match=said):
        records(f"{line}\n", _source("InfluxDB line protocol"))
