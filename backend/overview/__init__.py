"""What people want to see of a project, as plain values: the dashboard and the API show the same."""
