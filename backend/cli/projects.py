"""For whoever leads a project."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.build import new_context, start
from backend.cli.group import app

Number = Annotated[int, typer.Argument(help="Number of the project in Label Studio.")]


@app.command("round")
def round_(project: Number) -> None:
    """Ask for a round now, whatever the number of new labels."""
    from backend.rounds.commands import start_round

    _, store = start()
    start_round(store, project)
    typer.echo(f"A round of project {project} will begin as soon as the worker is free.")


@app.command()
def rollback(
    project: Number,
    version: Annotated[int, typer.Argument(help="Number of the adapter to go back to: 12 of p7-a12.")],
) -> None:
    """Put an earlier adapter into service again, with a queue of its choice. New labels train a new one."""
    from backend.rounds.commands import rollback as request_rollback

    _, store = start()
    request_rollback(store, project, version)
    typer.echo(f"Project {project} goes back to adapter {version} as soon as the worker is free.")


@app.command("rotate-secret")
def rotate_secret(project: Number) -> None:
    """Give the project's webhook another secret, here and in Label Studio."""
    from backend.rounds.connection.repair import rotate_secret as rotate

    settings, store = start()
    rotate(new_context(settings, store).open(project))
    typer.echo(f"The webhook of project {project} carries a new secret.")


@app.command()
def reconcile(project: Number) -> None:
    """Compare every task and label with Label Studio's; what differs is read again. Exit code 1 if any did."""
    from backend.rounds.connection.reconcile import reconcile as compare

    settings, store = start()
    differences = compare(new_context(settings, store).open(project))
    typer.echo(f"Project {project}: {differences or 'nothing differs'}")
    raise typer.Exit(1 if differences else 0)


@app.command()
def review(
    project: Number,
    most: Annotated[int, typer.Option(min=1, max=100, help="How many labels to look at.")] = 50,
) -> None:
    """Put the labels that are likely wrong into a tab of the Data Manager, and print them, the likeliest first."""
    from rich.console import Console
    from rich.table import Table

    from backend.rounds.insights.label_errors import TAB, into_tab

    settings, store = start()
    run = new_context(settings, store).open(project)
    found, tab = into_tab(run, most)
    table = Table("task", "control", "label", "rather", "probability of the label")
    for each in found:
        table.add_row(str(each["task"]), each["control"], each["given"], each["instead"], f"{each['quality']:.3f}")
    Console().print(table if found else f"Project {project}: no label looks wrong.")
    typer.echo(f"The tab '{TAB}' has them: {run.client.url}/projects/{project}/data?tab={tab}")


@app.command()
def disconnect(project: Number) -> None:
    """Leave a project: give back its former sampling and model version, remove queue, webhook and connection."""
    from backend.rounds.connection.disconnect import disconnect as leave

    settings, store = start()
    leave(new_context(settings, store).open(project))
    typer.echo(f"Project {project} is as it was before. Its adapters and scores stay in {settings.model_dir}.")
