"""Commands to look for tasks, and to put them first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.audit import record
from backend.cli.build import new_context, new_models, start
from backend.cli.group import app
from backend.cli.projects import Number

if TYPE_CHECKING:
    from backend.store import Store

_TAB = "Found"


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
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from backend.labelstudio.api.views import show
    from backend.overview.find import Query
    from backend.overview.find import find as look_for
    from backend.rounds import commands
    from backend.runtime.libraries import quiet_libraries

    settings, store = start()
    quiet_libraries()
    known = commands.known(store, project)
    found = look_for(store, new_models(settings), known, Query(text, task, name, control), most)
    tasks = [each["task"] for each in found["tasks"]]
    table = Table("task", "probability" if name is not None else "similarity", "text")
    for each in found["tasks"]:
        table.add_row(str(each["task"]), f"{each['score']:.3f}", escape(each["text"]))
    Console().print(table)
    typer.echo(f"{found['compared']} of {found['open']} open tasks were compared.")
    if tab:
        client = new_context(settings, store).client
        number = show(client, project, _TAB, tasks)
        typer.echo(f"They are in the tab '{_TAB}': {client.url}/projects/{project}/data?tab={number}")
    if first and tasks:
        _put_first(store, project, tasks)


@app.command()
def first(
    project: Number,
    tasks: Annotated[list[int] | None, typer.Argument(help="Numbers of tasks, in their order.")] = None,
    none: Annotated[bool, typer.Option("--none", help="No task comes first any more.")] = False,
) -> None:
    """Put tasks at the head of the queue, until they are labeled. Without any: show which come first."""
    from backend.rounds import commands

    if none and tasks:
        raise typer.BadParameter("give numbers of tasks, or --none")
    _, store = start()
    commands.known(store, project)
    if none or tasks:
        _put_first(store, project, tasks or [])
        return
    there = store.of(project).tasks.first()
    typer.echo(f"First come the tasks {', '.join(map(str, there))}." if there else "No task was put first.")


def _put_first(store: Store, project: int, tasks: list[int]) -> None:
    from backend.rounds import commands

    commands.put_first(store, project, tasks)
    record(store, "first", project, f"{len(tasks)} tasks")
    typer.echo(
        f"{len(tasks)} tasks come first as soon as the worker is free." if tasks else "No task comes first any more."
    )
