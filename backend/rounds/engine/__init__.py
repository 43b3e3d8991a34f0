"""What runs rounds: worker process, durable workflow, notifier, heartbeat, retries."""
