"""
Settings of a process: `TONNE_*` in the environment, then `.env`, then local servers.

Unknown or contradictory settings are refused at start, as an ignored misspelt name could select the
wrong database. Without a configured database or broker those of `tonne local up` in `TONNE_HOME`
are used.
"""

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ingest.addresses import Tls, parts_of
from services import environment
from services.environment import (
    METRICS_BIND,
    PREFIX,
    KafkaAccess,
    SettingsError,
    read_environment,
    split_bind,
)

__all__ = ["LOCAL_STATE", "Settings", "SettingsError", "local_urls", "split_bind"]

LOCAL_STATE = "local.json"
TLS_FILES = ("mqtt_ca_file", "mqtt_cert_file", "mqtt_key_file")
KAFKA_FILES = ("kafka_ca_file", "kafka_cert_file", "kafka_key_file")
SECRETS = ("database_url", "mqtt_url", "kafka_url")
# secrets that are no URL; each may be given by `<NAME>_FILE` too
WORDS = ("key_passphrase", "pkcs11_pin", "api_token", "smtp_url")
# maximum size of prepared evidence packs on the API's disk [bytes]
FILES_BYTES = 3_000_000_000
# maximum queue of mosquitto for a disconnected client; docs/benchmarks.md has the duration of
# PUBACK with a full queue
QUEUE_MESSAGES, QUEUE_BYTES = 1_000_000, 268_435_456


