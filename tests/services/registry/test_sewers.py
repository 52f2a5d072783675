"""The sewerage registry: files, faults of a network, and the content of the database."""

import json
import shutil
from pathlib import Path

import pytest

from ingest.errors import RegistryError
from services.registry.sewer_files import asset, read
from services.registry.sewers import check
from tests.invoked import printed

CATALOG = Path(__file__).parents[3] / "deploy" / "catalog" / "haiphong" / "sewers"
HEAD = "id,kind,from_node,to_node,lon,lat,path,level_m,level_to_m,pressurised\n"
NODES = (
    "M1,manhole,,,106.60,20.80,,2.0,,\n"
    "M2,manhole,,,106.61,20.80,,1.5,,\n"
    "O1,outfall,,,106.62,20.80,,1.0,,\n"
)
FIRST = "P1,pipe,M1,M2,,,106.60 20.80;106.61 20.80,2.0,1.6,\n"
SECOND = "P2,pipe,M2,O1,,,106.61 20.80;106.62 20.80,1.5,1.1,\n"


def _told(tmp_path, body):
    file = tmp_path / "net.csv"
    file.write_text(HEAD + body, encoding="utf-8")
    network = read([file])
    return [*network.problems, *check(network.assets, network.places)]


def test_the_catalog_is_a_network():
    """The city's example would be refused by its own checks."""
    network = read([CATALOG / "network.geojson", CATALOG / "history.csv"])
    assert not network.problems
    assert list(check(network.assets, network.places)) == []
    assert len(network.events) == 5
    assert 60 < network.assets["P-001"].length_m < 70


def test_a_right_network_has_no_problem(tmp_path):
    """Unfounded warnings would teach users to ignore warnings."""
    assert _told(tmp_path, NODES + FIRST + SECOND) == []


