"""Benchmarks: `python -m benchmarks.<name>`. Each prints a table and a ratio."""
