"""How fast the service is beside bare LangGraph and its peers, on one broker in one run.

`python -m benchmarks` (or `make bench`) runs the contestants in turn, prints their ratios and writes
docs/benchmarks.md, docs/benchmarks.json and docs/benchmarks.svg.
"""
