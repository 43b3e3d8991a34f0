"""The project in Label Studio: repair its connection, leave it, compare it with the store."""
