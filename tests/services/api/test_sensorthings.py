"""OGC SensorThings: values of stations and meters, paged, filtered, within a scope."""

from datetime import UTC, datetime

import httpx
import pytest

from services.store.postgres.pool import connect
from tests.services.api import plain

ROOT = "/v1/sensorthings/v1.1"
STREAM = "Datastreams('inv-1:energy_export')"


def ask(served, path, who="auditor", **options):
    given = {f"${name}": value for name, value in options.items()}
    return served.ask(f"{ROOT}/{path}", who, params=given)


def ids(found):
    return [one["@iot.id"] for one in found.json()["value"]]


def stored(served, device="inv-1", quantity="energy_export"):
    with connect(served.database_url) as conn:
        return conn.execute(
            "SELECT start, value FROM interval_quantity WHERE device_id = %s AND quantity = %s"
            " AND measured_us + estimated_us + unknown_us > 0 ORDER BY start",
            [device, quantity],
        ).fetchall()


def test_every_set_and_link_leads_somewhere(served):
    """A client follows links: a broken link stops it."""
    index = served.ask(ROOT).json()
    assert len(index["value"]) == 8
    token = {"Authorization": f"Bearer {served.tokens['auditor']}"}
    with httpx.Client(headers=token, timeout=plain.PATIENCE_S) as client:
        for entry in index["value"]:
            found = client.get(entry["url"], params={"$top": 2}).json()["value"]
            assert found, entry
            for one in found:
                alone = client.get(one["@iot.selfLink"]).json()
                assert alone == one
                for name, link in one.items():
                    if name.endswith("@iot.navigationLink"):
                        assert client.get(link, params={"$top": 1}).status_code == 200, link


def test_a_series_is_paged_to_its_end_and_is_what_is_stored(served):
    """A ministry would add up other energy than the meters counted."""
    rows = stored(served)
    token = {"Authorization": f"Bearer {served.tokens['auditor']}"}
    url = f"{served.url}{ROOT}/{STREAM}/Observations?$top=100&$count=true"
    found = []
    with httpx.Client(headers=token, timeout=plain.PATIENCE_S) as client:
        while url:
            page = client.get(url).json()
            assert page["@iot.count"] == len(rows)
            found += page["value"]
            url = page.get("@iot.nextLink")
    assert [one["result"] for one in found] == [value for _, value in rows]
    for one, (start, _) in zip(found, rows, strict=True):
        begin, end = map(datetime.fromisoformat, one["phenomenonTime"].split("/"))
        assert (begin, (end - begin).total_seconds()) == (start, 900)
    assert found[0]["resultQuality"].keys() >= {"measured_share", "unknown_s"}
    newest = ask(served, f"{STREAM}/Observations", orderby="phenomenonTime DESC", top=1)
    assert newest.json()["value"][0]["result"] == rows[-1][1]


def test_filters_select_and_expand(served):
    """A reader would get the values of another device, or of another hour."""
    rows = stored(served)
    most = max(value for _, value in rows)
    noon = datetime(2026, 3, 2, 5, tzinfo=UTC)
    for where, wanted in (
        (f"result eq {most}", [s for s, v in rows if v == most]),
        (
            f"result ge {most} and not (phenomenonTime gt 2026-03-02T12:00:00+07:00)",
            [s for s, v in rows if v >= most and s <= noon],
        ),
        (
            "phenomenonTime ge 2026-03-02T05:00:00Z and phenomenonTime lt 2026-03-02T06:00:00Z",
            [s for s, _ in rows if 0 <= (s - noon).total_seconds() < 3600],
        ),
    ):
        found = ask(served, f"{STREAM}/Observations", filter=where, top=1000).json()["value"]
        begins = [datetime.fromisoformat(o["phenomenonTime"].split("/")[0]) for o in found]
        assert begins == wanted, where
    assert ids(ask(served, "Things", filter="startswith(id,'inv') or name eq 'bus-1'")) == [
        "bus-1",
        "inv-1",
        "inv-2",
    ]
    assert ids(ask(served, "Things", filter="substringof('v-2', id)")) == ["inv-2"]
    assert ids(ask(served, "Datastreams", filter="Thing/id eq 'inv-1' and endswith(id,'export')",
                   select="id")) == ["inv-1:energy_export"]  # fmt: skip
    where = f"Datastream/id eq 'inv-1:energy_export' and result eq {most}"
    assert len(ask(served, "Observations", filter=where).json()["value"]) >= 1
    whole = ask(
        served,
        "Things('inv-1')",
        expand="Locations,Datastreams($expand=ObservedProperty,Observations($top=2;$count=true))",
    ).json()
    assert whole["Locations"][0]["location"] == {"type": "Point", "coordinates": [106.6, 20.9]}
    stream = next(o for o in whole["Datastreams"] if o["@iot.id"].endswith("export"))
    assert stream["ObservedProperty"]["@iot.id"] == "energy_export"
    assert stream["unitOfMeasurement"]["symbol"] == "Wh"
    assert len(stream["Observations"]) == 2
    assert stream["Observations@iot.count"] == len(rows)
    assert "$skip=2" in stream["Observations@iot.nextLink"]
    shown = ask(served, "Things", select="name", top=1).json()["value"][0]
    assert shown == {"name": "bus-1"}
    falling = ask(served, "Datastreams", orderby="Thing/id desc,id asc", top=1)
    assert ids(falling)[0].startswith("inv-2")
    assert ask(served, "Things('inv-1')/name").json() == {"name": "inv-1"}
    assert ask(served, "Things('inv-1')/name/$value").text == "inv-1"


