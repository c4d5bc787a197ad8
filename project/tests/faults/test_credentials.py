"""Rows 8 and 23 of the fault table: what the broker refuses, for want of a right or a password."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from kafka_devbroker import Broker, running_broker
from tests.faults.bench import QUICK_BROKER, Bench, Worker, held, run_of
from tests.support import wait_until_sync

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(150)]

_USER = "ann"
_PASSWORD = "correct-horse-battery"
_LOGIN_LASTS_MS = 3000
_ONCE = {"a": 1, "b": 1, "c": 1}


@pytest.fixture(scope="module")
def guarded_broker() -> Iterator[Broker]:
    """An Apache Kafka that asks for a password, and again every three seconds."""
    reauth = "listener.name.sasl_plaintext.scram-sha-256.connections.max.reauth.ms"
    properties = QUICK_BROKER | {reauth: str(_LOGIN_LASTS_MS)}
    with running_broker("apache", properties=properties, secured=True) as broker:
        yield broker


@pytest.fixture
def guarded(make_bench: Callable[..., Bench], guarded_broker: Broker) -> Bench:
    """A bench at which the worker logs in."""
    bench = make_bench(guarded_broker)
    _set_password(bench, _PASSWORD)
    return bench


def _worker(bench: Bench, **environment: str) -> Worker:
    assert bench.broker.secured_servers is not None
    return bench.worker(
        joined=True,
        http=True,
        KAFKA_BOOTSTRAP_SERVERS=bench.broker.secured_servers,
        KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        KAFKA_SASL_MECHANISM="SCRAM-SHA-256",
        KAFKA_SASL_USERNAME=_USER,
        KAFKA_SASL_PASSWORD=_PASSWORD,
        **environment,
    )


def test_row_08_a_result_that_the_broker_does_not_take(guarded: Bench) -> None:
    """No offset moves past it; it is sent when the broker takes it again."""
    asked = run_of()
    worker = _worker(guarded)
    with _denied(guarded, ResourceType.TOPIC, guarded.topics.results, AclOperation.WRITE):
        guarded.publish([asked])
        worker.wait_for("intake_paused", 60)
        assert guarded.committed() == 0

    assert guarded.verdict(asked.event_id, 60).status == "success"
    wait_until_sync(lambda: guarded.committed() == 1, 20, "the offset to be committed")
    assert guarded.runs_of(asked.event_id) == _ONCE
    assert len({answer.digest for answer in guarded.answers(1)}) == 1


def test_row_08_a_stop_hands_on_the_verdict_that_the_broker_did_not_take(guarded: Bench) -> None:
    """The next worker sends it at once: with a session of half a minute it does not wait for the lease."""
    asked = run_of()
    first = _worker(guarded, KAFKA_SESSION_TIMEOUT_MS="30000", WORKFLOW_SHUTDOWN_TIMEOUT="1")
    with _denied(guarded, ResourceType.TOPIC, guarded.topics.results, AclOperation.WRITE):
        guarded.publish([asked])
        first.wait_for("intake_paused", 60)
        assert guarded.rows("SELECT status, published FROM runs") == [("success", 0)]
        first.signal(signal.SIGTERM)
        # nobody knows whether the broker has it
        assert first.exit_code() == 1
    second = _worker(guarded, KAFKA_SESSION_TIMEOUT_MS="30000")

    assert guarded.verdict(asked.event_id, 15).status == "success"
    assert {step.pid for step in guarded.steps(asked.event_id)} == {first.pid}
    wait_until_sync(lambda: guarded.committed() == 1, 20, "the offset to be committed")
    assert second.life.code is None


def test_row_23_credentials_that_stop_working(guarded: Bench) -> None:
    """Intake pauses, nothing is lost and no node runs twice; it goes on when the password is right again."""
    before, during, after = ([run_of(b=1.0) for _ in range(5)] for _ in range(3))
    worker = _worker(guarded)
    guarded.publish(before)
    guarded.in_node(before[0].event_id, "b")
    with held(lambda: _set_password(guarded, "another"), lambda: _set_password(guarded, _PASSWORD)):
        worker.wait_for("intake_paused", 60)
        guarded.publish(during)
        code, ready = wait_until_sync(lambda: _said(worker, "uthentication"), 40, "the reason to be told")
        alive, _ = worker.page("/livez")
    guarded.publish(after)
    for each in (*before, *during, *after):
        assert guarded.verdict(each.event_id, 90).status == "success"

    assert [guarded.runs_of(each.event_id) for each in (*before, *during, *after)] == [_ONCE] * 15
    assert len({answer.digest for answer in guarded.answers(15)}) == len(guarded.answers(15)) == 15
    wait_until_sync(lambda: guarded.committed() == 15, 20, "all offsets to be committed")
    assert guarded.letters(0) == []
    assert (code, alive) == (503, 200)
    assert _PASSWORD not in ready + worker.log_file.read_text()


def test_row_23_a_dead_letter_topic_that_is_forbidden(guarded: Bench) -> None:
    """The dead letter waits, and with it the intake, until it may be written."""
    worker = _worker(guarded)
    broken, good = run_of("broken"), run_of()
    with _denied(guarded, ResourceType.TOPIC, guarded.topics.dead_letters, AclOperation.WRITE):
        guarded.publish([broken])
        worker.wait_for("intake_paused", 60)
        guarded.publish([good])
        assert guarded.committed() == 0
        assert guarded.answers(0) == []

    assert guarded.verdict(broken.event_id, 90).status == "error"
    assert guarded.verdict(good.event_id, 60).status == "success"
    assert [letter.reason for letter in guarded.letters(1)] == ["permanent"]
    assert worker.life.code is None


@pytest.mark.parametrize("what", ["topic", "group"])
def test_row_23_the_right_to_read_is_withdrawn(guarded: Bench, what: str) -> None:
    """Of the events or of the group: intake pauses, and goes on when it is given back."""
    before, during = [run_of() for _ in range(3)], [run_of() for _ in range(3)]
    worker = _worker(guarded)
    guarded.publish(before)
    guarded.answers(3)
    kind, name = (
        (ResourceType.TOPIC, guarded.topics.events)
        if what == "topic"
        else (ResourceType.GROUP, guarded.group)
    )
    with _denied(guarded, kind, name, AclOperation.READ):
        guarded.publish(during)
        worker.wait_for("intake_paused", 60)
    for each in during:
        assert guarded.verdict(each.event_id, 90).status == "success"

    assert [guarded.runs_of(each.event_id) for each in (*before, *during)] == [_ONCE] * 6
    assert worker.life.code is None


def _said(worker: Worker, text: str) -> tuple[int, str] | None:
    answer = worker.page("/readyz")
    return answer if text in answer[1] else None


def _set_password(bench: Bench, password: str) -> None:
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    wanted = UserScramCredentialUpsertion(_USER, info, password.encode())
    admin = AdminClient({"bootstrap.servers": bench.servers})
    for done in admin.alter_user_scram_credentials([wanted]).values():
        done.result(20)


def _denied(
    bench: Bench, kind: ResourceType, name: str, operation: AclOperation
) -> AbstractContextManager[None]:
    admin = AdminClient({"bootstrap.servers": bench.servers})
    fields = (
        kind,
        name,
        ResourcePatternType.LITERAL,
        f"User:{_USER}",
        "*",
        operation,
        AclPermissionType.DENY,
    )

    def deny() -> None:
        for done in admin.create_acls([AclBinding(*fields)]).values():
            done.result(20)

    def allow() -> None:
        for done in admin.delete_acls([AclBindingFilter(*fields)]).values():
            done.result(20)

    return held(deny, allow)
