"""Calls to the API of Label Studio."""
