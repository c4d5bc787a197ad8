"""Leaving the group, also where the client does not come to an end of it."""

import asyncio

from aiokafka import AIOKafkaConsumer


async def stop_within(client: AIOKafkaConsumer, limit_s: float) -> bool:
    """Stop the client. False if that took longer, and it was abandoned. Never raises."""
    # a task of its own: stop() can raise CancelledError although nobody cancelled, and can hang
    task = asyncio.create_task(client.stop(), name="consumer-stop")
    done, _ = await asyncio.wait({task}, timeout=limit_s)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=0.5)
        return False
    if not task.cancelled():
        task.exception()
    return True
