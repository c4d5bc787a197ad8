"""`python -m kafka_devbroker`: a broker on port 9092 until Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import cast

from kafka_devbroker.broker import BackendName
from kafka_devbroker.choice import running_broker
from kafka_devbroker.ending import told_to_end
from kafka_devbroker.errors import BrokerError

_EXIT_ERROR = 1


def main(arguments: list[str] | None = None) -> int:
    """Run a broker until SIGINT or SIGTERM: exit code 0, or 1 with the reason when none can be had."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    backend = cast("BackendName", options.backend)
    try:
        with (
            told_to_end() as told,
            running_broker(backend, nodes=options.nodes, port=options.port) as broker,
        ):
            sys.stdout.write(f"{broker.backend} broker at {broker.bootstrap_servers} (Ctrl-C ends it)\n")
            sys.stdout.flush()
            told.wait()
    except BrokerError as problem:
        sys.stderr.write(f"{problem}\n")
        return _EXIT_ERROR
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kafka_devbroker", description="A Kafka broker for a laptop and for tests, until Ctrl-C."
    )
    parser.add_argument(
        "--backend", choices=("auto", "tansu", "apache"), default="auto", help="default: auto"
    )
    parser.add_argument(
        "--port", type=int, default=9092, help="of the first node, on 127.0.0.1; default: 9092"
    )
    parser.add_argument("--nodes", type=int, default=1, help="more than one is Apache Kafka; default: 1")
    return parser


if __name__ == "__main__":
    sys.exit(main())
