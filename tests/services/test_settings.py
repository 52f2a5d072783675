"""Settings: rejected values at start, and the sources of values."""

import json

import pytest

from ingest.addresses import PORTS, server_of
from services.environment import KafkaAccess, read_setting
from services.settings import Settings, SettingsError, split_bind
from services.store.postgres.pool import without_login


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TONNE_HOME")


@pytest.mark.parametrize("name", ["TONNE_DATABSE_URL", "tonne_database_url", "TONNE_HOME_FILE"])
def test_unknown_names_are_refused_with_the_nearest(monkeypatch, name):
    """A misspelt name ignored without a message would fill the wrong database."""
    monkeypatch.setenv(name, "postgresql://x/y")
    with pytest.raises(SettingsError, match=rf"{name} in the environment .* did you mean TONNE_"):
        Settings()


def test_a_secret_from_a_file(monkeypatch, tmp_path):
    """Passwords must not need to stand in the environment."""
    secret = tmp_path / "secret"
    secret.write_text("postgresql://u:p@h/db\n", encoding="utf-8")
    monkeypatch.setenv("TONNE_DATABASE_URL_FILE", str(secret))
    settings = Settings()
    assert settings.database_url == "postgresql://u:p@h/db"
    assert "u:p" not in repr(settings)


def test_a_secret_given_twice_is_refused(monkeypatch):
    """A setting given twice would leave open which value applies."""
    monkeypatch.setenv("TONNE_MQTT_URL", "mqtt://a")
    monkeypatch.setenv("TONNE_MQTT_URL_FILE", "/nowhere")
    with pytest.raises(SettingsError, match="both TONNE_MQTT_URL and TONNE_MQTT_URL_FILE"):
        Settings()


