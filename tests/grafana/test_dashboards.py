"""
Every dashboard as Grafana reads it, and every query of every panel, run
as the dashboards' role.
"""

import json
import re
from collections import defaultdict
from datetime import UTC, date, datetime

import psycopg
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source import WORDS
from deploy.grafana.source.__main__ import FOLDER, files
from ingest import classes
from services.processing import pv_outlook
from services.store.postgres.pool import connect
from services.store.views.fleet_metrics import refresh_days
from tests.fix_timescale import _fresh
from tests.grafana import city
from tests.grafana.fleet import TURNED, Size, register
from tests.grafana.macros import boards, expand, panels, targets

BOARDS = boards()
PROVISIONED = FOLDER / "provisioning"
by_board = pytest.mark.parametrize("board", BOARDS, ids=[b["uid"] for b in BOARDS])
SOURCES = {
    s["uid"]: s["type"]
    for s in yaml.safe_load((PROVISIONED / "datasources/tonne.yaml").read_text())["datasources"]
}
# the made-up city has no tariffs and no project of its wind turbine
MAY_BE_EMPTY = {f"tonne-{one}: Cost, saved and earned" for one in ("ev", "pv", "wind")} | {
    "tonne-wind: Avoided in range"
}
# what a table is read for, highest cost first
VERDICTS = ("cost_t", "exceeded", "change", "against_site", "this_year_t", "kind", "state", "clock")
# what the registry alone says: targets, places, certificates, and how many are silent
REGISTERED = {
    "tonne-air: Stations not reporting", "tonne-fleet: Gateways", "tonne-fleet: Gateways offline",
    "tonne-fleet: Late", "tonne-fleet: Offline", "tonne-fleet: Online",
    "tonne-overview: Expected this year so far",
    "tonne-overview: Projects: actual and expected reduction",
    "tonne-mrv: Calibrations due",
    "tonne-overview: Devices not reporting",
    "tonne-overview: Programme by action", "tonne-overview: Sites",
    "tonne-overview: Current faults", "tonne-pv: Not reporting",
    "tonne-overview: Systems of the programme", "tonne-wind: Not reporting",
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(timescale, migrated_template, tmp_path_factory):
    """Return the URL of a database with five weeks of a small city."""
    made = _fresh(timescale, migrated_template)
    url = next(made)
    city.make(url, tmp_path_factory.mktemp("city"), Size())
    yield url
    next(made, None)


@pytest.fixture
def reader(filled):
    """Return a connection with the dashboards' role."""
    with connect(filled, role="tonne_grafana", autocommit=True) as conn:
        yield conn


def test_the_committed_files_are_what_their_source_writes():
    """An edit of the JSON alone would be lost with the next `make dashboards`."""
    wanted = files()
    made = {*FOLDER.glob("dashboards/*/*"), *FOLDER.glob("alerting/*/*"), WORDS / "en.toml"}
    assert {path.relative_to(FOLDER).as_posix() for path in made} == set(wanted)
    for name, text in wanted.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: make dashboards"


@by_board
def test_grafana_knows_every_key(board):
    """A key that Grafana's types do not have would be dropped without a message."""
    assert _dropped(board) == []


def _dropped(board):
    """Return keys that do not survive being read as Grafana's types, and written again."""
    register_default_plugins()
    ours = json.loads(json.dumps(board))
    for panel in panels(ours):  # the types know no SQL query: those are held against the database
        panel.pop("targets")
    for noted in ours["annotations"].get("list", ()):
        noted.pop("target")
    read = model.Dashboard.from_json(json.loads(json.dumps(ours)))
    return list(_missing(ours, json.loads(json.dumps(read, cls=JSONEncoder)), ""))


def _missing(ours, theirs, where):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from _missing(value, theirs.get(key), f"{where}/{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for k, value in enumerate(ours):
            yield from _missing(value, theirs[k], f"{where}/{k}")
    elif ours != theirs:
        yield where


def test_uids_are_fixed_and_unique():
    """Grafana gives what has no uid a new one with each start, and every link breaks."""
    uids = [b["uid"] for b in BOARDS]
    assert len(set(uids)) == len(uids) == 11
    assert all(re.fullmatch(r"tonne-[a-z]+", uid) for uid in uids)
    for board in BOARDS:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        assert board["links"][0]["tags"] == ["tonne"] == board["tags"]


@by_board
def test_panels_say_what_they_are(board):
    """An operator could not interpret a figure without its unit, source and description."""
    for panel in panels(board):
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]  # a board's width
        where = f"{board['uid']}: {panel['title']}"
        assert len(panel["description"]) > 20, where
        assert panel["fieldConfig"]["defaults"]["unit"], where
        assert panel["fieldConfig"]["defaults"]["noValue"] == "no data", where
        for source in [panel["datasource"], *(t["datasource"] for t in panel["targets"])]:
            assert SOURCES[source["uid"]] == source["type"], where


def test_days_are_local_and_nothing_is_filled_with_zero():
    """
    Grafana's UTC day ends at seven in the morning in Hai Phong; a
    gap must not be drawn as zero.
    """
    for target in targets("grafana-postgresql-datasource"):
        for group in re.findall(r"\$__timeGroup(?:Alias)?\([^)]*\)", target.query):
            assert not re.search(r"'\d+[dwMy]'", group), target.name
            assert group.count(",") == 1, f"{target.name}: {group} fills gaps"
        assert "coalesce" not in target.query.lower(), target.name
        # today is another day for a server on UTC until seven in the morning
        assert not re.search(r"current_date|now\(\)::date", target.query.lower()), target.name


def test_every_class_has_a_board():
    """Operators of wind turbines or waterworks would find no data of them on any board."""
    said = json.dumps(BOARDS)
    assert [c for c in classes.load() if f"'{c}'" not in said and f"reading_{c} " not in said] == []


def test_every_device_and_project_of_a_table_leads_to_its_page():
    """An operator would copy a name from a board into an address by hand, at night."""
    missing = []
    for board in BOARDS:
        asked = {v["name"] for v in board["templating"].get("list", ())}
        for panel in (p for p in panels(board) if p["type"] == "table"):
            listed = panel["targets"][0]["rawSql"].rpartition("\nSELECT")[2].partition("FROM")[0]
            linked = {
                o["matcher"]["options"]
                for o in panel["fieldConfig"]["overrides"]
                if any(one["id"] == "links" for one in o["properties"])
            }
            missing += [
                (board["uid"], panel["title"], name)
                for name in ("device_id", "project_id")
                if re.search(rf"\b{name}\b", listed) and name not in linked
            ]
            assert not linked or "console" in asked, board["uid"]
    assert missing == []


def test_links_lead_somewhere():
    """A link to a dashboard that was renamed ends at an error page."""
    uids = {b["uid"] for b in BOARDS}
    text = json.dumps(BOARDS)
    assert set(re.findall(r"/d/([a-z-]+)/", text)) <= uids
    assert "/d/" in text


@by_board
def test_every_query_gives_rows(board, reader):
    """An operator would meet an error, or an empty panel over a full database."""
    for panel in panels(board):
        for target in panel["targets"]:
            if "rawSql" not in target:
                continue
            names, rows = city.ask(reader, board, target["rawSql"], datetime.now(UTC))
            where = f"{board['uid']}: {panel['title']}"
            assert any(v is not None for row in rows for v in row) or where in MAY_BE_EMPTY, where
            if target["format"] == "time_series":
                assert names[0] == "time", where
                assert [row[0] for row in rows] == sorted(row[0] for row in rows), where
            if panel["type"] == "barchart":
                assert panel["options"]["xField"] in names, where
            if panel["type"] == "table":
                # Grafana makes a time of it: seven in the morning, or the day before further west
                assert not [n for n, *v in zip(names, *rows, strict=True) if _dates(v)], where
                assert _verdict(names) < 3, where  # a phone shows three columns
            if panel["type"] in {"barchart", "table"}:
                assert [n for n in names if "_" in n and n not in _called(panel)] == [], where
            # who sends may call himself anything; a name may not push the rest out of sight
            assert all(len(v) <= 200 for row in rows for v in row if isinstance(v, str)), where


def test_money_is_that_of_the_tariffs_of_the_registry(filled, reader):
    """A city abroad would read a price of Viet Nam, or no price at all."""
    (board,) = [b for b in BOARDS if b["uid"] == "tonne-ev"]
    ask = {panel["title"]: panel["targets"][0]["rawSql"] for panel in panels(board)}
    now = datetime.now(UTC)
    _, rows = city.ask(reader, board, ask["Cost, saved and earned"], now)
    assert rows == []
    with connect(filled, autocommit=True) as conn:
        conn.execute(
            'UPDATE site SET tariffs = \'[{"from": "2000-01-01", "currency": "EUR",'
            ' "import_per_kwh": 0.31}]\''
        )
    try:
        _, [(charged,)] = city.ask(reader, board, ask["Energy charged"], now)
        names, rows = city.ask(reader, board, ask["Cost, saved and earned"], now)
        (cost,) = [dict(zip(names, row, strict=True)) for row in rows if row[0] == "cost"]
        assert cost["currency"] == "EUR"
        assert float(cost["money"]) == pytest.approx(float(charged) * 0.31, rel=1e-3)
    finally:
        with connect(filled, autocommit=True) as conn:
            conn.execute("UPDATE site SET tariffs = NULL")


def _dates(values):
    return any(type(value) is date for value in values)


def _verdict(names):
    """Return the position of a table's most important column; 0 if all are alike."""
    return next((names.index(name) for name in VERDICTS if name in names), 0)


def _called(panel):
    """Return the columns that are displayed under another name than the database's."""
    return {
        override["matcher"]["options"]
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if one["id"] == "displayName"
    }


def test_charts_show_what_happened_to_meters(filled):
    """A new meter or a reset would look like a step of the plant."""
    with connect(filled, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO device_replacement (device_id, channel, at, last_value, first_value,"
            " reason) VALUES ('inv-1', 'energy_export_wh', now() - interval '1 day', 9, 0, 'swap')"
        )
        conn.execute(
            "UPDATE interval_quantity SET register_value = extract(epoch FROM start) %% 7200"
            " WHERE device_id = 'inv-1' AND start > now() - interval '3 hours'".replace("%%", "%")
        )
    found = {}
    with connect(filled, role="tonne_grafana", autocommit=True) as conn:
        for board in BOARDS:
            for one in board["annotations"].get("list", ()):
                names, rows = city.ask(conn, board, one["target"]["rawSql"], datetime.now(UTC))
                assert {"time", "text", "tags"} <= set(names), board["uid"]
                found[board["uid"]] = {row[names.index("tags")] for row in rows}
    assert found["tonne-pv"] >= {"replaced", "reset"}
    assert found["tonne-fleet"]


def _all_rows(conn):
    """Return the rows of every panel, by board and title."""
    found = defaultdict(list)
    for board in BOARDS:
        for panel in panels(board):
            for query in (one["rawSql"] for one in panel["targets"] if "rawSql" in one):
                _, rows = city.ask(conn, board, query, datetime.now(UTC))
                found[f"{board['uid']}: {panel['title']}"] += rows
    return found


def test_a_city_that_was_never_heard_shows_what_is_registered_and_no_more(database_url, tmp_path):
    """Zero tonnes would look like a measurement, and an error like a broken system."""
    with connect(database_url, role="tonne_grafana", autocommit=True) as conn:
        assert {where for where, rows in _all_rows(conn).items() if _figures(rows)} == set()
    register(database_url, tmp_path, Size(), datetime.now(UTC))
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        pv_outlook.refresh_rates(conn)
        refresh_days(conn)
    with connect(database_url, role="tonne_grafana", autocommit=True) as conn:
        devices = conn.execute("SELECT count(*) FROM device").fetchone()
        rows_of = _all_rows(conn)
    found = {where: _figures(rows) for where, rows in rows_of.items()}
    assert len(rows_of["tonne-fleet: Not commissioned"]) == min(200, *devices)
    assert {where for where, figures in found.items() if figures} == REGISTERED
    assert {where for where, figures in found.items() if 0 in figures} == {
        "tonne-fleet: Online",
        "tonne-fleet: Late",
        # none is commissioned, so none is missed
        "tonne-fleet: Offline",
        "tonne-fleet: Gateways offline",
        "tonne-air: Stations not reporting",
        "tonne-pv: Not reporting",
        "tonne-wind: Not reporting",
        "tonne-overview: Systems of the programme",
        "tonne-overview: Devices not reporting",
        "tonne-overview: Sites",
        # how many of its devices report
        "tonne-overview: Projects: actual and expected reduction",
    }


def _figures(rows):
    """Return the figures: values that are neither missing, nor names, nor times."""
    return [v for row in rows for v in row if v is not None and not isinstance(v, (str, date))]


def test_hostile_names_cannot_change_a_query(reader):
    """A device named by an attacker could read or write what it likes through a dashboard."""
    name = "x') OR 1=1; DROP TABLE site; --"
    query = expand("SELECT ${site:sqlstring} AS site", {"site": [name]}, *(datetime.now(UTC),) * 2)
    assert reader.execute(query).fetchone() == (name,)


def test_hostile_names_arrive_as_they_are(reader):
    """A name that is HTML has to be shown as text; no panel may read a cell as HTML."""
    board = next(b for b in BOARDS if b["uid"] == "tonne-overview")
    panel = next(p for p in panels(board) if p["title"] == "Sites")
    names, rows = city.ask(reader, board, panel["targets"][0]["rawSql"], datetime.now(UTC))
    shown = {row[names.index("site")]: row[names.index("name")] for row in rows}
    assert shown["hostile"].startswith("<img src=x")
    assert len(shown["hostile"]) == 80  # a longer one would push the map out of sight
    text = json.dumps(BOARDS)
    assert '"html"' not in text
    assert '"markdown"' not in text
    assert TURNED not in text


def test_dashboards_can_write_nothing(filled):
    """Grafana runs any query: the editor of a panel could otherwise change the account."""
    with connect(filled, role="tonne_grafana", autocommit=True) as conn:
        for statement in (
            "DELETE FROM site",
            "INSERT INTO programme (name) VALUES ('x')",
            "SELECT tonne_refresh_days()",
            "UPDATE day_quantity SET value = 0",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement)


def _rules():
    document = yaml.safe_load((FOLDER / "alerting/en/tonne.yaml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", _rules(), ids=lambda r: r["title"])
def test_alert_rules_of_grafana(rule, reader):
    """A rule whose query fails, or gives no figure, never fires."""
    assert rule["uid"].startswith("tonne-")
    assert re.fullmatch(r"([A-Z][a-z]+)+", rule["title"])
    assert rule["dashboardUid"] in {b["uid"] for b in BOARDS}
    page = (FOLDER.parents[1] / "docs/runbook.md").read_text()
    assert f"\n### {rule['title']}\n" in page
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['title'].lower()}"
    refs = {one["refId"] for one in rule["data"]}
    assert rule["condition"] in refs
    for one in rule["data"]:
        if one["datasourceUid"] == "__expr__":
            assert one["model"]["expression"] in refs
            continue
        assert one["datasourceUid"] in SOURCES
        now = datetime.now(UTC)
        since = datetime.fromtimestamp(now.timestamp() - one["relativeTimeRange"]["from"], UTC)
        found = reader.execute(expand(one["model"]["rawSql"], {}, since, now))
        numbers = [c.name for c in found.description if c.type_code in (20, 23, 701, 1700)]
        assert numbers == ["value"]  # the one figure that the threshold is held against
        assert found.fetchall()
