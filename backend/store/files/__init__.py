"""The files: a folder a project with adapters and arrays, written at once or not at all, and shared storage."""
