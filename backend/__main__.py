"""`python -m backend` is `lsal`."""

from backend.cli import main

main()
