"""Evidence packs of 0.1.0, verified by the present `tonne verify`."""

import json
import shutil

import pytest

from tests.samples.sample import SAMPLE, tonne

# Reduction of each, in t, as 0.1.0 issued it.
REDUCTIONS = {
    "TN-bach-long-vi-wind-20260101-20260103-1": "45.678766",
    "TN-cat-ba-ebus-20260101-20260103-1": "0.819052",
    "TN-cat-ba-ebus-20260103-20260104-2": "0.666009",  # revoked since
    "TN-hp-chillers-20260101-20260103-1": "3.220128",
    "TN-nck-pv-20260101-20260103-1": "0.534843",  # superseded by the next one
    "TN-nck-pv-20260101-20260103-3": "0.535552",
    "TN-nrel-pv-20251227-20260101-1": "0.484810",
}
NO_LONGER = {"TN-cat-ba-ebus-20260103-20260104-2", "TN-nck-pv-20260101-20260103-1"}
# 0 where an auditor may rely on it, 4 where it is consistent and something is missing
NOTHING_FALSE = (0, 4)
WITNESSED = "TN-hp-chillers-20260101-20260103-1"


@pytest.fixture
def pack(request, tmp_path):
    """Return the folder of a pack, unpacked if it is a zip file."""
    folder, zipped = (SAMPLE / "packs" / f"{request.param}{end}" for end in ("", ".zip"))
    if folder.is_dir():
        return folder
    shutil.unpack_archive(zipped, tmp_path)
    return tmp_path / request.param


def verify(pack, *options, keys="trusted-no-witness.json"):
    """Return the exit code, and the steps that fail."""
    done = tonne({}, "verify", pack, "--keys", SAMPLE / keys, "--json", *options)
    steps = json.loads(done.stdout)["steps"]
    return done.exit_code, [one for one in steps if one["outcome"] == "failed"], steps


def status(name):
    """Return the status list of the statement's project, signed after everything else."""
    project = name.removeprefix("TN-").rsplit("-", 3)[0]
    return "--status", SAMPLE / "status" / f"{project}.json"


@pytest.mark.parametrize("pack", REDUCTIONS, indirect=True)
def test_a_pack_of_0_1_0_is_verified(pack):
    """Who bought a tonne from 0.1.0 could not show any more that it was right."""
    code, failed, steps = verify(pack, *(() if pack.name in NO_LONGER else status(pack.name)))
    assert failed == []
    assert code in NOTHING_FALSE
    outcomes = {one["name"]: one["outcome"] for one in steps}
    for computed in ("readings", "intervals", "metering", "account", "log receipt"):
        assert outcomes[computed] == "ok", outcomes
    said = json.loads((pack / "statement.json").read_bytes())["credentialSubject"]
    assert said["emissions"]["reduction"]["t"] == REDUCTIONS[pack.name]


@pytest.mark.parametrize("pack", sorted(NO_LONGER), indirect=True)
def test_status_lists_of_0_1_0_say_that_a_statement_counts_no_more(pack):
    """A tonne that was taken back could be sold again after an update."""
    code, failed, _ = verify(pack, *status(pack.name))
    assert code == 1
    assert [one["name"] for one in failed] == ["status"]


@pytest.mark.parametrize("pack", [WITNESSED], indirect=True)
def test_a_witness_of_0_1_0_still_counts(pack):
    """An auditor's countersignature of the log would have no effect."""
    code, failed, steps = verify(pack, keys="trusted.json")
    assert failed == []
    assert code in NOTHING_FALSE
    (receipt,) = [one for one in steps if one["name"] == "log receipt"]
    assert "observer" in receipt["detail"]


@pytest.mark.parametrize("pack", ["TN-nrel-pv-20251227-20260101-1"], indirect=True)
def test_a_changed_pack_of_0_1_0_is_refused(pack, tmp_path):
    """Whatever was done to old evidence would pass."""
    changed = shutil.copytree(pack, tmp_path / "changed")
    file = changed / "statement.json"
    text = file.read_text()
    assert text.count('"0.484810"') > 0
    file.write_text(text.replace('"0.484810"', '"0.584810"'))
    code, failed, _ = verify(changed)
    assert code == 1
    assert failed
