"""Scoring the pool: the arrays that a strategy requires, computed once and cached in files."""
