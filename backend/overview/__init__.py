"""The data that both the dashboard and the JSON API show, as plain values."""
