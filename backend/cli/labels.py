"""Commands for labels: of the model for the rest of a project or for new texts, and all of them in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from backend.cli.audit import record
from backend.cli.build import new_models, start
from backend.cli.group import app
from backend.cli.projects import Number


@app.command()
def finish(
    project: Number,
    accuracy: Annotated[
        float | None, typer.Option(min=0.5, max=0.999, help="Draw a sample to prove this accuracy: 0.95.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="The accuracy is that of all tasks, not of the model's labels alone.")
    ] = False,
    by_class: Annotated[
        bool, typer.Option("--by-class", help="The labels of each class have the accuracy by themselves.")
    ] = False,
    tolerance: Annotated[float, typer.Option(min=0, help="Difference of a number that counts as right.")] = 0.0,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Size of the sample. Default: room for a few errors.")
    ] = None,
    take: Annotated[bool, typer.Option("--take", help="Take the labels that the sample proves right.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Also write them as annotations into Label Studio.")] = False,
    take_back: Annotated[bool, typer.Option("--take-back", help="Drop the model's labels, here and there.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up the sample.")] = False,
) -> None:
    """Let the model label the rest, as far as a random sample proves it right. Without options: show the state."""
    requests = {"take": take, "write": write, "take_back": take_back, "cancel": cancel}
    wanted = [name for name, given in requests.items() if given]
    if len(wanted) + (accuracy is not None) > 1:
        raise typer.BadParameter("give one of --accuracy, --take, --write, --take-back and --cancel")
    if accuracy is None and (whole or by_class or tolerance or sample is not None):
        raise typer.BadParameter("--whole, --by-class, --tolerance and --sample need --accuracy")
    if whole and by_class:
        raise typer.BadParameter("give one of --whole and --by-class")
    _, store = start(project)

    from backend.overview.tasks.finish import finish_state
    from backend.rounds import commands
    from backend.web.dashboard.finish_sentences import summary
    from backend.web.dashboard.language import Language

    if accuracy is not None:
        scope = "whole" if whole else "class" if by_class else "machine"
        commands.finish(store, project, accuracy=accuracy, scope=scope, tolerance=tolerance, labels=sample)
        record(store, "finish", project, f"accuracy {accuracy:g} {scope}")
    elif wanted:
        commands.finish_with(store, project, wanted[0])
        record(store, "finish labels", project, wanted[0])
    for sentence in summary(finish_state(store, store.projects.known(project)), Language("en")):
        typer.echo(sentence)


@app.command()
def export(
    project: Number,
    form: Annotated[
        Literal["jsonl", "csv", "parquet", "label-studio"], typer.Option("--format", help="Format of the file.")
    ] = "jsonl",
    output: Annotated[Path | None, typer.Option(help="File to write. Default: standard output.")] = None,
) -> None:
    """Write all labels of a project: those of people, and those of the model that were taken."""
    _, store = start(project)

    import sys

    from backend.overview.export import export as write

    parts = write(store, store.projects.known(project), form)
    record(store, "labels downloaded", project, form)
    if output is None:
        sys.stdout.buffer.writelines(parts)
    else:
        output.write_bytes(b"".join(parts))
        typer.echo(f"The labels of project {project} are in {output}.")


@app.command()
def predict(
    project: Number,
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="JSONL, CSV or TSV, with the fields of the project's tasks."),
    ],
    output: Annotated[Path | None, typer.Option(help="File to write, as JSONL. Default: standard output.")] = None,
) -> None:
    """Label new texts with the adapter in service, without Label Studio."""
    settings, store = start(project)

    import sys

    from backend.overview.tasks.new_texts import predicted
    from backend.runtime.libraries import quiet_libraries
    from backend.runtime.progress import bar
    from backend.text_files import read_rows
    from backend.web.serving import Serving

    quiet_libraries()
    rows, found = read_rows(file), store.projects.known(project)
    with bar(f"labeling {len(rows)} texts") as progress:
        serving = Serving(store, new_models(settings))
        lines = list(predicted(serving.predict, found, rows, progress))
    if output is None:
        sys.stdout.writelines(lines)
    else:
        output.write_text("".join(lines), "utf-8")
        typer.echo(f"{len(lines)} texts are labeled in {output}.")


@app.command()
def merge(
    project: Number,
    folder: Annotated[Path, typer.Argument(help="New folder for the model.")],
    adapter: Annotated[
        int | None, typer.Option(help="Number of the adapter: 12 for p7-a12. Default: in service.")
    ] = None,
) -> None:
    """Write the base model with an adapter merged into it, which transformers loads without peft."""
    _, store = start(project)

    from backend.overview.card import write_merged
    from backend.rounds.commands import CommandError
    from backend.runtime.libraries import quiet_libraries

    quiet_libraries()
    found = store.projects.known(project)
    record_of = store.of(project).rounds.adapter(found.adapter if adapter is None else adapter)
    if record_of is None:
        raise CommandError(f"project {project} has no adapter {adapter or 'yet'}; see its page on the dashboard")
    write_merged(store, found, record_of, folder)
    record(store, "adapter downloaded", project, str(record_of.number))
    typer.echo(f"Adapter {record_of.number} of project {project} and its base model are merged in {folder}.")
