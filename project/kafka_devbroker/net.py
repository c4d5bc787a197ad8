"""Free loopback ports, and the question whether a Kafka broker answers on one."""

from __future__ import annotations

import contextlib
import random
import socket
import struct

LOOPBACK = "127.0.0.1"

# Below the range from which systems give ports to outgoing connections: a client that tries again and again
# to reach a broker that is down could otherwise be given that very port and end up connected to itself.
_PORTS = range(15_000, 32_000)

_METADATA_KEY = 3
_METADATA_VERSION = 1
_CORRELATION_ID = 7
_CLIENT_ID = b"kafka-devbroker"
# Header (key, version, correlation id, client id) and an empty list of topics: the smallest Metadata request.
_REQUEST = struct.pack(
    f">hhih{len(_CLIENT_ID)}si",
    _METADATA_KEY,
    _METADATA_VERSION,
    _CORRELATION_ID,
    len(_CLIENT_ID),
    _CLIENT_ID,
    0,
)


def free_ports(count: int) -> list[int]:
    """`count` different loopback ports that nothing listens on now; somebody else may still be quicker."""
    chosen: list[int] = []
    with contextlib.ExitStack() as held:
        while len(chosen) < count:
            probe = held.enter_context(socket.socket())
            # SystemRandom: test runners seed the module's generator, and all workers would draw the same.
            port = random.SystemRandom().choice(_PORTS)
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                chosen.append(port)
    return chosen


def takes_connections(host: str, port: int, timeout: float = 1.0) -> bool:
    """Whether something listens at `host:port`, also a secured broker that answers no stranger."""
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except OSError:
        return False
    return True


def answering_brokers(host: str, port: int, timeout: float = 1.0) -> int:
    """How many brokers the cluster at `host:port` says it has; 0 while nothing there speaks Kafka.

    `timeout` is in seconds, for the connection and for each read.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(struct.pack(">i", len(_REQUEST)) + _REQUEST)
            _size, correlation_id, brokers = struct.unpack(">iii", _read_exactly(connection, 12))
    except OSError:
        return 0
    return brokers if correlation_id == _CORRELATION_ID else 0


def _read_exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionResetError("the connection was closed in the middle of an answer")
        data += chunk
    return data
