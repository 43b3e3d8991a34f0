"""A demo on one machine: Label Studio, this backend, sample tickets and, if wanted, simulated annotators."""
