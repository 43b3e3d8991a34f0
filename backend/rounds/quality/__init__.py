"""How good the model is, and when labeling may stop."""
