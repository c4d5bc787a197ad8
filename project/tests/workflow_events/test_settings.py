"""Connection settings and topics from arguments and environment."""

import pytest

from workflow_events.errors import ConfigurationError
from workflow_events.settings import EventDefaults, KafkaSettings, TopicNames


def test_an_argument_wins_over_the_environment_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the environment is read when the object is made."""
    assert KafkaSettings.from_env().bootstrap_servers == "localhost:9092"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "one:9092, two:9092,")
    assert KafkaSettings.from_env().bootstrap_servers == "one:9092,two:9092"
    assert KafkaSettings.from_env("mine:1").bootstrap_servers == "mine:1"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "  ")
    assert KafkaSettings.from_env().bootstrap_servers == "localhost:9092"


def test_topics_have_a_variable_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the guide's names without one."""
    assert TopicNames.from_env() == TopicNames("workflow-events", "workflow-results", "workflow-events-dlq")
    monkeypatch.setenv("KAFKA_WORKFLOW_EVENTS_TOPIC", "e")
    monkeypatch.setenv("KAFKA_WORKFLOW_RESULTS_TOPIC", "r")
    monkeypatch.setenv("KAFKA_DLQ_TOPIC", "d")
    assert TopicNames.from_env() == TopicNames("e", "r", "d")
    assert TopicNames.from_env(results="mine") == TopicNames("e", "mine", "d")


def test_secured_settings_reach_the_client_under_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """SASL and TLS, all of it."""
    for name, value in {
        "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "KAFKA_SASL_MECHANISM": "scram-sha-512",
        "KAFKA_SASL_USERNAME": "ann",
        "KAFKA_SASL_PASSWORD": "s3cret",
        "KAFKA_SSL_CAFILE": "/ca.pem",
        "KAFKA_SSL_CERTFILE": "/cert.pem",
        "KAFKA_SSL_KEYFILE": "/key.pem",
        "KAFKA_SSL_PASSWORD": "k3y",
        "KAFKA_SSL_CHECK_HOSTNAME": "false",
    }.items():
        monkeypatch.setenv(name, value)

    settings = KafkaSettings.from_env("broker:9093")

    assert settings.librdkafka() == {
        "bootstrap.servers": "broker:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": "s3cret",
        "ssl.ca.location": "/ca.pem",
        "ssl.certificate.location": "/cert.pem",
        "ssl.key.location": "/key.pem",
        "ssl.key.password": "k3y",
        "ssl.endpoint.identification.algorithm": "none",
    }
    assert "s3cret" not in repr(settings)
    assert "k3y" not in repr(settings)


def test_plain_settings_hand_on_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that lies around is not sent to a broker that does not ask for it."""
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "s3cret")
    monkeypatch.setenv("KAFKA_SSL_CAFILE", "/ca.pem")

    assert KafkaSettings.from_env().librdkafka() == {
        "bootstrap.servers": "localhost:9092",
        "security.protocol": "PLAINTEXT",
    }


def test_the_clients_own_options_come_last_and_are_hidden() -> None:
    """An Airflow connection's, with secrets of any name."""
    settings = KafkaSettings(
        "b:1", "SASL_SSL", client_options={"sasl.mechanisms": "OAUTHBEARER", "x": "s3cret"}
    )

    assert settings.librdkafka()["sasl.mechanisms"] == "OAUTHBEARER"
    assert settings.uses_sasl
    assert settings.uses_tls
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_USERNAME"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "MD5"}, "KAFKA_SASL_MECHANISM"),
        ({"KAFKA_SSL_CERTFILE": "/cert.pem"}, "KAFKA_SSL_KEYFILE"),
        ({"KAFKA_SSL_CHECK_HOSTNAME": "perhaps"}, "KAFKA_SSL_CHECK_HOSTNAME"),
        ({"KAFKA_BOOTSTRAP_SERVERS": " , "}, "KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_a_value_that_cannot_be_used_names_its_variable(
    variables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever set it knows where to look."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=named):
        KafkaSettings.from_env()


def test_an_empty_argument_is_refused() -> None:
    """It is a mistake and not a wish for the default."""
    with pytest.raises(ConfigurationError, match="KAFKA_DLQ_TOPIC"):
        TopicNames.from_env(dead_letters=" ")


def test_metadata_of_events_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """From ENVIRONMENT and EVENT_SCHEMA_VERSION."""
    assert EventDefaults.from_env() == EventDefaults("dev", "1.0")
    monkeypatch.setenv("ENVIRONMENT", "prod")
    monkeypatch.setenv("EVENT_SCHEMA_VERSION", "1.3")
    assert EventDefaults.from_env().metadata().model_dump() == {"environment": "prod", "version": "1.3"}
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(ConfigurationError, match="ENVIRONMENT"):
        EventDefaults.from_env()
