"""Registry files in a real database: all rows or none, once, and their export."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.errors import RegistryError
from mrv import factors
from services.intake.registry_watch import Plans
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import CALIBRATIONS, load_registry
from services.store.registry.load import load_fleet, load_project, load_projects, registry_version
from tests.invoked import tonne as invoke
from tests.registering import imported

DEMO = Path("deploy/catalog/demo.yaml")


@pytest.fixture
def tonne(database_url, monkeypatch):
    """Run a command on a fresh database."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    return invoke


def _version(url):
    with connect(url) as conn:
        return registry_version(conn)


def test_a_dry_run_writes_nothing(database_url):
    """Trying a file out would already change the fleet."""
    assert not imported(database_url, DEMO, dry_run=True).refused
    with connect(database_url) as conn:
        assert load_registry(conn).entries == {}


def test_one_wrong_row_stops_all(database_url, tmp_path):
    """Half a fleet would be registered, and no one would know which half."""
    file = tmp_path / "r.yaml"
    file.write_text(DEMO.read_text(encoding="utf-8").replace("class: vehicle", "class: horse", 1))
    planned = imported(database_url, file)
    assert [r.id for r in planned.results if r.result == "error"][0] == "cb-bus-1"  # noqa: RUF015
    assert _version(database_url) == 0


def test_an_export_imports_unchanged(tonne, database_url, tmp_path):
    """An export would be no backup, or each deploy make the pipeline load the fleet again."""
    assert tonne("registry", "import", DEMO).exit_code == 0
    file = tmp_path / "export.yaml"
    file.write_text(tonne("registry", "export").stdout, encoding="utf-8")
    result = tonne("registry", "import", file, "--json")
    assert {r["result"] for r in json.loads(result.stdout)} == {"unchanged"}
    assert tonne("registry", "check").exit_code == 0
    assert _version(database_url) == 1


def test_a_refused_import_ends_with_2(tonne, tmp_path):
    """A deploy script would go on after a refused registry."""
    file = tmp_path / "r.yaml"
    file.write_text("devices: [{id: a, site: nowhere}]")
    result = tonne("registry", "import", file)
    assert result.exit_code == 2
    assert "nothing was written" in result.stdout
    file.write_text("device: []")
    assert tonne("registry", "import", file).exit_code == 2


def test_no_database_is_named(monkeypatch):
    """A missing setting would end in a stack trace."""
    result = invoke("registry", "check", code=2)
    assert "TONNE_DATABASE_URL" in result.output


def test_the_pipeline_sees_the_fleet(database_url, tmp_path):
    """The pipeline would refuse registered devices, or miss a meter swap."""
    swap = (
        "    replacements:\n      - {at: 2026-03-01T08:00:00+07:00, channel: energy_export_kwh, "
        "last: 99999.5, first: 0, reason: burnt}\n"
    )
    file = tmp_path / "r.yaml"
    text = DEMO.read_text(encoding="utf-8")
    file.write_text(text.replace("    serial: NCK-0001\n", "    serial: NCK-0001\n" + swap))
    imported(database_url, file)
    with connect(database_url) as conn:
        fleet = load_fleet(conn)
        projects = {p.id: p for p in load_projects(conn)}
        certificates = CALIBRATIONS.load(conn, ["nrel-rsf2-inv2", "nck-meter-1"])
        with pytest.raises(RegistryError, match="known: cat-ba-ebus, nck-pv, nrel-pv"):
            load_project(conn, "nowhere")
    inverter = fleet.devices[fleet.by_id["nck-inv-1"]]
    assert (fleet.version, inverter.rated_power_w) == (1, 100_000)
    (found,) = inverter.replacements
    assert (found.channel, found.at_us, found.last, found.first) == (
        "energy_export_wh",
        1_772_326_800_000_000,
        99_999_500,
        0,
    )
    nrel = projects["nrel-pv"]
    assert (nrel.timezone, nrel.from_us) == ("America/New_York", 1_641_013_200_000_000)
    assert nrel.devices[0].params == {"case": 1}
    assert [len(certificates[name]) for name in ("nrel-rsf2-inv2", "nck-meter-1")] == [1, 0]


