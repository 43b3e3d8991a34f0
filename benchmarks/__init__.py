"""Runnable measurements: each prints a table and a ratio. `python -m benchmarks.<name>`."""
