"""Label Studio: its API, label config, annotations and predictions."""
