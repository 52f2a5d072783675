"""Devices that fetch their certificates themselves: by curl and OpenSSL, and by the gateway."""

import base64
import json
import re
import socket
import ssl
import stat
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from structlog import get_logger

from ingest.errors import InputError, ServerError
from mrv.errors import EnrolmentError
from services import est
from services.edge import identity
from services.est import Desk, Server
from services.identity.principals import IdentityFolder
from services.store.postgres.pool import connect
from tests.invoked import tonne as invoke
from tests.services.test_credentials import tonne  # noqa: F401 - a fixture

ROOT = "/.well-known/est"


@contextmanager
def serving(tonne, url, days=90):  # noqa: F811
    """Serve devices; return the address and the folder of the authority."""
    folder = IdentityFolder(tonne.home / "identity")
    told = []
    desk = Desk(url, folder, days, get_logger("test"), lambda: told.append(1))
    server = Server(("127.0.0.1", 0), folder.ensure_server(["localhost"], "est"), desk)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}", folder.path / "ca.crt", told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def token_of(tonne, *names):  # noqa: F811
    return json.loads(tonne("registry", "enrol-token", "--json", *names))


def openssl(folder, *words):
    done = subprocess.run(
        ["openssl", *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def curl(folder, url, *words):
    """Request as a device's shell does; return the status, and the body in a file."""
    done = subprocess.run(
        ["curl", "-sS", "-o", "answer.p7", "-w", "%{http_code} %{content_type}",
         *map(str, words), url],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else done.stderr


def make_request(folder, name, key="client.key"):
    openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    openssl(folder, "req", "-new", "-key", key, "-subj", f"/CN={name}", "-outform", "DER",
            "-out", "request.der")  # fmt: skip
    openssl(folder, "base64", "-in", "request.der", "-out", "request.b64")


def certificate(folder, out="client.crt"):
    """Extract the certificate from an answer, by OpenSSL."""
    openssl(folder, "base64", "-d", "-in", "answer.p7", "-out", "answer.der")
    openssl(folder, "pkcs7", "-inform", "DER", "-in", "answer.der", "-print_certs", "-out", out)
    return folder / out


POST = ("-H", "Content-Type: application/pkcs10", "--data-binary", "@request.b64")


def test_a_device_enrols_by_curl_and_openssl_and_renews(tonne, database_url, tmp_path):  # noqa: F811
    """A device enrols with standard tools and renews its certificate."""
    tonne.register("inv-1", "inv-2")
    (made,) = token_of(tonne, "inv-1")
    with serving(tonne, database_url) as (url, ca, told):
        trust = ("--cacert", ca)
        assert curl(tmp_path, f"{url}{ROOT}/cacerts", *trust).startswith("200 application/pkcs7")
        assert certificate(tmp_path, "own.crt").read_text().count("BEGIN CERTIFICATE") == 1
        digest = openssl(tmp_path, "x509", "-in", "own.crt", "-noout", "-fingerprint", "-sha256")
        assert digest.split("=")[1].strip().replace(":", "").lower() == made["ca_sha256"]
        make_request(tmp_path, "inv-1")
        basic = ("-u", f"inv-1:{made['token']}")
        enrol, renew = f"{url}{ROOT}/simpleenroll", f"{url}{ROOT}/simplereenroll"
        for wrong in ((), ("-u", "inv-1:guessed"), ("-u", f"inv-2:{made['token']}")):
            assert curl(tmp_path, enrol, *trust, *POST, *wrong).startswith("401")
        assert curl(tmp_path, enrol, *trust, *POST, *basic).startswith("200 application/pkcs7-mime")
        first = certificate(tmp_path).read_bytes()
        openssl(tmp_path, "verify", "-CAfile", ca, "-purpose", "sslclient", "client.crt")
        held = x509.load_pem_x509_certificate(first)
        assert held.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=90)
        # an answer that was lost is given again, to the same key and to no other
        assert curl(tmp_path, enrol, *trust, *POST, *basic).startswith("200")
        assert certificate(tmp_path, "again.crt").read_bytes() == first
        make_request(tmp_path, "inv-1", "other.key")
        assert curl(tmp_path, enrol, *trust, *POST, *basic).startswith("401")
        assert told
        # the next one on the strength of this one, to a fresh key
        shown = ("--cert", "client.crt", "--key", "client.key")
        assert curl(tmp_path, renew, *trust, *POST).startswith("401")
        assert curl(tmp_path, renew, *trust, *POST, *shown).startswith("200")
        certificate(tmp_path, "next.crt")
        shown = ("--cert", "next.crt", "--key", "other.key")
        make_request(tmp_path, "inv-2", "third.key")  # for somebody else it does not
        assert curl(tmp_path, renew, *trust, *POST, *shown).startswith("401")
        tonne("registry", "revoke-credentials", "inv-1", "--reason", "stolen", "--no-apply")
        make_request(tmp_path, "inv-1", "fourth.key")
        assert curl(tmp_path, renew, *trust, *POST, *shown).startswith("401")
    rows = json.loads(tonne("registry", "credentials", "inv-1", "--json"))
    assert [row["reason"] for row in rows] == ["stolen", "stolen"]
    # neither tokens nor keys are on the server
    with connect(database_url) as conn:
        stored = str(conn.execute("SELECT * FROM enrolment_token").fetchall())
    assert made["token"] not in stored
    assert not list((tonne.home / "identity").rglob("client.key"))


def test_a_gateway_enrols_and_renews_by_itself(tonne, database_url, tmp_path):  # noqa: F811
    """A gateway enrols and renews with a key made on the device."""
    tonne.register("gw-1")
    (made,) = token_of(tonne, "gw-1")
    folder, file = tmp_path / "gw-1", tmp_path / "edge.yaml"
    with serving(tonne, database_url, days=3) as (url, _, _):
        file.write_text(
            f"gateway: gw-1\nbroker: mqtts://localhost:1\nidentity: {folder}\nenrolment: {url}\n"
            f"sources: [{{kind: mqtt, url: 'mqtt://127.0.0.1:1', topics: ['a/{{device}}']}}]\n"
        )
        enrol = ["edge", str(file), "--enrol"]

        def run(*more, typed):
            return invoke(*enrol, *more, input=f"{typed}\n")

        told = run(typed=made["token"])
        assert (told.exit_code, "--ca-sha256" in told.output) == (2, True)
        wrong = run("--ca-sha256", "0" * 64, typed=made["token"])
        assert (wrong.exit_code, "another certificate authority" in wrong.output) == (2, True)
        assert not (folder / "ca.crt").exists()
        done = run("--ca-sha256", made["ca_sha256"], typed=made["token"])
        assert done.exit_code == 0, done.output
        assert re.search(r"certificate of gw-1 until \d{4}-", done.output)
        assert made["token"] not in done.output
        assert stat.S_IMODE((folder / "client.key").stat().st_mode) == 0o600
        first = (folder / "client.crt").read_bytes()
        now = datetime.now(UTC)
        assert not identity.due(folder, now + timedelta(days=1))
        assert identity.due(folder, now + timedelta(days=1, hours=9))
        renewed = []
        renewal = identity.Renewal(
            folder, url, "gw-1", lambda: renewed.append(1), threading.Event(), get_logger("test")
        )
        renewal.once()
        assert (folder / "client.crt").read_bytes() == first
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(identity, "due", lambda *_: True)
            renewal.once()
        assert renewed == [1]
        assert (folder / "client.crt").read_bytes() != first
        context = ssl.create_default_context(cafile=folder / "ca.crt")
        context.load_cert_chain(folder / "client.crt", folder / "client.key")  # they fit
        # power that fails between the two files is made up for at the next start
        identity.renew(folder, url, "gw-1")
        for name in ("client.key", "client.crt"):
            (folder / f"{name}.next").write_bytes((folder / name).read_bytes())
        (folder / "client.crt").write_bytes(first)
        (folder / "client.key.next").unlink()
        identity.settle(folder)
        context.load_cert_chain(folder / "client.crt", folder / "client.key")
    with pytest.raises(ServerError, match="did not issue a certificate"):
        identity.renew(folder, url, "gw-1")


def test_what_is_no_proper_request_is_refused(tonne, database_url, tmp_path, monkeypatch):  # noqa: F811
    """Invalid enrolment requests are rejected, and idle connections are closed."""
    tonne.register("inv-1", {"id": "behind", "more": ", gateway: inv-1"})
    (made,) = token_of(tonne, "inv-1")
    assert "behind" in tonne("registry", "enrol-token", "behind", code=2)
    assert "not registered" in tonne("registry", "enrol-token", "nobody", code=2)
    desk = Desk(database_url, IdentityFolder(tonne.home / "identity"), 90, get_logger("t"), list)
    bearer = f"Bearer {made['token']}"

    def post(body, authorization=bearer, what="simpleenroll"):
        return desk.answer("POST", f"{ROOT}/{what}", authorization, body, None)

    openssl(tmp_path, "req", "-new", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=inv-1",
            "-outform", "DER", "-keyout", "weak.key", "-out", "weak.der")  # fmt: skip
    openssl(tmp_path, "base64", "-in", "weak.der", "-out", "weak.b64")
    make_request(tmp_path, "inv-1")
    good = (tmp_path / "request.b64").read_bytes()
    der = bytearray((tmp_path / "request.der").read_bytes())
    der[-1] ^= 1  # its signature
    for body, status in (
        (b"", 400),
        (b"???", 400),
        (b"AAAA", 400),
        ((tmp_path / "weak.b64").read_bytes(), 400),
        (base64.b64encode(der), 400),
    ):
        assert post(body).status == status, body
    for authorization in ("", "Basic", "Basic !!", "Bearer ", "Digest x", "Bearer guessed"):
        assert post(good, authorization).status in {400, 401}, authorization
    assert desk.answer("GET", f"{ROOT}/simpleenroll", "", b"", None).status == 404
    assert desk.answer("GET", f"{ROOT}/csrattrs", "", b"", None).status == 204
    with connect(database_url, role="tonne_enrol", autocommit=True) as conn:
        wanted = est.read_request((tmp_path / "request.der").read_bytes())
        for what, error in (({"named": "inv-2"}, EnrolmentError),):
            with pytest.raises(error, match="another device"):
                est.enrol(conn, desk.folder, made["token"], wanted, **what)
        old = est.make_tokens(conn, ["inv-1"], 1e-4, "test")[0][1]
        time.sleep(0.4)
        with pytest.raises(EnrolmentError, match="expired"):
            est.enrol(conn, desk.folder, old, wanted)
    openssl(tmp_path, "req", "-new", "-key", "client.key", "-subj", "/O=nobody",
            "-outform", "DER", "-out", "nobody.der")  # fmt: skip
    with pytest.raises(InputError, match="common names"):
        est.read_request((tmp_path / "nobody.der").read_bytes())
    assert post(good).status == 200
    away = Desk("postgresql://127.0.0.1:1/none", desk.folder, 90, get_logger("t"), list)
    assert away.answer("POST", f"{ROOT}/simpleenroll", bearer, good, None).status == 503
    # who says nothing, or speaks no TLS, holds nobody up, and one address not every place
    with serving(tonne, database_url) as (url, ca, _):
        port = int(url.rsplit(":", 1)[1])
        with monkeypatch.context() as short:
            short.setattr(est, "_SILENT_S", 0.2)
            at = ("127.0.0.1", port)
            silent = [socket.create_connection(at) for _ in range(est._PER_ADDRESS)]
            silent[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
            for one in silent:
                one.settimeout(60)
                with suppress(ConnectionResetError):
                    while one.recv(100):
                        pass
                one.close()
        assert curl(tmp_path, f"{url}{ROOT}/cacerts", "--cacert", ca).startswith("200")
        body = ("-H", "Content-Length: 99999", "--data-binary", "@request.b64")
        assert curl(tmp_path, f"{url}{ROOT}/simpleenroll", "--cacert", ca, *body).startswith("413")