@pytest.mark.parametrize(
    ("body", "line", "says", "stops"),
    [
        (NODES + FIRST + SECOND.replace("1.5,1.1", "1.0,1.1"), 6, "runs uphill", False),
        (NODES + FIRST + SECOND.replace("1.5,1.1", "1.0,1.1"), 6, "below the bottom of M2", False),
        (
            NODES + FIRST + SECOND.replace("M2,O1", "M2,O9"),
            6,
            "to_node 'O9' is not a manhole",
            True,
        ),
        (NODES + FIRST, 3, "is a dead end", False),
        (NODES + FIRST, 2, "its water reaches no outfall", False),
        (NODES + FIRST + SECOND + "M9,manhole,,,106.7,20.8,,,,\n", 7, "no pipe begins", False),
        (NODES + FIRST + SECOND + SECOND.replace("P2", "P3"), 7, "has the same place as P2", False),
        (NODES + FIRST + SECOND + FIRST, 7, "is also defined at", True),
        (NODES + FIRST + SECOND.replace("106.62 20.80", "106.63 20.80"), 6, "is not at O1", False),
        (NODES + FIRST + SECOND.replace("P2,pipe", "P2,tube"), 6, "must be one of pipe", True),
        (
            NODES + FIRST + SECOND.replace("1.5,1.1", "x,1.1"),
            6,
            "level_m = 'x' is not a number",
            True,
        ),
        (
            NODES + FIRST + SECOND.replace("1.5,1.1", "nan,1.1"),
            6,
            "level_m = nan is not from",
            True,
        ),
        (NODES + FIRST + SECOND.strip() + ",7\n", 6, "more cells than the header", True),
        (NODES + FIRST + SECOND.replace(";106.62 20.80", ""), 6, "two at least", True),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, body, line, says, stops):
    """A survey's slip would send water uphill on the map, and no one would see it."""
    found = [p for p in _told(tmp_path, body) if says in p.text]
    assert [(p.place.rsplit(":", 1)[1], p.stops) for p in found] == [(str(line), stops)]


def test_a_pipe_without_corners_lies_straight_between_its_nodes(tmp_path):
    """Most cities' tables of pipes have two nodes and no corners; each had to be drawn again."""
    file = tmp_path / "net.csv"
    bare = FIRST.replace("106.60 20.80;106.61 20.80", "")
    file.write_text(HEAD + bare + SECOND + NODES, encoding="utf-8")
    network = read([file])
    assert not network.problems
    assert list(check(network.assets, network.places)) == []
    assert network.assets["P1"].path == ((106.60, 20.80), (106.61, 20.80))
    assert network.places["P1"].endswith(":2")
    file.write_text(HEAD + bare.replace("M2", "M7") + NODES, encoding="utf-8")
    (problem,) = read([file]).problems
    assert "both its nodes in the same files" in problem.text


@pytest.mark.parametrize(("cell", "value"), [("year", "nan"), ("year", "inf"), ("level_m", True)])
def test_what_is_no_number_is_named(cell, value):
    """One invalid cell among 100,000 assets would end the import in a traceback."""
    cells = {"id": "M1", "kind": "manhole", cell: value}
    made, wrong = asset(cells, [(106.6, 20.8)], "net.csv:2")
    assert made is None
    assert [p.text.split(" ")[0] for p in wrong] == [cell]


def test_water_under_pressure_may_rise(tmp_path):
    """Every rising main of the city would be a warning."""
    rising = SECOND.replace("1.5,1.1,", "1.5,3.0,true")
    assert _told(tmp_path, NODES + FIRST + rising) == []


@pytest.mark.parametrize("text", ["=HYPERLINK(A1)", "+1", "@sum", "-x"])
def test_a_material_that_is_a_formula_is_refused(text):
    """Text that is a spreadsheet formula is rejected."""
    row = {"id": "M1", "kind": "manhole", "level_m": 1, "material": text}
    assert "formula" in " ".join(p.text for p in asset(row, [(106.6, 20.8)], "x")[1])
    assert not asset({**row, "material": "PVC"}, [(106.6, 20.8)], "x")[1]


def test_geojson_is_named_by_its_lines(tmp_path):
    """Errors of a GeoJSON file name its line; endless nesting is rejected."""
    file = tmp_path / "net.geojson"
    text = (CATALOG / "network.geojson").read_text(encoding="utf-8")
    file.write_text(text.replace('"diameter_mm": 600', '"diametre_mm": 600'), encoding="utf-8")
    (found,) = {p.text.split(";")[0] for p in read([file]).problems}
    assert found == "unknown property 'diametre_mm'"
    bad = next(i for i, row in enumerate(file.read_text().splitlines(), 1) if "diametre" in row)
    assert read([file]).problems[0].place == f"{file}:{bad}"
    file.write_text('{"type": "FeatureCollection", "features":\n' + "[" * 200_000)
    with pytest.raises(RegistryError, match=r"net.geojson:2: nested too deeply"):
        read([file])


@pytest.fixture
def tonne(database_url, monkeypatch):
    """Run a command; return its output."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    return printed


def test_a_network_comes_back_as_it_went_in(tonne, tmp_path):
    """An exchange with the city's map office would lose pipes, levels or history."""
    shutil.copytree(CATALOG, tmp_path / "city" / CATALOG.name)
    for name in ("programme.yaml", "sites.yaml", "water.yaml"):
        shutil.copy(CATALOG.parent / name, tmp_path / "city")
    tonne("registry", "import", tmp_path / "city")  # the sensors, and the folder's own sewers
    assert "0 changed, 0 events" in tonne("sewer", "import", *sorted(CATALOG.iterdir()))
    for name in ("out.geojson", "out.csv"):
        tonne("sewer", "export", "--out", tmp_path / name)
        assert read([tmp_path / name]).assets == read([CATALOG / "network.geojson"]).assets
    shown = json.loads(tonne("sewer", "show", "P-004", "--json"))
    assert [e["kind"] for e in shown["history"]] == ["relining", "cctv"]
    assert tonne("sewer", "check") == "43 assets\n"
    assert "sensor" in tonne("sewer", "show", "MH-105")


def test_an_import_is_whole_or_not_at_all(tonne, tmp_path):
    """Half a network would be registered, and its water would end nowhere."""
    file = tmp_path / "net.csv"
    file.write_text(HEAD + NODES + FIRST + SECOND.replace("M2,O1", "M2,O9"), encoding="utf-8")
    assert "to_node 'O9' is not a manhole" in tonne("sewer", "import", file, code=2)
    assert tonne("sewer", "check") == "0 assets\n"
    file.write_text(HEAD.strip() + ",sensor\n" + NODES.replace(",,\n", ",,,gone\n"), "utf-8")
    assert "gone" in tonne("sewer", "import", file, code=2)
