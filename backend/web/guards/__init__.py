"""Checks before and after every request: who may call, how much, and what is recorded of it."""
