"""Language models: load, fine-tune, predict. Knows neither Label Studio nor Flask."""