def local_urls(home: Path) -> dict[str, str]:
    """
    Return URLs, by setting, of the servers that `tonne local up` started; empty when
    none run.
    """
    try:
        state = json.loads((home / LOCAL_STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{home / LOCAL_STATE} cannot be read: {error}; run `tonne local up` to write it again"
        ) from error
    hidden = (*SECRETS, *TLS_FILES, "grafana_url")
    return {field: state[field] for field in hidden if state.get(field)}


class _EnvironmentSource(PydanticBaseSettingsSource):
    """Settings source that uses `read_environment`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(
            read_environment(os.environ, Path(".env"), set(Settings.model_fields), SECRETS + WORDS)
        )


class Settings(BaseSettings):
    """
    Settings of a process.

    Attributes
    ----------
    database_url, mqtt_url, kafka_url : str, optional
        URLs of the servers. `TONNE_<NAME>_FILE` is the path of a file with the URL.
    mqtt_ca_file, mqtt_cert_file, mqtt_key_file : Path, optional
        For `mqtts://`, PEM files: trusted authorities (default: those of the system), client
        certificate and its key.
    kafka_ca_file, kafka_cert_file, kafka_key_file : Path, optional
        The same three files for `kafkas://`.
    kafka_sasl_mechanism : str, optional
        SASL mechanism for the user of `kafkas://user:password@..`; SCRAM-SHA-512 unless given.
    kafka_token_url : str, optional
        URL that issues tokens for OAUTHBEARER, to that user as client id and secret.
    api_bind, metrics_bind : str
        `host:port` on which the process listens. If `TONNE_METRICS_BIND` is empty, it
        serves no metrics.
    sparkplug_host_id : str, optional
        Name of this Sparkplug host application. tonne then publishes on `spBv1.0/STATE/<name>`
        whether it is online. Edge nodes with this primary host keep data while it is offline.
    sparkplug_reorder_s, sparkplug_rebirth_s : float
        Maximum time for which a Sparkplug message waits for an earlier one, and minimum time
        between two rebirth requests to one node. [s]
    home : Path
        Data folder: signing keys, credentials of the broker and of devices, data of local servers
        and of the demo.
    key_passphrase : str, optional
        Passphrase that encrypts the signing keys in `TONNE_HOME/keys`.
    trust_root : Path, optional
        Path of the programme's trust root; `TONNE_HOME/trust-root.json` if absent.
    pkcs11_pin : str, optional
        PIN of the hardware token with a signing key.
    api_token : str, optional
        Token with which `tonne verify URL` authenticates to the API.
    api_rate_per_s : float
        Maximum requests per second to the API, per address and per token.
    api_files_bytes : int
        Maximum size of prepared evidence packs on the API's disk; reports may use a tenth of it in
        addition. The oldest are deleted, and prepared again on request.
    trusted_proxies : str
        Addresses and networks of the proxies before the API, separated by commas. The API trusts
        their statements on client address and TLS, and those of no other sender.
    oidc_issuer, oidc_audience, oidc_jwks_url : str, optional
        Identity provider whose bearer tokens the API accepts: set all three or none.
    witness_policy : Path, optional
        Policy file with the witnesses that cosign each head of the log, and the required number of
        cosignatures (c2sp.org/tlog-policy, with URLs).
    witness_away : 'proceed' or 'wait'
        `proceed`: statements are issued and heads served with too few cosignatures. `wait`: they
        are not.
    witness_wait_s : float
        Maximum time to wait for the answer of one witness. [s]
    witness_bind : str
        `host:port` on which `tonne witness serve` listens.
    witness_rate_per_s : float
        Maximum requests per second and address to `tonne witness serve`.
    sensorthings_public : str
        Device classes whose values are public over OGC SensorThings, separated by commas, such as
        `air_station,noise_station`; none unless given.
    webhook_networks : str
        Networks that webhooks may reach in addition to public addresses, separated by commas.
    smtp_url, smtp_from : str, optional
        Mail server that sends alarms by e-mail, such as smtp://user:password@mail.example.org:587
        (TLS by STARTTLS) or smtps://, and the sender's address.
    apprise_config : Path, optional
        Path of Apprise's configuration file; its tags are channels for alarms, such as Matrix or
        Teams (extra `notify`).
    grafana_url : str, optional
        Address of Grafana. A device's page in the console then links to its board.
    console_map : Path, optional
        GeoJSON of a city's districts (polygons), water (lines) and places (points, with `name`
        and `names` by language), drawn below the console's maps.
    console_simulated : bool
        Whether each page of the console states that its meters are simulated; `tonne demo` sets it.
    large_packs : bool
        Whether evidence packs above the usual size limits are read; only for packs of a known
        source.
    require_accepted_factors : bool
        Whether to reject the submission of a statement with an unverified default factor that its
        project does not list in `accept_factors`.
    dead_letter_days : int
        Days for which dead letters (rejected messages) are kept, at least 30; 0: no limit.
    webhook_event_days : int
        Days for which events for webhooks are kept, sent or not, at least 30; 0: no limit.
    clear_sky_days : int
        Days for which clear-sky energy is kept for boards, at least 60; 0: no limit.
    dead_letter_bytes_a_day : int
        Maximum size of the stored dead letters of one principal in a UTC day. The limit of all
        principals together is 100 times that. Further messages are only counted.
    principal_messages_a_minute, principal_bytes_a_minute : int
        Maximum number and size of the messages of one principal (device or gateway) per minute; 0:
        no limit.
    broker_queue_messages, broker_queue_bytes : int
        Maximum queue of mosquitto for a disconnected client. `tonne broker config` writes these
        limits, and `tonne watch` compares the queue with them.
    database_disk : Path, optional
        A folder on the database's disk, if this machine can see it; tonne then monitors its free
        space.
    timestamp_urls : str, optional
        Time-stamp authorities (RFC 3161) from which tonne requests tokens, separated by commas.
    timestamp_authorities : Path, optional
        Trusted time-stamp authorities: JSON, or certificates in PEM. A pinned trust root may
        contain them instead.
    timestamp_required : bool
        Whether an issue waits until the required number of authorities have stamped the statement.
    archive_url : str, optional
        Location to which `tonne archive` moves sealed days: an absolute path, or an s3:// URL. On
        another machine, the path at which it finds the same archive.
    archive_days : int
        Days for which readings stay in the database before they are archived.

    Raises
    ------
    SettingsError
        For an unknown, contradictory or malformed setting.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    database_url: str | None = Field(default=None, repr=False)
    mqtt_url: str | None = Field(default=None, repr=False)
    kafka_url: str | None = Field(default=None, repr=False)
    key_passphrase: str | None = Field(default=None, repr=False)
    pkcs11_pin: str | None = Field(default=None, repr=False)
    api_token: str | None = Field(default=None, repr=False)
    mqtt_ca_file: Path | None = None
    mqtt_cert_file: Path | None = None
    mqtt_key_file: Path | None = None
    kafka_ca_file: Path | None = None
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = None
    kafka_sasl_mechanism: str | None = None
    kafka_token_url: str | None = None
    api_bind: str = "127.0.0.1:8080"
    metrics_bind: str = METRICS_BIND
    sparkplug_host_id: str | None = None
    sparkplug_reorder_s: float = Field(default=5.0, ge=0.1, le=300)
    sparkplug_rebirth_s: float = Field(default=30.0, ge=1, le=3600)
    home: Path = Path(".tonne")
    trust_root: Path | None = None
    api_rate_per_s: float = Field(default=1_000, gt=0, le=1_000_000)
    api_files_bytes: int = Field(default=FILES_BYTES, ge=10_000_000)
    trusted_proxies: str = "127.0.0.1,::1"
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_jwks_url: str | None = None
    witness_policy: Path | None = None
    witness_away: Literal["proceed", "wait"] = "proceed"
    witness_wait_s: float = Field(default=10, ge=0.1, le=120)
    witness_bind: str = "127.0.0.1:7380"
    witness_rate_per_s: float = Field(default=50, gt=0, le=1_000_000)
    sensorthings_public: str = ""
    webhook_networks: str = ""
    smtp_url: str | None = Field(default=None, repr=False)
    smtp_from: str | None = None
    apprise_config: Path | None = None
    grafana_url: str | None = None
    console_map: Path | None = None
    console_simulated: bool = False
    large_packs: bool = False
    require_accepted_factors: bool = False
    dead_letter_days: int = Field(default=90, ge=0)
    webhook_event_days: int = Field(default=90, ge=0)
    clear_sky_days: int = Field(default=400, ge=0)
    dead_letter_bytes_a_day: int = Field(default=20_000_000, ge=10_000)
    principal_messages_a_minute: int = Field(default=60_000, ge=0)
    principal_bytes_a_minute: int = Field(default=60_000_000, ge=0)
    broker_queue_messages: int = Field(default=QUEUE_MESSAGES, ge=1_000)
    broker_queue_bytes: int = Field(default=QUEUE_BYTES, ge=1_000_000)
    database_disk: Path | None = None
    timestamp_urls: str | None = None
    timestamp_authorities: Path | None = None
    timestamp_required: bool = False
    archive_url: str | None = None
    archive_days: int = Field(default=90, ge=7)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(_sentence(error)) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of settings by precedence: arguments, then the environment."""
        del env_settings, dotenv_settings, file_secret_settings
        return init_settings, _EnvironmentSource(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _fall_back_to_local(cls, values: dict[str, Any]) -> dict[str, Any]:
        given = {field for field in SECRETS if values.get(field)}
        if {"database_url", "mqtt_url"} <= given:
            return values
        home = Path(values.get("home") or cls.model_fields["home"].default)
        local = local_urls(home)
        if "mqtt_url" in given:
            # with another broker configured, the local identity does not apply
            local = {field: value for field, value in local.items() if field not in TLS_FILES}
        return local | {
            field: value for field, value in values.items() if value != "" or field not in SECRETS
        }

    _scheme = field_validator(*SECRETS)(environment.check_server)
    _bindable = field_validator("api_bind", "metrics_bind", "witness_bind")(environment.check_bind)
    _networks = field_validator("trusted_proxies", "webhook_networks")(environment.check_networks)
    _classes = field_validator("sensorthings_public")(environment.check_device_classes)
    _one_level = field_validator("sparkplug_host_id")(environment.check_topic_level)
    _long_enough = field_validator(*environment.LEAST_DAYS)(environment.check_kept_days)
    _quotas = field_validator("principal_messages_a_minute", "principal_bytes_a_minute")(
        environment.check_quota
    )
    _page = field_validator("grafana_url")(environment.check_page)
    _mail = field_validator("smtp_url")(environment.check_mail_server)
    _authorities = field_validator("timestamp_urls")(environment.check_authorities)
    _folder = field_validator("home", mode="before")(environment.check_folder)

    @model_validator(mode="after")
    def _has_witness(self) -> "Settings":
        if self.witness_away == "wait" and self.witness_policy is None:
            raise ValueError(
                "TONNE_WITNESS_AWAY is wait, and TONNE_WITNESS_POLICY names no witness to wait "
                "for; name one, or set TONNE_WITNESS_AWAY=proceed"
            )
        return self

    @model_validator(mode="after")
    def _mail_whole(self) -> "Settings":
        if (self.smtp_url is None) != (self.smtp_from is None):
            raise ValueError("set TONNE_SMTP_URL and TONNE_SMTP_FROM together")
        return self

    @model_validator(mode="after")
    def _oidc_whole(self) -> "Settings":
        given = [self.oidc_issuer, self.oidc_audience, self.oidc_jwks_url]
        if any(given) and not all(given):
            raise ValueError(
                "set TONNE_OIDC_ISSUER, TONNE_OIDC_AUDIENCE and TONNE_OIDC_JWKS_URL together"
            )
        return self

    @model_validator(mode="after")
    def _tls_whole(self) -> "Settings":
        if (self.mqtt_cert_file is None) != (self.mqtt_key_file is None):
            raise ValueError("set TONNE_MQTT_CERT_FILE and TONNE_MQTT_KEY_FILE together")
        missing_files = [name for name in TLS_FILES if getattr(self, name) is not None]
        if (
            missing_files
            and self.mqtt_url is not None
            and parts_of(self.mqtt_url).scheme != "mqtts"
        ):
            raise ValueError(
                f"{PREFIX}{missing_files[0].upper()} is for TLS, but {PREFIX}MQTT_URL begins with mqtt://;"
                " write mqtts://, or remove the TLS files"
            )
        return self

    @model_validator(mode="after")
    def _kafka_whole(self) -> "Settings":
        if (self.kafka_cert_file is None) != (self.kafka_key_file is None):
            raise ValueError("set TONNE_KAFKA_CERT_FILE and TONNE_KAFKA_KEY_FILE together")
        access = None if self.kafka_url is None else KafkaAccess.of(self.kafka_url)
        missing_files = [name for name in KAFKA_FILES if getattr(self, name) is not None]
        if missing_files and access is not None and not access.secure:
            raise ValueError(
                f"{PREFIX}{missing_files[0].upper()} is for TLS, but {PREFIX}KAFKA_URL begins with kafka://;"
                " write kafkas://, or remove the TLS files"
            )
        self._check_mechanism(access)
        return self

    def _check_mechanism(self, access: KafkaAccess | None) -> None:
        mechanism = self.kafka_sasl_mechanism
        if mechanism is not None and mechanism not in environment.MECHANISMS:
            raise ValueError(
                f"TONNE_KAFKA_SASL_MECHANISM {mechanism!r} must be one of "
                f"{', '.join(environment.MECHANISMS)}"
            )
        if mechanism is not None and access is not None and access.user is None:
            raise ValueError(
                "TONNE_KAFKA_SASL_MECHANISM is for a user, but TONNE_KAFKA_URL names none; write"
                " kafkas://user:password@host:port"
            )
        if (mechanism == environment.TOKEN) != (self.kafka_token_url is not None):
            raise ValueError(
                "set TONNE_KAFKA_SASL_MECHANISM=OAUTHBEARER and TONNE_KAFKA_TOKEN_URL together"
            )
        if self.kafka_token_url is not None and not self.kafka_token_url.startswith("https://"):
            raise ValueError(
                "TONNE_KAFKA_TOKEN_URL must begin with https://, since a secret is sent there"
            )

    @model_validator(mode="after")
    def _timestamps_whole(self) -> "Settings":
        if self.timestamp_urls is not None:
            return self
        for name in ("timestamp_authorities", "timestamp_required"):
            if getattr(self, name):
                raise ValueError(
                    f"{PREFIX}{name.upper()} has no effect without {PREFIX}TIMESTAMP_URLS; set both"
                )
        return self

    @model_validator(mode="after")
    def _not_twice(self) -> "Settings":
        if self.metrics_bind and self.metrics_bind == self.api_bind:
            raise ValueError(
                f"TONNE_API_BIND and TONNE_METRICS_BIND are both {self.api_bind}; change one"
            )
        return self

    @property
    def key_passphrase_bytes(self) -> bytes:
        """Return the passphrase of signing keys; empty without one."""
        return (self.key_passphrase or "").encode()

    @property
    def mqtt_tls(self) -> Tls:
        """Return trusted authority and identity for a TLS broker."""
        return Tls(self.mqtt_ca_file, self.mqtt_cert_file, self.mqtt_key_file)

    def require_kafka(self) -> KafkaAccess:
        """
        Return Kafka's brokers and credentials.

        Raises SettingsError when neither the environment nor local servers name them.
        """
        tls = Tls(self.kafka_ca_file, self.kafka_cert_file, self.kafka_key_file, "KAFKA")
        return KafkaAccess.of(
            self.require("kafka_url"), tls, self.kafka_sasl_mechanism, self.kafka_token_url
        )

    def require(self, field: str) -> str:
        """
        Return a server's URL.

        Raises SettingsError when neither the environment nor local servers name it; states the
        setting.
        """
        url: str | None = getattr(self, field)
        if url is None:
            option = " --kafka" if field == "kafka_url" else ""
            raise SettingsError(
                f"{PREFIX}{field.upper()} is not set and no local server is up in {self.home}; "
                f"set it, or run `tonne local up{option}`"
            )
        return url


def _sentence(error: ValidationError) -> str:
    """Return pydantic's errors as a sentence with the names of settings."""
    parts = []
    for detail in error.errors(include_url=False, include_input=False):
        where = "".join(f"{PREFIX}{str(key).upper()} " for key in detail["loc"])
        parts.append(where + detail["msg"].removeprefix("Value error, "))
    return "; ".join(parts)
