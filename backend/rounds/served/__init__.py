"""Language models behind a server, as the rounds use them: answers kept, calls counted."""
