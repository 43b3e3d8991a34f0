"""The typer application that the commands are added to."""

from __future__ import annotations

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Active learning for Label Studio."
)
