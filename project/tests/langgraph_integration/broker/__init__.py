"""The room with the Kafka clients."""
