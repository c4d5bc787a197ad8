"""Guide: Basic Consumer Usage, as a program. test_03_consumer.py runs it."""

import asyncio

from langgraph_integration.config import ConsumerConfig
from langgraph_integration.consumer import LangGraphKafkaConsumer


async def main():  # type: ignore[no-untyped-def]  # as printed
    # Create consumer
    config = ConsumerConfig()
    consumer = LangGraphKafkaConsumer(config=config)

    try:
        # Start consumer
        await consumer.start()

        # Consume and process events
        await consumer.consume_and_process()
    finally:
        # Stop consumer
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main())  # type: ignore[no-untyped-call]  # as printed
