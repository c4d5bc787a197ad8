"""What can go wrong with a development broker.

BrokerError
├── BrokerUnavailable     this machine cannot run the backend; the message says what to install
└── BrokerNotReady        it was started and did not answer in time, or died; the message ends with its log
"""

from __future__ import annotations


class BrokerError(RuntimeError):
    """A development broker could not be had or did not do as told."""


class BrokerUnavailable(BrokerError):
    """Something the backend needs is not on this machine. The message says how to get it."""


class BrokerNotReady(BrokerError):
    """The broker did not answer in time or ended by itself. The message carries the end of its log."""
