"""The tasks of a project: those that come next, similar ones, the map, and those that the model labels."""
