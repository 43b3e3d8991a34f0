"""Which strategy selects, from which pool."""
