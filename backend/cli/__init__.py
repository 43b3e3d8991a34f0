"""The command `lsal`: one function per command, grouped in files by the user's task."""

from __future__ import annotations

import sys

import typer

from backend.cli import checks, finding, labels, llm, projects, running, upkeep  # noqa: F401 (importing adds the commands)
from backend.cli.group import app
from backend.errors import BackendError


def main() -> None:
    """Run the command. A `BackendError` is printed in one line, without a traceback."""
    try:
        app()
    except BackendError as error:
        typer.secho(f"lsal: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
