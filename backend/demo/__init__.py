"""A demo on one machine: Label Studio, this backend, sample tickets, and optionally simulated annotators."""
