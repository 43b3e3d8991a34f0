"""HTTP: the ML-backend interface. Validates, remembers, answers. Never trains."""
