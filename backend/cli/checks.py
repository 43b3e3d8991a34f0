"""Commands that inspect: the installation, the options, the labels that a strategy would save."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from backend.cli.audit import record
from backend.cli.build import new_models, new_store
from backend.cli.group import app
from backend.errors import BackendError

if TYPE_CHECKING:
    from backend.doctor.finding import Finding
    from backend.store import Store


@app.command()
def doctor(
    project: Annotated[int | None, typer.Argument(help="Number of a project. Default: all connected ones.")] = None,
    url: Annotated[str | None, typer.Option(help="URL of this backend as seen from Label Studio.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Repair the problems that can be repaired.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the whole installation and print what to do. Exit code 1 if there is a problem."""
    from backend.doctor.report import report

    raise typer.Exit(report(_examination(project, url, fix), as_json=as_json))


@app.command()
def options() -> None:
    """Print the options of a project as Markdown."""
    from backend.options.page import as_markdown

    typer.echo(as_markdown(), nl=False)


@app.command()
def simulate(
    train: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, help="Labeled texts to select from: JSONL, CSV, TSV, or Label Studio's JSON."
        ),
    ],
    strategy: Annotated[str, typer.Option(help="Names, separated by commas; also 'default' or 'all'.")],
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for the results. An interrupted run in it is resumed.")
    ],
    test: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Labeled texts to measure accuracy on. Default: a fifth of --train."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Labels per round.")] = 50,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each strategy, each with another seed.")] = 5,
    learner: Annotated[
        Literal["probe", "lora"], typer.Option(help="probe: a linear head, seconds per run. lora: adapters.")
    ] = "probe",
    text: Annotated[str, typer.Option(help="Field with the text.")] = "text",
    label: Annotated[str, typer.Option(help="Field with the label.")] = "label",
    extra_params: Annotated[str, typer.Option(help="JSON, as in the model's Extra params in Label Studio.")] = "{}",
) -> None:
    """Replay the rounds on labeled texts, to compare how many labels each strategy saves."""
    from backend.options import ProjectOptions, old_names
    from backend.runtime.progress import bar
    from backend.simulation.plan import read_plan

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    old_names.report(ProjectOptions)
    ProjectOptions.check_environment()
    plan = read_plan(
        train, test, strategy.split(","), rounds=rounds, batch=batch, seeds=seeds, learner=learner, text=text,
        label=label, extra_params=extra_params,
    )  # fmt: skip

    from backend.runtime.libraries import quiet_libraries, use_cores
    from backend.simulation.report import report

    quiet_libraries()
    use_cores(spare=0)
    report(plan, out, bar)


def _examination(project: int | None, url: str | None, fix: bool) -> Iterator[Finding]:
    from backend.doctor.examine import examine
    from backend.doctor.finding import Finding
    from backend.options import ProjectOptions, old_names
    from backend.runtime.libraries import quiet_libraries
    from backend.settings import load_settings

    quiet_libraries()
    try:
        settings = load_settings()
    except BackendError as error:
        yield Finding("environment", "problem", str(error), "correct the environment variable")
        return
    for message in old_names.messages(ProjectOptions):
        yield Finding("environment", "warning", message)
    logging.basicConfig(level=logging.ERROR)
    models = new_models(settings)

    def opened() -> Store:
        store = new_store(settings)
        if fix:
            record(store, "doctor", project)
        return store

    yield from examine(settings, opened, models, project_id=project, url=url, fix=fix)
