"""From our settings to aiokafka's arguments: the one place that knows both vocabularies."""

import ssl
from typing import Any

from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from workflow_events.settings import KafkaSettings


def connection_arguments(settings: KafkaSettings) -> dict[str, Any]:
    """What every aiokafka client of ours is given to connect."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol in ("SSL", "SASL_SSL"):
        arguments["ssl_context"] = ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        arguments["sasl_plain_username"] = settings.sasl_username
        arguments["sasl_plain_password"] = settings.sasl_password
    return arguments


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    """TLS 1.2 or later with host names checked, unless `ssl_check_hostname` is off."""
    context = ssl.create_default_context(cafile=settings.ssl_cafile)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = settings.ssl_check_hostname
    if settings.ssl_certfile:
        context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, settings.ssl_password)
    return context


def consumer_arguments(
    settings: KafkaSettings,
    *,
    group_id: str,
    session_timeout_ms: int,
    heartbeat_interval_ms: int,
    rebalance_timeout_ms: int,
    group_instance_id: str | None,
) -> dict[str, Any]:
    """A group member that never commits, resets or decodes on its own."""
    return {
        **connection_arguments(settings),
        "group_id": group_id,
        "group_instance_id": group_instance_id,
        # we commit, after the outcome is durable; with auto-commit on, stop() hangs while the broker is down
        "enable_auto_commit": False,
        # an offset out of range must stop us, not jump
        "auto_offset_reset": "none",
        "session_timeout_ms": session_timeout_ms,
        "heartbeat_interval_ms": heartbeat_interval_ms,
        "rebalance_timeout_ms": rebalance_timeout_ms,
        # exactly one assignor: aiokafka sends one JoinGroup for each
        "partition_assignment_strategy": (StickyPartitionAssignor,),
        "metadata_max_age_ms": 30_000,
        "fetch_max_wait_ms": 200,
    }
