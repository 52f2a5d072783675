"""`tonne registry issue-credentials`, and its effect at a broker."""

import json
import stat

import psycopg
import pytest
from cryptography import x509

from ingest.addresses import Tls
from services.identity import Authority
from services.identity.principals import IdentityFolder
from services.local.brokers import Mosquitto
from tests.invoked import tonne as invoke
from tests.ports import give_ports
from tests.security.probe import Probe

REGISTRY = """
sites: [{id: s, name: S, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}]
devices:
"""
ROW = (
    "  - {{id: {id}, site: s, class: pv_inverter, profile: generic,"
    " installed: 2026-01-01T00:00:00Z{more}}}\n"
)


@pytest.fixture
def tonne(database_url, tmp_path, monkeypatch):
    """Run a command on a fresh database; return its output, with its exit code checked."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setenv("TONNE_HOME", str(tmp_path / "home"))

    def run(*words, code=0):
        done = invoke(*words, catch_exceptions=False, code=code)
        return done.stdout if code == 0 else done.output

    run.home = tmp_path / "home"
    run.folder = tmp_path

    def register(*rows):
        file = tmp_path / "registry.yaml"
        text = [ROW.format(id=r, more="") if isinstance(r, str) else ROW.format(**r) for r in rows]
        file.write_text(REGISTRY + "".join(text))
        run("registry", "import", str(file))

    run.register = register
    return run


def _issue(tonne, *words):
    return json.loads(tonne("registry", "issue-credentials", "--json", *words))


def test_all_devices_at_once_and_again_without_effect(tonne):
    """A second run after a crash would replace the keys of devices in the field."""
    tonne.register("a", "b", {"id": "behind", "more": ", gateway: a"})
    first = _issue(tonne, "--all")
    assert [(r["principal"], r["result"]) for r in first] == [("a", "issued"), ("b", "issued")]
    key = tonne.home / "identity" / "devices" / "a" / "client.key"
    before = key.read_bytes()
    assert [r["result"] for r in _issue(tonne, "--all")] == ["unchanged", "unchanged"]
    assert key.read_bytes() == before
    certificate = x509.load_pem_x509_certificate((key.parent / "client.crt").read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=a"


def test_secrets_are_for_their_owner_alone(tonne, database_url):
    """A key that others of the machine, or of the database, can read is not a key."""
    tonne.register("a", "p")
    _issue(tonne, "a")
    _issue(tonne, "p", "--password")
    root = tonne.home / "identity"
    secret = {"client.key", "ca.key", "password"}
    for path in [root, *root.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            assert mode == 0o700, path
        elif path.name in secret or path.suffix == ".json":
            assert mode == 0o600, path
    told = (root / "devices" / "p" / "password").read_text()
    with psycopg.connect(database_url) as conn:
        rows = conn.execute("SELECT c::text FROM credential c").fetchall()
    assert len(rows) == 2
    assert not [row for (row,) in rows if told in row or "PRIVATE" in row]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nobody", "not registered"),
        ("behind", "publishes for it"),
        ("gone", "was removed"),
        ("tonne", "tonne's own"),
        ("tonne-admin", "tonne's own"),
    ],
)
def test_who_cannot_hold_a_credential_is_told_why(tonne, name, told):
    """A certificate for `tonne` would be the pipeline's; nothing may be half issued either."""
    tonne.register(
        "a",
        {"id": "behind", "more": ", gateway: a"},
        {"id": "gone", "more": ", removed: 2026-02-01T00:00:00Z"},
        *([name] if name.startswith("tonne") else []),
    )
    assert told in tonne("registry", "issue-credentials", "a", name, code=2)
    assert not (tonne.home / "identity" / "devices" / "a").exists()


def test_a_credential_is_revoked_once_and_stays_on_record(tonne, database_url):
    """Issue and revocation of a credential remain on record."""
    tonne.register("a")
    _issue(tonne, "a")
    tonne("registry", "revoke-credentials", "a", "--reason", "stolen")
    assert not (tonne.home / "identity" / "devices" / "a" / "client.key").exists()
    crl = x509.load_pem_x509_crl((tonne.home / "identity" / "ca.crl").read_bytes())
    assert len(list(crl)) == 1
    (row,) = json.loads(tonne("registry", "credentials", "a", "--json"))
    assert row["reason"] == "stolen"
    with psycopg.connect(database_url, autocommit=True) as conn:
        for statement in (
            "UPDATE credential SET revoked = NULL, reason = NULL, revoked_by = NULL",
            "UPDATE credential SET principal = 'b'",
            "DELETE FROM credential",
            "TRUNCATE credential",
        ):
            with pytest.raises(psycopg.Error):
                conn.execute(statement)
    assert [r["result"] for r in _issue(tonne, "a")] == ["issued"]


def test_a_renewed_certificate_leaves_the_old_one_until_it_is_revoked(tonne):
    """A device in the field would be cut off before anyone could bring it the new one."""
    tonne.register("a")
    _issue(tonne, "a")
    assert [r["result"] for r in _issue(tonne, "a", "--renew")] == ["renewed"]
    held = json.loads(tonne("registry", "credentials", "a", "--json"))
    assert [c["revoked"] for c in held] == [None, None]
    tonne("registry", "revoke-credentials", "a", "--older", "--reason", "renewed")
    held = json.loads(tonne("registry", "credentials", "a", "--json"))
    assert [c["revoked"] is None for c in held] == [False, True]


def test_a_mixed_up_authority_is_refused(tmp_path):
    """Certificates signed by another key would lock the fleet out."""
    Authority.open(tmp_path / "one")
    Authority.open(tmp_path / "two")
    (tmp_path / "one" / "ca.key").write_bytes((tmp_path / "two" / "ca.key").read_bytes())
    with pytest.raises(Exception, match="not the key of"):
        Authority.open(tmp_path / "one")


def test_from_the_command_line_a_device_is_let_in_and_thrown_out(tonne, monkeypatch):
    """What the tests of the broker do by hand, a technician must get from three commands."""
    broker = Mosquitto(give_ports(tonne.home, "mosquitto"))
    broker.become(secure=True)
    broker.start()
    monkeypatch.setenv("TONNE_MQTT_URL", broker.url)
    probes = []
    try:
        tonne.register("a", "p")
        assert "1 permitted: a" in tonne("registry", "issue-credentials", "a")
        tonne("registry", "issue-credentials", "p", "--password", "--no-apply")
        assert json.loads(tonne("broker", "apply", "--json"))["admitted"] == ["p"]
        folder = IdentityFolder(tonne.home / "identity")
        password = (folder.device("p") / "password").read_text()
        tls = Tls.of(folder.device("a"))
        trusting = type(tls)(tls.ca).context()
        one = Probe(broker.port, tls.context(), "a")
        other = Probe(broker.port + 1_000, trusting, "p", username="p", password=password)
        for probe in (one, other):
            probes.append(probe)
            assert probe.open()
            assert probe.publish(f"tonne/v1/{probe.client_id}/telemetry")
        assert "1 removed: a" in tonne("registry", "revoke-credentials", "a", "--reason", "stolen")
        assert one.cut_off(60)
        again = Probe(broker.port, nobody(tls), "a")
        probes.append(again)
        assert not again.open()
        written = tonne("broker", "config", "rabbitmq", "--host", "10.0.0.5")
        assert "3 principals" in written
    finally:
        for probe in probes:
            probe.close()
        broker.stop()


def nobody(tls):
    """Check that the revoked device's files are deleted."""
    return type(tls)(tls.ca).context()