def test_an_import_says_who_changed_what(database_url, tmp_path):
    """A registry import records who changed what."""
    imported(database_url, DEMO)
    file = tmp_path / "r.yaml"
    file.write_text(
        DEMO.read_text(encoding="utf-8").replace("rated_power_w: 50000", "rated_power_w: 60000")
    )
    results = imported(database_url, file).results
    assert [r.id for r in results if r.result == "updated"] == ["nck-inv-3"]
    with connect(database_url) as conn:
        author, changes = conn.execute(
            "SELECT author, changes FROM registry_version WHERE version = 2"
        ).fetchone()
    assert author == "test"
    assert [
        (c["id"], c["before"]["rated_power_w"], c["after"]["rated_power_w"]) for c in changes
    ] == [("nck-inv-3", 50_000, 60_000)]


def test_a_device_moves_between_projects_in_one_import(database_url, tmp_path):
    """A correction would need two imports, with a gap in between."""
    file = tmp_path / "r.yaml"
    # a project's devices stand in one country
    text = DEMO.read_text(encoding="utf-8").replace("America/New_York", "Asia/Ho_Chi_Minh")
    text = text.replace("country: US", "country: VN")
    file.write_text(text)
    imported(database_url, file)
    move = "      - {device: nck-inv-3, role: generation, case: 1}\n"
    text = text.replace(move, "").replace("{count: 653", "{count: 450")
    text = text.replace(
        "    devices: [{device: nrel-rsf2-inv2, role: generation, case: 1}]\n",
        "    devices:\n      - {device: nrel-rsf2-inv2, role: generation, case: 1}\n" + move,
    )
    file.write_text(text)
    results = imported(database_url, file).results
    assert [r.id for r in results if r.result == "updated"] == ["nrel-pv", "nck-pv"]


def test_imports_at_once_do_not_overlap(database_url):
    """Two operators would write halves of two registries."""
    with ThreadPoolExecutor(3) as pool:
        plans = list(pool.map(lambda _: imported(database_url, DEMO), range(3)))
    created = sum(p.results[0].result == "created" for p in plans)
    assert (created, _version(database_url)) == (1, 1)


def test_what_changed_is_read_and_all_else_is_as_it_was(database_url, tmp_path):
    """A change that is taken up in part would price a meter by what it was."""
    file = tmp_path / "registry.yaml"

    def load(text):
        file.write_text(text, encoding="utf-8")
        assert not imported(database_url, file).refused

    load(_PLANT.format(power=50_000, first="inv-1"))
    plans = Plans(factors.load())
    with connect(database_url, autocommit=True) as conn:
        before = plans.load(conn)
        for text in (
            _PLANT.format(power=40_000, first="inv-1"),
            _PLANT.format(power=40_000, first="inv-0"),
            _PLANT.format(power=40_000, first="inv-0").replace("latitude: 20.9", "latitude: 20.8"),
        ):
            load(text)
            after, anew = plans.load(conn), Plans(factors.load()).load(conn)
            assert after.fleet.version == anew.fleet.version > before.fleet.version
            assert after.fleet.devices == anew.fleet.devices
            assert after.bindings.projects == anew.bindings.projects
            assert after.bindings.begin.tolist() == anew.bindings.begin.tolist()
            before = after


_PLANT = """
sites:
  - {{id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}}
devices:
  - {{id: "{first}", site: roof, class: pv_inverter, profile: generic, rated_power_w: 30000,
     installed: 2025-12-01T00:00:00Z}}
  - {{id: inv-2, site: roof, class: pv_inverter, profile: generic, rated_power_w: {power},
     installed: 2025-12-01T00:00:00Z}}
projects:
  - id: pv
    name: PV
    methodology: jcm-vn-am007
    version: "1.0"
    crediting_period: {{from: 2026-01-01, to: 2036-01-01}}
    expected: {{energy_kwh_per_year: 90000}}
    devices:
      - {{device: "{first}", role: generation, case: 1}}
      - {{device: inv-2, role: generation, case: 1}}
"""
