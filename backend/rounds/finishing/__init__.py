"""Finishing a project: the model labels the rest, as far as a random sample proves it right."""
