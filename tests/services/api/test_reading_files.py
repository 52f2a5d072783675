"""Readings out as files: the same figures as the API lists, for programs and in the console."""

import csv
import io

import pyarrow.parquet as pq

from tests.services.api import plain
from tests.services.api.console.test_pages import get, session

SPAN = {"device": "inv-1", "from": "2026-03-02", "to": "2026-03-03"}


def _listed(served):
    found, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = served.ask("/v1/intervals", "auditor", params={**SPAN, "limit": 100, **more}).json()
        found += page["items"]
        cursor = page.get("next")
        if not cursor:
            return found


def test_a_file_has_what_the_api_lists(served):
    """An analyst would calculate with other energies than the statement does."""
    listed = _listed(served)
    assert len(listed) > 50
    answer = served.ask("/v1/intervals/file.csv", "auditor", params=SPAN)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    wanted = [(one["start"], one["quantity"], one["value"]) for one in listed]
    assert [(one["start"], one["quantity"], int(one["value"])) for one in rows] == wanted
    assert {one["unit"] for one in rows} == {"Wh"}
    answer = served.ask("/v1/intervals/file.parquet", "auditor", params=SPAN)
    table = pq.read_table(io.BytesIO(answer.content))
    assert table["value"].to_pylist() == [one["value"] for one in listed]
    assert table["start"].to_pylist()[0].isoformat()[:16] == listed[0]["start"][:16]


def test_files_are_for_those_who_see_the_device(served):
    """Another operator's production would be handed to whoever asks."""
    assert served.ask("/v1/intervals/file.csv", params=SPAN).status_code == 401
    assert served.ask("/v1/intervals/file.csv", "stranger", params=SPAN).status_code == 404
    assert served.ask("/v1/intervals/file.xml", "auditor", params=SPAN).status_code in (404, 422)
    long = {**SPAN, "from": "2024-01-01"}
    assert served.ask("/v1/intervals/file.csv", "auditor", params=long).status_code == 422
    page = "/console/en/devices/inv-1/readings.csv"
    assert plain.get(served.url + page).status_code == 401
    answer = get(served, page, session(served, "auditor"))
    assert answer.status_code == 200
    assert answer.text.startswith("device,start,quantity,value,unit")
    assert page in get(served, "/console/en/devices/inv-1", session(served, "auditor")).text
