"""The steps of a round, one a file. Each takes a `ProjectRun`, is safe to repeat, and returns numbers, never arrays."""