def test_a_secret_file_that_is_not_there_is_named(monkeypatch):
    """A missing file of a secret must be reported at the start."""
    monkeypatch.setenv("TONNE_MQTT_URL_FILE", "/nowhere/at/all")
    with pytest.raises(SettingsError, match="TONNE_MQTT_URL_FILE=/nowhere/at/all"):
        Settings()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("TONNE_DATABASE_URL", "mysql://u:secret@h/db", "TONNE_DATABASE_URL begins with 'mysql'"),
        ("TONNE_MQTT_URL", "localhost:1883", "TONNE_MQTT_URL begins with 'localhost'"),
        ("TONNE_MQTT_URL", "mqtt://", "TONNE_MQTT_URL names no host"),
        ("TONNE_KAFKA_URL", "http://h", "TONNE_KAFKA_URL begins with 'http'"),
        ("TONNE_KAFKA_URL", "kafka://", "TONNE_KAFKA_URL names no host"),
        ("TONNE_KAFKA_URL", "kafka://a:9092,", "TONNE_KAFKA_URL names no host in ''"),
        ("TONNE_KAFKA_URL", "kafka://a:9092,b:x", "TONNE_KAFKA_URL names no port from 1 to 65535"),
        ("TONNE_KAFKA_URL", "kafka://a:9092,kafka://b", "TONNE_KAFKA_URL has more than one scheme"),
        ("TONNE_KAFKA_URL", "kafka://a:0", "TONNE_KAFKA_URL names no port from 1 to 65535 in 'a:0"),
        (
            "TONNE_KAFKA_URL",
            "kafka://a, b",
            "TONNE_KAFKA_URL contains a blank or a line end; remove",
        ),
        ("TONNE_KAFKA_URL", "kafka://::1:9092", "write IPv6 in brackets, [2001:db8::1]:port"),
        ("TONNE_KAFKA_URL", "kafka://[k1]:9092", "TONNE_KAFKA_URL names no host in '[k1]:9092'"),
        ("TONNE_KAFKA_URL", "kafka://[::1:9092", "TONNE_KAFKA_URL names no host in '[::1:9092'"),
        ("TONNE_KAFKA_URL", "kafka://x[::1]:9092", "TONNE_KAFKA_URL has more than one colon"),
        ("TONNE_MQTT_URL", "mqtt://u:secret@mqtt://h", "TONNE_MQTT_URL has more than one scheme"),
        ("TONNE_MQTT_URL", "mqtt://u:secret@:1883", "TONNE_MQTT_URL names no host in ':1883'"),
        ("TONNE_MQTT_URL", "mqtt://u:secret@h:65536", "TONNE_MQTT_URL names no port from 1 to"),
        ("TONNE_MQTT_URL", "mqtt://u:sec/secret@h", "TONNE_MQTT_URL contains / or # before"),
        ("TONNE_MQTT_URL", "mqtt://a,b:1884", "TONNE_MQTT_URL names 2 hosts; write one"),
        ("TONNE_MQTT_URL", "mqtt://h\n", "TONNE_MQTT_URL contains a blank or a line end"),
        ("TONNE_MQTT_URL", "mqtt://::1", "write IPv6 in brackets"),
        ("TONNE_DATABASE_URL", "postgresql://u:secret@h1,h2:0/db", "TONNE_DATABASE_URL names no"),
        (
            "TONNE_DATABASE_URL",
            "postgresql://u:secret@h/db x",
            "TONNE_DATABASE_URL contains a blank",
        ),
        ("TONNE_KAFKA_URL", "kafka://u:secret@a", "TONNE_KAFKA_URL names a user"),
        ("TONNE_KAFKA_URL", "kafka://u:secret@a", "in plain text; write kafkas://"),
        ("TONNE_KAFKA_URL", "kafkas://u@a", "TONNE_KAFKA_URL names a user without a password"),
        ("TONNE_KAFKA_URL", "kafkas://u:secret@", "TONNE_KAFKA_URL names no host"),
        (
            "TONNE_KAFKA_URL",
            "kafkas://u:sec/secret@h",
            "TONNE_KAFKA_URL contains / or # before its @",
        ),
        ("TONNE_KAFKA_URL", "kafka://a/topic", "TONNE_KAFKA_URL contains more than hosts"),
        ("TONNE_API_BIND", "8080", "TONNE_API_BIND address '8080' must be host:port"),
        ("TONNE_METRICS_BIND", "h:70000", "TONNE_METRICS_BIND address"),
        (
            "TONNE_API_BIND",
            "127.0.0.1:9464",
            "TONNE_API_BIND and TONNE_METRICS_BIND are both 127.0.0.1:9464",
        ),
        ("TONNE_HOME", "", "TONNE_HOME is empty"),
    ],
)
def test_malformed_values_are_refused_by_name(monkeypatch, name, value, reason):
    """The operator must read which variable to change, and no password may reach a log."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        Settings()
    assert reason in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"CA_FILE": "ca.crt"}, "TONNE_KAFKA_CA_FILE is for TLS, but TONNE_KAFKA_URL begins with"),
        ({"CERT_FILE": "c.crt"}, "set TONNE_KAFKA_CERT_FILE and TONNE_KAFKA_KEY_FILE together"),
        ({"URL": "kafkas://h", "SASL_MECHANISM": "PLAIN"}, "is for a user, but TONNE_KAFKA_URL"),
        ({"URL": "kafkas://u:secret@h", "SASL_MECHANISM": "MD5"}, "'MD5' must be one of SCRAM"),
        ({"URL": "kafkas://u:secret@h", "SASL_MECHANISM": "OAUTHBEARER"}, "TONNE_KAFKA_TOKEN_URL"),
        ({"URL": "kafkas://u:secret@h", "TOKEN_URL": "https://t"}, "OAUTHBEARER and TONNE_KAFKA"),
    ],
)
def test_what_kafka_is_told_must_go_together(monkeypatch, told, reason):
    """A password would travel in plain text, or be asked for in a way that no one answers."""
    for name, value in ({"URL": "kafka://h"} | told).items():
        monkeypatch.setenv(f"TONNE_KAFKA_{name}", value)
    with pytest.raises(SettingsError) as refused:
        Settings()
    assert reason in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_user_of_kafka_is_read_and_hidden(monkeypatch, tmp_path):
    """A password with special characters would be read wrongly, or appear in a log."""
    secret = tmp_path / "url"
    secret.write_text("kafkas://bridge:p%40ss%2Fword@k1,[::1]:9094", encoding="utf-8")
    monkeypatch.setenv("TONNE_KAFKA_URL_FILE", str(secret))
    found = Settings().require_kafka()
    assert (found.user, found.password) == ("bridge", "p@ss/word")
    assert found.bootstrap == ["k1:9093", "[::1]:9094"]
    assert (found.protocol, found.mechanism) == ("SASL_SSL", "SCRAM-SHA-512")
    assert "p@ss" not in repr(found)
    assert KafkaAccess.of("kafka://k").protocol == "PLAINTEXT"


def test_the_environment_wins_over_dotenv(monkeypatch, tmp_path):
    """A value given for one run must hold for that run."""
    text = "TONNE_MQTT_URL=mqtt://file\nTONNE_METRICS_BIND=\nOTHER=1\n"
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    assert Settings().mqtt_url == "mqtt://file"
    assert not Settings().metrics_bind
    monkeypatch.setenv("TONNE_MQTT_URL", "mqtts://shell:8883")
    assert Settings().mqtt_url == "mqtts://shell:8883"


def test_unknown_names_in_dotenv_are_refused(tmp_path):
    """The file is read by the same rules as the environment."""
    (tmp_path / ".env").write_text("TONNE_MQQT_URL=mqtt://x\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"TONNE_MQQT_URL in \.env"):
        Settings()


def test_local_servers_fill_what_is_not_set(monkeypatch, tmp_path):
    """`tonne local up && tonne run` must work with no environment, and not override one."""
    (tmp_path / ".tonne").mkdir()
    urls = {"database_url": "postgresql://l/t", "mqtt_url": "mqtt://l:1", "kafka_url": None}
    (tmp_path / ".tonne/local.json").write_text(json.dumps(urls), encoding="utf-8")
    monkeypatch.setenv("TONNE_MQTT_URL", "mqtt://own")
    settings = Settings()
    assert settings.database_url == "postgresql://l/t"
    assert settings.mqtt_url == "mqtt://own"
    assert settings.kafka_url is None


def test_a_spoilt_local_state_says_how_to_mend_it(tmp_path):
    """A half-written file must not look like "no servers"."""
    (tmp_path / ".tonne").mkdir()
    (tmp_path / ".tonne/local.json").write_text("{", encoding="utf-8")
    with pytest.raises(SettingsError, match="tonne local up"):
        Settings()


@pytest.mark.parametrize("text", ["", "10.0.0.7", " 10.0.0.0/24 , ::1", "2001:db8::/64"])
def test_proxies_are_addresses_and_networks(monkeypatch, text):
    """A trusted proxy's header would be ignored, and all its callers would have one address."""
    monkeypatch.setenv("TONNE_TRUSTED_PROXIES", text)
    assert Settings().trusted_proxies == text


