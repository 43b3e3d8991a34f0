"""What every process of the backend sets up: logging, progress bars, libraries, its children and their end."""
