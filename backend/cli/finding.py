"""Commands to look for tasks, and to put them first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.audit import record
from backend.cli.build import new_models, start
from backend.cli.group import app
from backend.cli.projects import Number

if TYPE_CHECKING:
    from backend.settings import Settings
    from backend.store import Store

_TAB = "Found"
_REPEATED = "Near-duplicates"


@app.command()
def find(
    project: Number,
    text: Annotated[str | None, typer.Option(help="Tasks similar to this text.")] = None,
    task: Annotated[int | None, typer.Option(min=0, help="Tasks similar to this one.")] = None,
    name: Annotated[str | None, typer.Option("--class", help="Tasks that are probably of this class.")] = None,
    control: Annotated[str | None, typer.Option(help="Control of the class, where several have it.")] = None,
    most: Annotated[int, typer.Option(min=1, max=100, help="Maximum number of tasks.")] = 20,
    first: Annotated[bool, typer.Option("--first", help="Put them first in the queue.")] = False,
    tab: Annotated[bool, typer.Option("--tab", help=f"Show them in the tab '{_TAB}' of the Data Manager.")] = False,
) -> None:
    """Look for open tasks: similar to a text or a task, or probably of a class."""
    settings, store = start(project)

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from backend.overview.tasks.find import Query
    from backend.overview.tasks.find import find as look_for
    from backend.runtime.libraries import quiet_libraries

    quiet_libraries()
    known = store.projects.known(project)
    found = look_for(store, new_models(settings), known, Query(text, task, name, control), most)
    tasks = [each["task"] for each in found["tasks"]]
    table = Table("task", "probability" if name is not None else "similarity", "text")
    for each in found["tasks"]:
        table.add_row(str(each["task"]), f"{each['score']:.3f}", escape(each["text"]))
    Console().print(table)
    typer.echo(f"{found['compared']} of {found['open']} open tasks were compared.")
    if tab:
        _show(settings, project, _TAB, tasks)
    if first and tasks:
        _put_first(store, project, tasks)


@app.command()
def first(
    project: Number,
    tasks: Annotated[list[int] | None, typer.Argument(help="Numbers of tasks, in their order.")] = None,
    none: Annotated[bool, typer.Option("--none", help="No task comes first any more.")] = False,
) -> None:
    """Put tasks at the head of the queue, until they are labeled. Without any: show which come first."""
    if none and tasks:
        raise typer.BadParameter("give numbers of tasks, or --none")
    _, store = start(project)
    if none or tasks:
        _put_first(store, project, tasks or [])
        return
    there = store.of(project).tasks.first()
    typer.echo(f"First come the tasks {', '.join(map(str, there))}." if there else "No task was put first.")


@app.command()
def duplicates(
    project: Number,
    similarity: Annotated[float, typer.Option(min=0.8, max=1, help="Cosine similarity, without the mean.")] = 0.95,
    most: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of groups.")] = 20,
    tab: Annotated[
        bool, typer.Option("--tab", help=f"Show them in the tab '{_REPEATED}' of the Data Manager.")
    ] = False,
) -> None:
    """List tasks whose texts nearly repeat each other, those with different labels first."""
    settings, store = start(project)

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from backend.overview.tasks.duplicates import duplicates as look_for
    from backend.runtime.libraries import quiet_libraries

    quiet_libraries()
    known = store.projects.known(project)
    found = look_for(store, new_models(settings), known, similarity, most)
    table = Table("task", "label", "text")
    for group in found["groups"]:
        for each in group["tasks"]:
            labels = ", ".join(value or "" for value in each["labels"].values())
            table.add_row(str(each["task"]), escape(labels), escape(each["text"]))
        table.add_section()
    Console().print(table)
    differ = sum(group["differ"] for group in found["groups"])
    typer.echo(
        f"{found['tasks']} of {found['compared']} compared tasks nearly repeat an earlier one; "
        f"{differ} of the groups above have different labels."
    )
    if tab:
        _show(settings, project, _REPEATED, [each["task"] for group in found["groups"] for each in group["tasks"]])


def _show(settings: Settings, project: int, title: str, tasks: list[int]) -> None:
    from backend.labelstudio.api.client import Client
    from backend.labelstudio.api.views import show

    client = Client(*settings.label_studio())
    number = show(client, project, title, tasks)
    typer.echo(f"They are in the tab '{title}': {client.url}/projects/{project}/data?tab={number}")


def _put_first(store: Store, project: int, tasks: list[int]) -> None:
    from backend.rounds import commands

    commands.put_first(store, project, tasks)
    record(store, "first", project, f"{len(tasks)} tasks")
    typer.echo(
        f"{len(tasks)} tasks come first as soon as the worker is free." if tasks else "No task comes first any more."
    )
