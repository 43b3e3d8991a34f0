"""HTTP: the ML-backend interface, the JSON API and the dashboard. Requests are checked and stored; none trains."""
