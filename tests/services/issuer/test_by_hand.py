"""
A second, independent calculation of the tonnes:
docs/verify_by_hand.py, compared with tonne's.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from mrv.packs.reader import read_pack
from mrv.verify import verify
from services.issuer.pack import export
from tests.planted import planted
from tests.services.issuer import logged, plant

SCRIPT = Path(__file__).parents[3] / "docs" / "verify_by_hand.py"


def _exported(url, home):
    plant.register(url, home)
    plant.fill_pv(url, end="2026-03-05", minutes=15)
    name = logged.issue(url, logged.signers(url, home), "2026-03-01", "2026-03-05")
    with logged.issuer(url) as conn:
        export(conn, name, home / "pack")


@pytest.fixture
def folder(database_url, tmp_path):
    """Export an issued pack of three days: one certificate expires within, one inverter is idle."""
    planted(_exported, database_url, tmp_path)
    return tmp_path / "pack"


def _by_hand(folder):
    return subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, folder], capture_output=True, text=True, check=False
    )


def test_both_ways_come_to_the_same_tonnes(folder):
    """An auditor would have to trust our own program about our own tonnes."""
    done = _by_hand(folder)
    assert done.returncode == 0, done.stderr
    said = json.loads(read_pack(folder).files["statement.json"])["credentialSubject"]
    # rounded down like the statement, not to the nearest
    assert f"\n{said['emissions']['reduction']['t']} t," in done.stdout
    assert "C-2" in str(read_pack(folder).files["statement.json"])
    report = verify(read_pack(folder))
    assert report.consistent, report.failure
    assert SCRIPT.read_text("utf-8").count("\n") < 150
    assert "import tonne" not in SCRIPT.read_text("utf-8")


def test_more_energy_than_the_registers_rose_by_is_refused(folder):
    """A forger who also made the manifest again would pass the second check."""
    file = folder / "intervals.parquet"
    table = parquet.read_table(file)
    values = [v * 10 for v in table["value"].to_pylist()]
    at = table.schema.get_field_index("value")
    parquet.write_table(table.set_column(at, table.schema.field(at), pa.array(values)), file)
    assert "manifest lists" in _by_hand(folder).stderr
    manifest = folder / "manifest.json"
    text = manifest.read_text("utf-8")

    old = text.split('"intervals.parquet": "')[1][:64]
    manifest.write_text(text.replace(old, hashlib.sha256(file.read_bytes()).hexdigest()), "utf-8")
    assert "more energy is claimed" in _by_hand(folder).stderr
