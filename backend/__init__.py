"""Active learning for Label Studio: the ML backend, the rounds, the language models."""

__version__ = "0.1.0"
