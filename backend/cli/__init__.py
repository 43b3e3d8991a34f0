"""The command `lsal`: one function a command, in the file of whoever needs it."""

from __future__ import annotations

import sys

import typer

from backend.cli import checks, projects, running, upkeep  # noqa: F401 (they add their commands)
from backend.cli.group import app
from backend.errors import BackendError


def main() -> None:
    """Run the command; what the backend refuses is said in one line, without a traceback."""
    try:
        app()
    except BackendError as error:
        typer.secho(f"lsal: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
