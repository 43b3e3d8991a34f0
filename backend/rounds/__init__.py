"""The round: sync, train, evaluate, score, select, publish. Knows no Flask."""
