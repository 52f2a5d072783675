"""`tonne run` alone tells an operator of a single machine what the database knows."""

from tests.running import Pipeline


def test_run_counts_the_fleet(pipeline: Pipeline) -> None:
    """Without a second process nobody would see that a device is silent."""
    site = {
        "id": "s",
        "name": "S",
        "latitude": 20.9,
        "longitude": 106.7,
        "timezone": "Asia/Ho_Chi_Minh",
    }
    device = {
        "id": "m",
        "site": "s",
        "class": "energy_meter",
        "profile": "generic",
        "installed": "2025-01-01T00:00:00Z",
    }
    pipeline.register({"sites": [site], "devices": [device]})
    with pipeline.running(pipeline.home / "run.log"):
        pipeline.wait_for("tonne_fleet_devices", 1)
        assert pipeline.counted("tonne_fleet_devices") == 1
