"""The proxy before the API: nginx accepts its configuration, which agrees with the API."""

import ipaddress
import re
import shutil
import subprocess

import jsonschema_rs
import pytest

from services.api import connections, server
from tests.deploy.files import DEPLOY, PINNED, read, unknown_settings
from tests.deploy.test_compose import SCHEMA

CONFIG = DEPLOY / "proxy/nginx.conf"
(COMPOSE,) = read(DEPLOY / "compose.proxy.yaml")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def test_the_specification_knows_every_key():
    """A misspelt key would be refused, or worse ignored, on the operator's machine."""
    validator = jsonschema_rs.validator_for(SCHEMA)
    assert [f"{e.instance_path}: {e.message}" for e in validator.iter_errors(COMPOSE)] == []
    assert PINNED.match(COMPOSE["services"]["proxy"]["image"])
    assert unknown_settings(COMPOSE["services"]["api"]["environment"]) == set()


def test_the_api_believes_this_proxy_and_nobody_else():
    """A caller could choose the address for its rate limit, or get a cookie sent unencrypted."""
    api, proxy = COMPOSE["services"]["api"], COMPOSE["services"]["proxy"]
    trusted = connections.networks(api["environment"]["TONNE_TRUSTED_PROXIES"])
    address = ipaddress.ip_address(proxy["networks"]["front"]["ipv4_address"])
    assert trusted == [ipaddress.ip_network(address)]
    (front,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    assert address in ipaddress.ip_network(front["subnet"])
    text = CONFIG.read_text()
    for said in ("X-Forwarded-For $remote_addr", "X-Forwarded-Proto https"):
        assert f"proxy_set_header {said};" in text


def test_its_limits_are_within_those_of_the_api():
    """
    What the proxy lets through and the API refuses would be a riddle to
    anyone who reads both.
    """
    text = CONFIG.read_text()

    def said(pattern):
        return int(re.search(pattern, text)[1])

    assert said(r"large_client_header_buffers 4 (\d+)k") * 1024 == connections.LINE_BYTES
    assert said(r"client_max_body_size (\d+)m") * 2**20 == server.LARGEST_UPLOAD
    assert said(r"client_header_timeout (\d+)s") == connections.HEAD_S
    assert said(r"client_body_timeout (\d+)s") == server.BODY_S
    assert said(r"limit_conn connections (\d+)") <= connections.MAX_PER_ADDRESS


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_takes_the_configuration(tmp_path):
    """The proxy would not start, and no one could read."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=localhost", "-keyout", tmp_path / "tls.key",
         "-out", tmp_path / "tls.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    text = CONFIG.read_text().replace("/etc/nginx/tls", str(tmp_path))
    text = text.replace("/tmp/", f"{tmp_path}/")  # noqa: S108 - where its own image may write
    text = text.replace("server api:8080", "server 127.0.0.1:1")
    file = tmp_path / "nginx.conf"
    file.write_text(text.replace("/dev/stdout", str(tmp_path / "access.log")))
    done = subprocess.run(
        [NGINX, "-t", "-q", "-e", tmp_path / "error.log", "-p", tmp_path, "-c", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
