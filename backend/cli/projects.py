"""Commands for one project."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.audit import record
from backend.cli.build import new_context, start
from backend.cli.group import app

Number = Annotated[int, typer.Argument(help="Number of the project in Label Studio.")]


@app.command("round")
def round_(project: Number) -> None:
    """Start a round now, whatever the number of new labels."""
    _, store = start(project)

    from backend.rounds.commands import start_round

    start_round(store, project)
    record(store, "round", project)
    typer.echo(f"A round of project {project} starts as soon as the worker is free.")


@app.command()
def cancel(project: Number) -> None:
    """End the running round soon. The next one begins after another batch of labels, or on request."""
    _, store = start(project)

    from backend.rounds.commands import cancel as request

    request(store, project)
    record(store, "cancel", project)
    typer.echo(f"The round of project {project} ends soon: within a step of training or a batch of scoring.")


@app.command()
def rollback(
    project: Number,
    version: Annotated[int, typer.Argument(help="Number of the adapter to restore: 12 for p7-a12.")],
) -> None:
    """Restore an earlier adapter, and publish the queue that it selects. New labels train a new adapter."""
    _, store = start(project)

    from backend.rounds.commands import rollback as request

    request(store, project, version)
    record(store, "rollback", project, f"adapter {version}")
    typer.echo(f"Project {project} returns to adapter {version} as soon as the worker is free.")


@app.command("rotate-secret")
def rotate_secret(project: Number) -> None:
    """Replace the secret of the project's webhook, here and in Label Studio."""
    settings, store = start(project)

    from backend.rounds.connection.repair import rotate_secret as rotate

    rotate(new_context(settings, store).open(project))
    record(store, "rotate-secret", project)
    typer.echo(f"The webhook of project {project} has a new secret.")


@app.command()
def reconcile(project: Number) -> None:
    """Compare all tasks and labels with Label Studio's, and read those that differ again. Exit code 1 if any did."""
    settings, store = start(project)

    from backend.rounds.connection.reconcile import reconcile as compare

    differences = compare(new_context(settings, store).open(project))
    record(store, "reconcile", project)
    typer.echo(f"Project {project}: {differences or 'no differences'}")
    raise typer.Exit(1 if differences else 0)


@app.command()
def review(
    project: Number,
    most: Annotated[int, typer.Option(min=1, max=100, help="Maximum number of labels.")] = 50,
) -> None:
    """Put labels to check into a tab of the Data Manager, and print them, the worst first."""
    settings, store = start(project)

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from backend.overview.labels import errors
    from backend.rounds.insights.label_errors import TAB, into_tab
    from backend.web.dashboard.language import Language
    from backend.web.dashboard.quality_sentences import errors as how_many

    run = new_context(settings, store).open(project)
    found, tab = into_tab(run, most)
    for name, wrong in errors(store, run.project).items():
        typer.echo(f"{name}: {how_many(wrong, Language('en'))}.")
    if not found:
        typer.echo(
            "No label to check: none is rather wrong than right, or none could be compared (single choices are)."
        )
        return
    table = Table("task", "control", "label", "suggested label", "probability that the label is right")
    for each in found:
        names = (escape(each[name]) for name in ("control", "given", "instead"))  # in brackets: markup of rich
        table.add_row(str(each["task"]), *names, f"{each['quality']:.3f}")
    Console().print(table)
    typer.echo(f"They are in the tab '{TAB}': {run.client.url}/projects/{project}/data?tab={tab}")


@app.command()
def disconnect(project: Number) -> None:
    """Disconnect a project: restore its former sampling and model version, remove queue, webhook and connection."""
    settings, store = start(project)

    from backend.rounds.connection.disconnect import disconnect as leave

    leave(new_context(settings, store).open(project))
    record(store, "disconnect", project)
    typer.echo(
        f"Project {project} has its former settings again. Its adapters and scores stay in {settings.model_dir}."
    )


@app.command()
def forget(project: Number) -> None:
    """Delete all texts, labels, adapters and rounds that are kept of a disconnected project."""
    _, store = start(project)

    from backend.rounds.commands import forget as delete

    delete(store, project)
    record(store, "forget", project)
    typer.echo(f"Nothing is kept of project {project} but its audit trail. Label Studio's project is unchanged.")
