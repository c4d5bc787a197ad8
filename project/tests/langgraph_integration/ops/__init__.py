"""What an operator touches: command line, health, metrics, logs, topics, demo."""
