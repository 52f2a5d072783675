"""
Kafka brokers and credentials, from a `kafka://` or `kafkas://` URL and its settings.

It needs no Kafka client, so it can be used without the extra `kafka`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import unquote

from ingest.addresses import host_and_port, parts_of
from ingest.mqtt.tls import Tls

PLAIN, SECURE = "kafka", "kafkas"
SCHEMES = (PLAIN, SECURE)
SCRAM_512, SCRAM_256, PASSWORD, TOKEN = "SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER"
MECHANISMS = (SCRAM_512, SCRAM_256, PASSWORD, TOKEN)
_PORTS = {PLAIN: 9_092, SECURE: 9_093}


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """
    Bootstrap brokers, and the security of connections to them.

    Attributes
    ----------
    servers : tuple of (str, int)
        Host and port of each named broker.
    secure : bool
        Whether TLS is used.
    tls : Tls
        Trusted authorities, and own certificate.
    user, password : str, optional
        SASL credentials; with OAUTHBEARER the client's id and secret.
    mechanism : str
        One of `MECHANISMS`; has no effect without a user.
    token_url : str, optional
        Token endpoint for OAUTHBEARER.
    """

    servers: tuple[tuple[str, int], ...]
    secure: bool = False
    tls: Tls = field(default_factory=Tls)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: str = SCRAM_512
    token_url: str | None = None

    @classmethod
    def of(
        cls,
        url: str,
        tls: Tls | None = None,
        mechanism: str | None = None,
        token_url: str | None = None,
    ) -> KafkaAccess:
        """
        Return the access data of a URL.

        Raises
        ------
        ValueError
            For another form; the text never contains a password.
        """
        parts = parts_of(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(
                f"begins with {parts.scheme!r}; it must be a kafka:// or kafkas:// URL"
            )
        secure = parts.scheme == SECURE
        user, password = _login(parts.login, secure=secure)
        if parts.rest.strip("/"):
            raise ValueError(
                f"contains more than hosts; write {parts.scheme}://host:port,host:port"
            )
        hosts = [host_and_port(host) for host in parts.hosts]
        usual = _PORTS[parts.scheme]
        servers = tuple((host, usual if port is None else port) for host, port in hosts)
        return cls(
            servers,
            secure,
            tls or Tls(server="KAFKA"),
            user,
            password,
            mechanism or SCRAM_512,
            token_url,
        )

    @property
    def bootstrap(self) -> list[str]:
        """Return `host:port` of each named broker."""
        return [
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.servers
        ]

    @property
    def protocol(self) -> str:
        """Return Kafka's name of the security protocol."""
        return ("SASL_" if self.user is not None else "") + ("SSL" if self.secure else "PLAINTEXT")

    def context(self) -> ssl.SSLContext | None:
        """
        Return a client's context that checks the broker's name; None without TLS.

        Raises
        ------
        InputError
            Naming the file that cannot be used.
        """
        return self.tls.context() if self.secure else None


def _login(login: str | None, *, secure: bool) -> tuple[str | None, str | None]:
    if login is None:
        return None, None
    if not secure:
        raise ValueError(
            "names a user, whose password would be sent in plain text; write kafkas://, or leave "
            "the user out"
        )
    user, colon, password = login.partition(":")
    if not user or not colon or not password:
        raise ValueError("names a user without a password; write kafkas://user:password@host:port")
    return unquote(user), unquote(password)
