"""Everything that knows Label Studio: its API, its label config, its annotations and predictions."""
