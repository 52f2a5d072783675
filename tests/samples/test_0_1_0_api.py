"""
Requests that programs sent to the API of 0.1.0, sent to the present API
over the same database.
"""

import json
import os

import httpx
import pytest

from tests import commands
from tests.ports import free_port
from tests.samples import sample
from tests.samples.sample import SAMPLE
from tests.waiting import until

pytestmark = pytest.mark.integration
ANSWERS = json.loads((SAMPLE / "api" / "answers.json").read_text())
TOKEN = json.loads((SAMPLE / "api" / "key.json").read_text())["token"]
# figures up to the day on which it is asked
# A park's sum leaves out its wastewater plant until `tonne watch` has accounted its open time.
CHANGED = {
    "/v1/parks/nam-cau-kien?year=2026": [
        ".monitored_t was '10.813432511281' and is '11.745089930609'"
    ]
}
TO_NOW = {"/v1/programme"}


@pytest.fixture(scope="module")
def api(came_from_0_1_0, tmp_path_factory):
    """Return the URL of the present `tonne api` over the database of 0.1.0."""
    folder = tmp_path_factory.mktemp("api")
    bind = f"127.0.0.1:{free_port()}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TONNE_")},
        "TONNE_HOME": str(sample.home(folder / "home")),
        "TONNE_ARCHIVE_URL": sample.archive(folder),
        "TONNE_DATABASE_URL": came_from_0_1_0,
        "TONNE_API_BIND": bind,
    }
    log = folder / "api.log"
    with log.open("wb") as out:
        process = commands.start(["api"], env=environment, stdout=out, stderr=out)
        try:
            until(lambda: '"serving"' in log.read_text(), 120, log.read_text)
            yield f"http://{bind}"
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.parametrize("route", sorted(ANSWERS.keys() - TO_NOW))
def test_a_client_of_0_1_0_reads_the_same(api, route):
    """A buyer's or an authority's program would stop, or take another figure."""
    answer = httpx.get(api + route, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=90)
    assert answer.status_code == 200, answer.text
    told = list(sample.holds(answer.json(), ANSWERS[route]))
    assert told == CHANGED.get(route, [])
