"""The typer application that the commands are added to."""

from __future__ import annotations

from typing import Annotated

import typer

from backend import __version__

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Active learning for Label Studio.")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lsal {__version__}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""
