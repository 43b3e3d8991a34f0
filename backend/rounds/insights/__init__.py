"""What people read about labels and selected tasks. No round depends on it."""
