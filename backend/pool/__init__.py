"""Scoring the pool: the arrays that a strategy asks for, computed once and kept in files."""
