"""Model quality from labels and predictions: arrays in, numbers out."""
