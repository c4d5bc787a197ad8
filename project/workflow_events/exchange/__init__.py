"""Waiting for results: `ResultExchange` and what it takes and gives.

`live` reads ahead with one thread for all who wait, `catch_up` looks back for those who come late;
`waiting`, `index`, `backlog`, `matching` and `start` are pure and know no Kafka.
"""

from workflow_events.exchange.exchange import ResultExchange, ResultsUnavailable
from workflow_events.exchange.start import StartPoint
from workflow_events.exchange.waiting import ReceivedResult

__all__ = ["ReceivedResult", "ResultExchange", "ResultsUnavailable", "StartPoint"]
