"""`langgraph-kafka broker`."""

from typing import Annotated, Literal

import typer

from langgraph_integration.ops.console import Json, emit, handled

Backend = Literal["auto", "tansu", "apache"]


@handled(
    "langgraph-kafka broker",
    "langgraph-kafka broker --port 9192 --backend apache",
)
def broker(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="On 127.0.0.1.")] = 9092,
    backend: Annotated[
        Backend,
        typer.Option(
            help="tansu: in memory, ready at once. apache: needs Java 17. auto: the first to be had."
        ),
    ] = "auto",
    topics: Annotated[bool, typer.Option(help="Create the three topics.")] = True,
    as_json: Json = False,
) -> None:
    """Run a Kafka broker for a laptop, until Ctrl-C.

    It stays in the foreground, and its data goes with it. Ctrl-C is its ordinary end: exit code 0.
    """
    from kafka_devbroker import BrokerError, available_backends, running_broker
    from kafka_devbroker.ending import told_to_end
    from kafka_devbroker.net import LOOPBACK, takes_connections
    from langgraph_integration.ops.topics import create_topics
    from workflow_events.errors import BrokerUnavailable, ConfigurationError
    from workflow_events.settings import KafkaSettings, TopicNames

    if takes_connections(LOOPBACK, port):
        # Tansu would share the port with the other one, and each would get half of the connections
        raise ConfigurationError(
            f"--port {port} is in use on {LOOPBACK}: a broker that runs already? Use another"
        )

    missing = available_backends()
    chosen = ("tansu" if missing["tansu"] is None else "apache") if backend == "auto" else backend
    try:
        with told_to_end() as told, running_broker(chosen, port=port) as running:
            if topics:
                create_topics(KafkaSettings(running.bootstrap_servers), TopicNames.from_env())
            if as_json:
                emit({"backend": running.backend, "bootstrap_servers": running.bootstrap_servers})
            else:
                typer.echo(f"{running.backend} broker at {running.bootstrap_servers} (Ctrl-C ends it)")
            told.wait()
    except BrokerError as error:
        raise BrokerUnavailable(str(error)) from error
