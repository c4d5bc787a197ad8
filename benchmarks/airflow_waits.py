"""Thousands of waits on one reader, as a triggerer has them, beside the Kafka provider's own trigger.

    .venv-airflow/bin/python -m benchmarks.airflow_waits --waits 5000

On Apache Kafka, with WorkflowResultTrigger in one asyncio process: results published before the waits began
(none may be missed), then results at a steady rate without and with foreign traffic. A result is visible
when a bare confluent reader in a process of its own has polled it; what counts is how much later its waiter
wakes up. Then AwaitMessageTrigger, one consumer and one group each, which is all it can do.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from confluent_kafka import Consumer, Producer, TopicPartition

from kafka_devbroker import running_broker
from tests.support.topics import create_topics, unique_name
from workflow_events import WorkflowResultEvent
from workflow_events.codec import encode
from workflow_events.headers import RecordHeaders

PARTITIONS = 3


def main() -> None:
    """Run all of it and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--waits", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=1000, help="results per second")
    parser.add_argument("--foreign", type=int, default=2000, help="foreign results per second")
    parser.add_argument("--repeat", type=int, default=3, help="how often each steady rate is measured")
    parser.add_argument("--theirs", type=int, default=50, help="waits of the provider's trigger")
    parser.add_argument("--role", choices=("look", "publish"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--servers")
    parser.add_argument("--topic")
    options = parser.parse_args()
    if options.role == "look":
        look(options.servers, options.topic, options.folder)
    elif options.role == "publish":
        publish(options.servers, options.topic, options.folder, options.rate, options.foreign)
    else:
        with tempfile.TemporaryDirectory() as folder, running_broker("apache") as broker:
            os.environ["KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
            _airflow_home(Path(folder))
            asyncio.run(compare(Path(folder), broker.bootstrap_servers, options))


def _airflow_home(folder: Path) -> None:
    os.environ.update(AIRFLOW_HOME=str(folder), AIRFLOW__CORE__LOAD_EXAMPLES="False")
    command = [str(Path(sys.executable).with_name("airflow")), "db", "migrate"]
    subprocess.run(command, check=True, capture_output=True)


# --- the other processes -------------------------------------------------------------------------------


def result_for(event_id: UUID) -> bytes:
    """A small result."""
    return encode(
        WorkflowResultEvent(
            correlation_id=event_id,
            workflow_id="bench",
            workflow_run_id="r",
            result={"completed": True, "text": "x" * 200},
            status="success",
            attempt=1,
        )
    )


def record(event_id: UUID) -> tuple[str, bytes, list[tuple[str, str | bytes | None]]]:
    """Key, value and headers of a result, as the service publishes it."""
    return str(event_id), result_for(event_id), [*RecordHeaders(str(event_id)).to_list()]


def publish(servers: str, topic: str, folder: Path, rate: int, foreign: int) -> None:
    """Results for `ids` at a steady rate, with foreign ones between them. All is made before it begins, so
    that this process takes little of the machine.
    """
    ids = [UUID(text) for text in (folder / "ids").read_text().split()]
    plan: list[tuple[float, UUID]] = [(n / rate, event_id) for n, event_id in enumerate(ids)]
    seconds = len(ids) / rate
    plan += [(random.uniform(0, seconds), uuid4()) for _ in range(int(foreign * seconds))]
    made = [(moment, *record(event_id)) for moment, event_id in sorted(plan)]
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    for partition in range(PARTITIONS):  # else the first half second comes in one burst, once it is connected
        key, value, headers = record(uuid4())
        producer.produce(topic, value, key, partition, headers=headers)
    producer.flush()
    begin = time.monotonic()
    for moment, key, value, headers in made:
        while (left := begin + moment - time.monotonic()) > 0:
            producer.poll(min(left, 0.005))
        producer.produce(topic, value, key, headers=headers)
    producer.flush()


def look(servers: str, topic: str, folder: Path) -> None:
    """When each result was first polled by a reader that does nothing else. Ends with the file `enough`."""
    wanted = set((folder / "ids").read_text().split())
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "looking", "fetch.wait.max.ms": 100})
    partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    ends = [
        TopicPartition(topic, one.partition, consumer.get_watermark_offsets(one)[1]) for one in partitions
    ]
    consumer.assign(ends)
    consumer.poll(0.5)
    (folder / "looking").touch()
    seen: dict[str, float] = {}
    while len(seen) < len(wanted) and not (folder / "enough").exists():
        message = consumer.poll(0.2)
        if message is None or message.error() is not None:
            continue
        key = (message.key() or b"").decode()
        if key in wanted:
            seen.setdefault(key, time.time())
    (folder / "visible").write_text(json.dumps(seen))
    consumer.close()


# --- the waits -----------------------------------------------------------------------------------------


async def compare(folder: Path, servers: str, options: argparse.Namespace) -> None:
    """Everything, one after another."""
    await asyncio.to_thread(warm_up, folder, servers, options.rate, options.foreign)
    await memory(servers, options.waits)
    await before_and_after(servers, options.waits)
    for foreign in (0, options.foreign) * options.repeat:
        await steady(folder, servers, options.waits, options.rate, foreign, f"ours, {foreign}/s foreign")
    await theirs(folder, servers, options.theirs)


def warm_up(folder: Path, servers: str, rate: int, foreign: int) -> None:
    """The traffic of `steady` on another topic. A broker's JVM that has just begun needs many seconds until
    it keeps up with it; before, the rate would be the broker's and not the publisher's.
    """
    topic = fresh_topic(servers)
    (folder / "ids").write_text("\n".join(str(uuid4()) for _ in range(15 * rate)))
    looking = child("look", servers, topic, folder)
    until_exists(folder / "looking")
    child("publish", servers, topic, folder, rate, foreign).wait()
    (folder / "enough").touch()
    looking.wait()


def fresh_topic(servers: str) -> str:
    """A results topic of its own."""
    name = unique_name("results")
    create_topics(servers, [name], partitions=PARTITIONS)
    return name


def tickets(ids: Iterable[UUID], servers: str, topic: str, timeout: float = 300) -> list[dict[str, Any]]:
    """What the operator would hand to its triggers: all of them noted before anything is published."""
    from airflow_integration.asking import Ticket
    from workflow_events.exchange import ResultExchange

    with ResultExchange(servers, topic) as exchange:
        since = exchange.note().to_dict()
    return [
        Ticket(str(event_id), 1, "bench", "r", topic, since, time.time() + timeout, timeout).to_dict()
        for event_id in ids
    ]


async def wait_all(
    tickets_: list[dict[str, Any]], woken: dict[str, float], on_all_waiting: Callable[[], Any]
) -> list[dict[str, Any]]:
    """Run a trigger for each ticket. What they end with."""
    from airflow_integration.triggers import WorkflowResultTrigger

    async def one(ticket: dict[str, Any]) -> dict[str, Any]:
        async for event in WorkflowResultTrigger(ticket).run():
            woken[ticket["event_id"]] = time.time()
            return dict(event.payload)
        raise AssertionError("a trigger ended without an event")

    running = [asyncio.create_task(one(ticket)) for ticket in tickets_]
    await asyncio.sleep(0)
    outcome = on_all_waiting()
    if asyncio.iscoroutine(outcome):
        await outcome
    return await asyncio.gather(*running)


async def memory(servers: str, waits: int) -> None:
    """What a wait costs: ten of them come before, so that the reader itself is not counted."""
    topic = fresh_topic(servers)
    noted = tickets([uuid4() for _ in range(waits + 10)], servers, topic, timeout=5)
    gc.collect()
    sizes: list[int] = []
    few = asyncio.create_task(wait_all(noted[:10], {}, lambda: asyncio.sleep(1)))
    await asyncio.sleep(1)
    sizes.append(rss())

    async def look_at_size() -> None:
        await asyncio.sleep(1)
        sizes.append(rss())

    await wait_all(noted[10:], {}, look_at_size)
    await few
    report("memory", waits=waits, bytes_per_wait=(sizes[1] - sizes[0]) / waits, threads=threads())


async def before_and_after(servers: str, waits: int) -> None:
    """Half of the results are there before anybody waits."""
    topic = fresh_topic(servers)
    ids = [uuid4() for _ in range(waits)]
    noted = tickets(ids, servers, topic)
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})

    def send_all(some: list[UUID]) -> None:
        for event_id in some:
            key, value, headers = record(event_id)
            producer.produce(topic, value, key, headers=headers)
        producer.flush()

    await asyncio.to_thread(send_all, ids[: waits // 2])
    begin = time.monotonic()
    claims = await wait_all(noted, {}, lambda: asyncio.to_thread(send_all, ids[waits // 2 :]))
    seconds = time.monotonic() - begin
    answered = sum(claim["ending"] == "answered" for claim in claims)
    places = {(claim["partition"], claim["offset"]) for claim in claims}
    report(
        "half before",
        waits=waits,
        answered=answered,
        places=len(places),
        missed=waits - answered,
        seconds=seconds,
    )


async def steady(folder: Path, servers: str, waits: int, rate: int, foreign: int, name: str) -> None:
    """All wait, then results come at a rate."""
    topic = fresh_topic(servers)
    ids = [uuid4() for _ in range(waits)]
    for leftover in ("ids", "looking", "enough", "visible"):
        (folder / leftover).unlink(missing_ok=True)
    (folder / "ids").write_text("\n".join(map(str, ids)))
    idle: dict[str, float] = {}
    woken: dict[str, float] = {}
    looking = child("look", servers, topic, folder)

    async def publish_when_idle() -> None:
        await asyncio.to_thread(until_exists, folder / "looking")
        before = resource.getrusage(resource.RUSAGE_SELF)
        await asyncio.sleep(10)
        after = resource.getrusage(resource.RUSAGE_SELF)
        idle["cpu"] = cpu(after, before) / 10 * 100
        idle["start"] = time.process_time()
        await asyncio.to_thread(child("publish", servers, topic, folder, rate, foreign).wait)

    claims = await wait_all(tickets(ids, servers, topic), woken, publish_when_idle)
    used = time.process_time() - idle["start"]
    (folder / "enough").touch()
    await asyncio.to_thread(looking.wait)
    visible = json.loads((folder / "visible").read_text())
    late = sorted((woken[key] - visible[key]) * 1000 for key in visible)
    report(
        name,
        waits=waits,
        answered=sum(claim["ending"] == "answered" for claim in claims),
        compared=len(late),
        p50_ms=quantile(late, 0.5),
        p99_ms=quantile(late, 0.99),
        max_ms=late[-1],
        idle_cpu_percent=idle["cpu"],
        cpu_seconds=used,
        threads=threads(),
    )


async def theirs(folder: Path, servers: str, waits: int) -> None:
    """The provider's trigger: a consumer, a group and hence a connection for each, without a pause."""
    from airflow.providers.apache.kafka.triggers.await_message import AwaitMessageTrigger

    topic = fresh_topic(servers)
    ids = [str(uuid4()) for _ in range(waits)]
    for leftover in ("ids", "looking", "enough", "visible"):
        (folder / leftover).unlink(missing_ok=True)
    (folder / "ids").write_text("\n".join(ids))
    for event_id in ids:
        extras = {"bootstrap.servers": servers, "group.id": event_id, "auto.offset.reset": "earliest"}
        name = f"AIRFLOW_CONN_W{event_id.replace('-', '').upper()}"
        os.environ[name] = json.dumps({"conn_type": "kafka", "extra": extras})
    empty, woken = rss(), dict[str, float]()

    async def one(event_id: str) -> None:
        trigger = AwaitMessageTrigger(
            topics=[topic],
            kafka_config_id=f"w{event_id.replace('-', '')}",
            apply_function="benchmarks.airflow_waits.is_for",
            apply_function_args=[event_id],
            poll_timeout=0.1,
            poll_interval=0,
        )
        async for _ in trigger.run():
            woken[event_id] = time.time()
        await trigger.cleanup()

    looking = child("look", servers, topic, folder)
    running = [asyncio.create_task(one(event_id)) for event_id in ids]
    await asyncio.to_thread(until_exists, folder / "looking")
    await asyncio.sleep(15)  # their groups join
    memory, many, start = (rss() - empty) / waits, threads(), time.process_time()
    await asyncio.to_thread(child("publish", servers, topic, folder, 10, 0).wait)
    _, pending = await asyncio.wait(running, timeout=120)
    used = time.process_time() - start
    (folder / "enough").touch()
    await asyncio.to_thread(looking.wait)
    visible = json.loads((folder / "visible").read_text())
    late = sorted((woken[key] - visible[key]) * 1000 for key in woken if key in visible)
    for task in pending:
        task.cancel()
    report(
        "AwaitMessageTrigger, 10 results/s",
        waits=waits,
        answered=len(woken),
        p50_ms=quantile(late, 0.5),
        p99_ms=quantile(late, 0.99),
        bytes_per_wait=memory,
        cpu_seconds=used,
        threads=many,
    )


def is_for(event_id: str, message: Any) -> str | None:
    """Their `apply_function`."""
    return event_id if (message.key() or b"").decode() == event_id else None


# --- measuring -----------------------------------------------------------------------------------------


def until_exists(path: Path) -> None:
    """Wait for a file."""
    while not path.exists():
        time.sleep(0.05)


def child(
    role: str, servers: str, topic: str, folder: Path, rate: int = 1, foreign: int = 0
) -> subprocess.Popen[bytes]:
    """This program in another role."""
    command = [sys.executable, "-m", "benchmarks.airflow_waits", "--role", role, "--servers", servers]
    command += ["--topic", topic, "--folder", str(folder), "--rate", str(rate), "--foreign", str(foreign)]
    return subprocess.Popen(command)


def quantile(values: list[float], share: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def cpu(after: resource.struct_rusage, before: resource.struct_rusage) -> float:
    """Seconds of CPU between two looks."""
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rss() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def threads() -> int:
    """Of this process."""
    return len(list(Path("/proc/self/task").iterdir()))


def report(name: str, **figures: float) -> None:
    """One line."""
    shown = ", ".join(f"{key} {round(value, 1)}" for key, value in figures.items())
    sys.stdout.write(f"{name}: {shown}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
