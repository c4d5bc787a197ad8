"""What runs: the built-in graph, its agents and their figures."""
