"""The fault programme: workers of their own processes, real Kafka, a schedule of faults, and an oracle.

`python -m tests.chaos --help`; `make chaos` runs 60 seconds of it, `make chaos-long` a thousand kills.
"""