def test_nobody_sees_what_is_not_theirs(served):
    """A competitor would read a plant's output every 15 minutes."""
    assert ids(ask(served, "Things", "stranger")) == ["bus-1", "ch-1"]
    assert ids(ask(served, "Things", "scoped")) == ["inv-1", "inv-2"]
    nobody = served.ask(f"{ROOT}/Things")
    assert nobody.json() == {"value": []}
    for path in (
        "Things('inv-1')",
        STREAM,
        f"{STREAM}/Observations",
        "Sensors('inv-1')",
        "HistoricalLocations('inv-1')",
        "Things('inv-1')/Locations",
        f"ObservedProperties('energy_export')/{STREAM}",
    ):
        for who in ("stranger", None):
            assert ask(served, path, who).status_code == 404, (path, who)
    for who in ("stranger", None):
        for path in (
            "Datastreams",
            "Observations",
            "Sensors",
            "Locations('hp')/Things" if who else "Locations",
        ):
            assert "inv-1" not in ask(served, path, who, top=1000).text, (path, who)
        hidden = ask(
            served, "Observations", who, filter="Datastream/Thing/id eq 'inv-1'", count="true"
        ).json()
        assert hidden == {"@iot.count": 0, "value": []}


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        ("Things", {"filter": "id eq"}, "ends too early"),
        ("Things", {"filter": "id eq 5"}, "is a text"),
        ("Things", {"filter": "serial eq 'A1'"}, "not a property of Things"),
        ("Things", {"filter": "id eq 'a' id"}, "not expected"),
        ("Things", {"filter": "id eq 'a'; DROP TABLE device"}, "cannot be read"),
        ("Things", {"filter": "geo.intersects(a,'b')"}, "is not an operator"),
        ("Things", {"filter": "(" * 30 + "id eq 'a'" + ")" * 30}, "more than 20 nested brackets"),
        ("Things", {"filter": " or ".join(["id eq 'a'"] * 100)}, "cannot be read"),
        ("Things", {"top": "1001"}, "0 to 1,000"),
        ("Things", {"top": "-1"}, "0 to 1,000"),
        ("Things", {"skip": "100001"}, "0 to 100,000"),
        ("Things", {"count": "yes"}, "true or false"),
        ("Things", {"orderby": "serial"}, "not a property of Things"),
        ("Things", {"orderby": "id up"}, "asc or desc"),
        ("Things", {"select": "serial"}, "not a property of Things"),
        ("Things", {"expand": "Owner"}, "not a navigation property"),
        ("Things", {"expand": "Datastreams($top=5"}, "do not match"),
        ("Things", {"expand": "Datastreams($where=5)"}, "not an option"),
        ("Things", {"expand": "Datastreams/Thing/Datastreams/Thing"}, "goes deeper than 3"),
        ("Observations", {"filter": "phenomenonTime gt 2026-13-01T00:00:00Z"}, "not a time"),
        ("Observations", {"filter": "result gt 'x'"}, "is a number"),
        ("Things", {"filter": "name eq 'a\0'"}, "NUL character"),
    ],
)
def test_what_is_not_known_is_refused_by_name(served, path, options, said):
    """A filter that is ignored shows everything as if it passed."""
    found = ask(served, path, **options)
    assert (found.status_code, said in found.json()["detail"]) == (422, True), found.text
    assert found.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["Nothing", "Things('none')", "Things('a b')", "Things('inv-1')/Nothing", "Things/x",
             "Datastreams('inv-1')", "Observations('inv-1:energy_export:x')",
             "Things('inv-1')/Thing/Thing/Thing/Thing/Thing"],
)  # fmt: skip
def test_what_is_not_there_is_said(served, path):
    """A client would take an empty page for an answer."""
    assert ask(served, path).status_code == 404
    assert served.ask(f"{ROOT}/Things", "auditor", params={"$fitler": "x"}).status_code == 422


def test_work_is_bounded(served):
    """One request could hold the database for minutes."""
    wide = ask(served, "Locations", expand="Things($expand=Datastreams($expand=Observations))")
    assert wide.status_code in {200, 422}
    deep = ask(served, STREAM, expand="Observations($top=1000;$expand=Datastream($expand=Thing))")
    assert deep.status_code == 200  # the same entity is looked up once
