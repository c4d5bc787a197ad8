"""A broker that asks who comes, for tests of logins and rights."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from kafka_devbroker import running_broker


@pytest.mark.apache
@pytest.mark.slow
def test_a_secured_broker_lets_in_who_knows_the_password() -> None:
    """Its other address is open as ever, and there the credentials are made."""
    with running_broker(secured=True) as broker:
        assert broker.secured_servers not in (None, broker.bootstrap_servers)
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
        wanted = UserScramCredentialUpsertion("ann", info, b"right")
        operator = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        for done in operator.alter_user_scram_credentials([wanted]).values():
            done.result(20)

        def client(password: str) -> AdminClient:
            login = {
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanisms": "SCRAM-SHA-256",
                "sasl.username": "ann",
                "sasl.password": password,
            }
            return AdminClient({"bootstrap.servers": broker.secured_servers or "", "log_level": 0, **login})

        assert len(client("right").list_topics(timeout=20).brokers) == 1
        with pytest.raises(KafkaException):
            client("wrong").list_topics(timeout=3)
