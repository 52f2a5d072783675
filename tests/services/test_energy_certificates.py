"""Of a device's measured energy, certified plus credited never exceed what was measured."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import InputError
from mrv import verify
from mrv.errors import StatementStateError, VerificationError
from services.cli.output import Exit
from services.issuer import transitions as life
from services.store.postgres.pool import connect
from services.store.statements.units import Certificate, certificates
from services.store.statements.units import enter_certificate as enter
from tests.fix_timescale import _fresh
from tests.invoked import tonne
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period
from tests.soak import often

BEGIN = datetime(2026, 3, 1, 17, tzinfo=UTC)  # 2 March at the plant
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def metered(timescale, migrated_template, tmp_path_factory):
    """
    Return a database with two inverters' readings, and what each
    measured by 15-minute interval.
    """
    for url in _fresh(timescale, migrated_template):
        plant.quarter_hours(url, tmp_path_factory.mktemp("certified"))
        with connect(url) as conn:
            rows = conn.execute(
                "SELECT device_id, start, value FROM interval_quantity"
                " WHERE quantity = 'energy_export'"
            ).fetchall()
        yield url, {(device, start): value for device, start, value in rows}


def _certificate(number, device, wh, begin=BEGIN, end=BEGIN + DAY):
    return Certificate(f"C-{number}", "I-REC", device, begin, end, wh, "body", "document")


@settings(max_examples=often(20, 40), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["inv-1", "inv-2"]),
            st.integers(0, 60),
            st.integers(1, 40),
            st.integers(1, 4_000_000),
        ),
        max_size=8,
    )
)
def test_certified_never_exceeds_measured(metered, steps):
    """A megawatt hour would be sold twice: as a certificate, and as another certificate."""
    url, measured = metered
    with logged.undone(url) as conn:
        for number, (device, at, length, wh) in enumerate(steps):
            begin = BEGIN + timedelta(minutes=15 * at)
            end = begin + timedelta(minutes=15 * length)
            laid = {
                (d, s): w
                for d, s, w in conn.execute(
                    "SELECT device_id, start, sum(wh)::bigint FROM energy_certified GROUP BY 1, 2"
                )
            }
            room = sum(
                value - laid.get(key, 0)
                for key, value in measured.items()
                if key[0] == device and begin <= key[1] < end
            )
            one = _certificate(number, device, wh, begin, end)
            if wh <= room:
                enter(conn, one, "test")
            else:
                with pytest.raises(InputError, match=f"{room} Wh of that time are measured"):
                    enter(conn, one, "test")
        total = 0
        for device, start, wh in conn.execute(
            "SELECT device_id, start, sum(wh)::bigint FROM energy_certified GROUP BY 1, 2"
        ):
            assert wh <= measured[device, start]
            total += wh
        assert total == sum(one.wh for one in certificates(conn))


def test_what_is_certified_earns_nothing_and_is_named(database_url, tmp_path):
    """A tonne would stand for a megawatt hour that someone else holds as a certificate."""
    who = planted(logged.quarter_hours, database_url, tmp_path)
    logged.seal_now(database_url, who)
    span = plant.us("2026-03-02"), plant.us("2026-03-03")
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:

        def closed():
            name = close_period(conn, "pv", *span, "test").statement
            said = life.documents(conn, name).claims
            counted = {one.device: Decimal(one.counted) for one in said.monitored_parameters}
            told = [one for one in said.applicability if one.rule == "CLM-01"]
            return name, counted, told

        before, counted, told = closed()
        assert counted["inv-2"] > 0
        assert told == []
        # certified after closing, before anybody signed: no verifier signs what does not say so
        enter(conn, _certificate(1, "inv-2", 500), "test")
        with pytest.raises(VerificationError, match="close the period again"):
            logged.signed(conn, before, who)
        with pytest.raises(InputError, match=f"statement {before} credits its energy"):
            enter(conn, _certificate(2, "inv-1", 500), "test")
    # closing after certifying: the next day's certificate is named, and its energy taken off
    later = BEGIN + DAY
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        span = plant.us("2026-03-03"), plant.us("2026-03-04")
        without = close_period(conn, "pv", *span, "test").statement
        bare = life.documents(conn, without).claims
        enter(conn, _certificate(3, "inv-2", 500, later, later + DAY), "test")
        name = close_period(conn, "pv", *span, "test").statement
        said = life.documents(conn, name).claims
        counted = {one.device: Decimal(one.counted) for one in said.monitored_parameters}
        before = {one.device: Decimal(one.counted) for one in bare.monitored_parameters}
        assert counted == {"inv-1": before["inv-1"], "inv-2": before["inv-2"] - 500}
        taken = [one for one in said.deductions if one.kind == "CLM-01"]
        assert [(one.device, one.adjustment) for one in taken] == [("inv-2", "-500.000000")]
        assert said.emissions.reduction.ug < bare.emissions.reduction.ug
        told = [one for one in said.applicability if one.rule == "CLM-01"]
        assert "C-3 of I-REC certifies 500 Wh" in told[0].words()
        logged.signed(conn, name, who)
        # one that came in beside the rules: the database refuses the claim by itself
        with (
            _beside_the_rules(database_url, "C-9", later + DAY / 2),
            pytest.raises(StatementStateError, match="C-9 is of energy that it credits"),
        ):
            life.issue(conn, name, who["log"], "test")
        life.issue(conn, name, who["log"], "test")
        with pytest.raises(InputError, match="credits its energy"):
            enter(conn, _certificate(4, "inv-1", 1, later, later + DAY), "test")
    _verified(database_url, tmp_path, name)


@contextmanager
def _beside_the_rules(url, name, start):
    with connect(url, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(
            "INSERT INTO energy_certificate (id, scheme, device_id, period, wh, issuing_body,"
            " document) VALUES (%s, 'I-REC', 'inv-1', tstzrange(%s, %s), 1, 'b', 'd')",
            [name, start, start + timedelta(minutes=15)],
        )
        owner.execute(
            "INSERT INTO energy_certified (certificate_id, start, device_id, wh)"
            " VALUES (%s, %s, 'inv-1', 1)",
            [name, start],
        )
        yield
        for table in ("energy_certified", "energy_certificate"):
            column = "certificate_id" if table == "energy_certified" else "id"
            owner.execute(f"DELETE FROM {table} WHERE {column} = %s", [name])


def _verified(url, home, name):
    """The pack recomputes to the statement, certificates and all; without them it does not."""
    from mrv.packs.reader import read_pack  # noqa: PLC0415

    out = home / "pack"
    tonne(
        "statement", "export", name, "--out", out, env={"TONNE_DATABASE_URL": url}, code=Exit.DONE
    )
    report = verify.verify(read_pack(out), None)
    assert report.failure is None, report.failure
    plan = json.loads((out / "plan.json").read_text("utf-8"))
    (held,) = plan["certified"]
    assert (held["device"], held["certificate"]) == ("inv-2", "C-3")
    assert sum(int(wh) for run in held["runs"] for wh in run["energy_Wh"]) == 500
    fewer = {**held, "runs": [{**held["runs"][0], "energy_Wh": ["1"]}]}
    for wrong in (
        {**plan, "certified": [fewer]},
        {key: value for key, value in plan.items() if key != "certified"},
    ):
        (out / "plan.json").write_text(json.dumps(wrong), encoding="utf-8")
        assert verify.verify(read_pack(out), None).failure is not None


def test_granular_certificates_are_written_once(metered, tmp_path):
    """A bundle that no one entered would leave its energy free for a credit."""
    url, measured = metered
    env = {"TONNE_DATABASE_URL": url}
    words = ["--device", "inv-1", "--from", "2026-03-03T00:00:00+07:00", "--to",
             "2026-03-04T00:00:00+07:00", "--issuing-body", "b", "--document", "d"]  # fmt: skip

    def run(name, out, *more):
        words_ = ["certificates", "export", name, *words, "--out", str(tmp_path / out), *more]
        return tonne(*words_, env=env)

    done = run("GC-1", "gc", "--json")
    assert done.exit_code == Exit.DONE, done.output
    bundles = json.loads((tmp_path / "gc" / "bundles.json").read_text("utf-8"))["bundles"]
    begin = BEGIN + DAY
    assert sum(one["face_value"] for one in bundles) == sum(
        value
        for (device, start), value in measured.items()
        if device == "inv-1" and begin <= start < begin + DAY
    )
    for one in bundles:
        first, last = (
            datetime.fromisoformat(one[f"production_{edge}_interval"])
            for edge in ("starting", "ending")
        )
        assert timedelta(0) < last - first <= timedelta(hours=1)
    again = run("GC-2", "again")
    assert again.exit_code == Exit.INPUT
    assert "without a certificate" in again.output
    assert not (tmp_path / "again").exists()
    listed = tonne("certificates", "list", "--json", env=env)
    assert [one["id"] for one in json.loads(listed.stdout)] == ["GC-1"]
