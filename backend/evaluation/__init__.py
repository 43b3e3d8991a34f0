"""How good a model is, from labels and what it said of them: arrays in, numbers out."""
