"""What tests share: waiting, brokers, topics, databases and the status lines of the guide."""

from tests.support.waiting import wait_until, wait_until_sync

__all__ = ["wait_until", "wait_until_sync"]