@pytest.mark.parametrize("text", ["*", "proxy", "10.0.0.7/24", "10.0.0.7:80", "10.0.0.7 10.0.0.8"])
def test_a_proxy_that_is_none_is_refused(monkeypatch, text):
    """`*` would accept every caller's statement of its own address."""
    monkeypatch.setenv("TONNE_TRUSTED_PROXIES", text)
    with pytest.raises(SettingsError, match="TONNE_TRUSTED_PROXIES"):
        Settings()


def test_require_says_how_to_give_it():
    """A command without its server must say what to do, not fail on None."""
    with pytest.raises(SettingsError, match=r"TONNE_KAFKA_URL is not set.*local up --kafka"):
        Settings().require("kafka_url")


def test_a_url_names_several_kafka_brokers():
    """With one name alone, a worker could not start while that broker of three is away."""
    assert KafkaAccess.of("kafka://k1,k2:9093,[::1]:9094").servers == (
        ("k1", 9092),
        ("k2", 9093),
        ("::1", 9094),
    )
    assert KafkaAccess.of("kafka://[2001:db8::7],k2/").servers == (
        ("2001:db8::7", 9092),
        ("k2", 9092),
    )
    assert KafkaAccess.of("kafkas://k1").servers == (("k1", 9093),)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@k1,k2:5433,[::1]:5434/tonne?target_session_attrs=read-write",
        "postgresql:///tonne?host=/run/postgresql",
        "postgresql://%2Frun%2Fpostgresql/tonne",
        "postgres://u@:5433/tonne",
    ],
)
def test_a_database_may_be_one_of_several_hosts_or_a_socket(monkeypatch, url):
    """A standby or a socket could not be named, or the error of a lost one would be another's."""
    monkeypatch.setenv("TONNE_DATABASE_URL", url)
    assert Settings().database_url == url
    assert "u:p" not in without_login(url)


def test_a_lost_database_of_several_hosts_is_named_without_its_login():
    """An operator would read a traceback of ports instead of which database is away."""
    assert without_login("postgresql://u:p@k1,[::1]:5434/tonne?x=1") == "k1,[::1]:5434/tonne"
    assert without_login("postgresql:///tonne?host=/run") == "local socket/tonne"
    assert without_login("host=k1 password=p dbname=tonne") == "URL"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("mqtt://h", ("h", 1883)),
        ("mqtts://u:p%40@[2001:db8::7]", ("2001:db8::7", 8883)),
        ("MQTT://[::1]:1884/", ("::1", 1884)),
    ],
)
def test_one_broker(url, server):
    """A broker with a version 6 address could not be named, or on some Pythons only."""
    assert server_of(url, PORTS) == server


def test_addresses():
    """Also version 6 addresses can be listened on."""
    assert split_bind("[::1]:80") == ("::1", 80)
    assert split_bind("0.0.0.0:9464") == ("0.0.0.0", 9464)  # noqa: S104 - text only


def test_one_setting_is_found_where_all_are(tmp_path):
    """A gateway would serve Prometheus at another address than the configured one."""
    file = tmp_path / ".env"
    assert read_setting({}, file, "metrics_bind") is None
    file.write_text("TONNE_METRICS_BIND=0.0.0.0:1\nOTHER=2\n")
    assert read_setting({}, file, "metrics_bind") == "0.0.0.0:1"
    assert read_setting({"TONNE_METRICS_BIND": ""}, file, "metrics_bind") == ""
