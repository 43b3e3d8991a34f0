"""The command for the price of a language model behind a server."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.build import start
from backend.cli.group import app
from backend.cli.projects import Number


@app.command()
def estimate(
    project: Number,
    model: Annotated[str | None, typer.Option(help="Another model than the project's, such as openai:NAME.")] = None,
    teacher: Annotated[
        str | None, typer.Option(help="A model as teacher of the project's, such as openai:NAME.")
    ] = None,
) -> None:
    """Calls, tokens, money and hours of a round with a language model behind a server. Sends nothing."""
    settings, store = start(project)

    from backend.overview import llm

    known = store.projects.known(project)
    for line in llm.in_words(
        llm.estimate(store, known, model, settings.llm_prices, teacher=teacher), llm.spent(store, known)
    ):
        typer.echo(line)
