"""Heads on vectors that a base model computed: linear, with class names as prior knowledge, as a quick probe."""
