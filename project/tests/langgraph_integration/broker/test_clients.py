"""From our settings to the client's arguments."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from langgraph_integration.broker.clients import connection_arguments, ssl_context
from workflow_events.settings import KafkaSettings


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A self-signed certificate and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=kafka"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return str(cert), str(key)


def test_a_plain_connection_needs_its_servers_only() -> None:
    """Nothing of TLS or SASL is passed."""
    assert connection_arguments(KafkaSettings(bootstrap_servers="a:1,b:2")) == {
        "bootstrap_servers": "a:1,b:2",
        "security_protocol": "PLAINTEXT",
    }


def test_sasl_is_passed_on() -> None:
    """Mechanism, name and password."""
    settings = KafkaSettings(
        bootstrap_servers="a:1",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="me",
        sasl_password="hush",
    )
    arguments = connection_arguments(settings)

    assert arguments["security_protocol"] == "SASL_PLAINTEXT"
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("me", "hush")
    assert "ssl_context" not in arguments


def test_tls_checks_hosts_and_refuses_old_versions(certificate: tuple[str, str]) -> None:
    """With an authority and a certificate of one's own."""
    cert, key = certificate
    settings = KafkaSettings(
        bootstrap_servers="a:1",
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="me",
        sasl_password="hush",
        ssl_cafile=cert,
        ssl_certfile=cert,
        ssl_keyfile=key,
    )
    context = connection_arguments(settings)["ssl_context"]

    assert isinstance(context, ssl.SSLContext)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1


def test_host_names_go_unchecked_only_on_demand() -> None:
    """For clusters behind an address that their certificate does not name."""
    settings = KafkaSettings(bootstrap_servers="a:1", security_protocol="SSL", ssl_check_hostname=False)

    assert not ssl_context(settings).check_hostname
    assert ssl_context(settings).verify_mode is ssl.CERT_REQUIRED
