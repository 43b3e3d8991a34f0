"""The command `lsal`, and the composition root: the only place that builds concrete classes."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from backend import logs
from backend.errors import BackendError
from backend.libraries import quiet_libraries, use_cores
from backend.progress import bar
from backend.settings import Settings, load_settings
from backend.store import Store

if TYPE_CHECKING:  # torch and transformers take seconds to import: only the commands that need them do
    from flask import Flask

    from backend.doctor.finding import Finding
    from backend.rounds.context import Context

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Active learning for Label Studio."
)


def main() -> None:
    """Run the command; what the backend refuses is said in one line, without a traceback."""
    try:
        app()
    except BackendError as error:
        typer.secho(f"lsal: {error}", fg="red", err=True)
        sys.exit(error.exit_code)


@app.command()
def serve() -> None:
    """Run web server and worker together."""
    from backend.processes import both

    settings, _ = _start()
    settings.label_studio()
    raise typer.Exit(both())


@app.command()
def web() -> None:
    """Run the web server, which Label Studio calls."""
    from backend.processes import web as run

    settings, _ = _start()
    run(settings, lambda: _flask(settings))


@app.command()
def worker() -> None:
    """Run the worker, which does the rounds."""
    from backend.labelstudio.client import Client
    from backend.rounds.pulse import Pulse
    from backend.rounds.worker import work
    from backend.rounds.workflow import Rounds

    settings, store = _start()
    use_cores(spare=1)
    context = _context(settings, store)
    pulse = Pulse(store, Client(*settings.label_studio(), timeout=10.0), settings.executor)
    work(lambda: Rounds(context, settings.model_dir, settings.executor), store, pulse, settings)


@app.command("round")
def round_(project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")]) -> None:
    """Ask for a round now, whatever the number of new labels."""
    from backend.rounds.wishes import round_now

    _, store = _start()
    round_now(store, project)
    typer.echo(f"A round of project {project} will begin as soon as the worker is free.")


@app.command()
def rollback(
    project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")],
    version: Annotated[int, typer.Argument(help="Number of the adapter to go back to: 12 of p7-a12.")],
) -> None:
    """Put an earlier adapter into service again, with a queue of its choice. New labels train a new one."""
    from backend.rounds.wishes import rollback as ask

    _, store = _start()
    ask(store, project, version)
    typer.echo(f"Project {project} goes back to adapter {version} as soon as the worker is free.")


@app.command("rotate-secret")
def rotate_secret(project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")]) -> None:
    """Give the project's webhook another secret, here and in Label Studio."""
    from backend.rounds.connection import rotate_secret as rotate

    settings, store = _start()
    rotate(_context(settings, store), project)
    typer.echo(f"The webhook of project {project} carries a new secret.")


@app.command()
def reconcile(project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")]) -> None:
    """Compare every task and label with Label Studio's; what differs is read again. Exit code 1 if any did."""
    from backend.rounds.reconcile import reconcile as compare

    settings, store = _start()
    differences = compare(_context(settings, store), project)
    typer.echo(f"Project {project}: {differences or 'nothing differs'}")
    raise typer.Exit(1 if differences else 0)


@app.command()
def review(
    project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")],
    most: Annotated[int, typer.Option(min=1, max=100, help="How many labels to look at.")] = 50,
) -> None:
    """Put the labels that are likely wrong into a tab of the Data Manager, and print them, the likeliest first."""
    from rich.console import Console
    from rich.table import Table

    from backend.rounds.review import TAB, into_tab

    settings, store = _start()
    context = _context(settings, store)
    found, tab = into_tab(context, project, most)
    table = Table("task", "control", "label", "rather", "probability of the label")
    for each in found:
        table.add_row(str(each["task"]), each["control"], each["given"], each["instead"], f"{each['quality']:.3f}")
    Console().print(table if found else f"Project {project}: no label looks wrong.")
    typer.echo(f"The tab '{TAB}' has them: {context.client.url}/projects/{project}/data?tab={tab}")


@app.command()
def options() -> None:
    """Print what can be chosen for a project, as Markdown."""
    from backend.options import as_markdown

    typer.echo(as_markdown(), nl=False)


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="The archive to write, as in backup.tar.gz.")]) -> None:
    """Write state and adapters into one archive, consistent while everything runs."""
    from backend.store.backup import backup as write

    settings, store = _start()
    _require_embedded(store, "back up", "pg_dump and a copy of MODEL_DIR")
    write(settings.model_dir, file)
    typer.echo(f"{file} holds the state of {settings.model_dir} ({file.stat().st_size / 2**20:.1f} MB).")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="An archive that `lsal backup` wrote.")]) -> None:
    """Put an archive in the place of MODEL_DIR, which is kept beside it. Web server and worker must be stopped."""
    from backend.store.backup import restore as put_back

    settings = load_settings()
    logs.set_up(settings.log_level)
    _require_embedded(
        Store(settings.model_dir, settings.database, settings.shared_url),
        "restore",
        "pg_restore and the copy of MODEL_DIR",
    )
    aside = put_back(file, settings.model_dir)
    kept = f" What was there is kept as {aside}." if aside else ""
    typer.echo(f"{settings.model_dir} is as {file} had it; start the backend, and it catches up.{kept}")


@app.command("migrate-to")
def migrate_to(
    url: Annotated[str, typer.Argument(help="An empty database, as in postgresql://user:password@host:5432/name.")],
) -> None:
    """Move the state from SQLite in MODEL_DIR to PostgreSQL. Web server and worker must be stopped."""
    from backend.store.moving import move

    settings = load_settings()
    logs.set_up(settings.log_level)
    moved = move(settings.model_dir, url)
    typer.echo(
        f"{sum(moved.values())} rows are moved: {', '.join(f'{count} {name}' for name, count in moved.items())}. Set "
        "DATABASE_URL for web server and worker, and start them; the state in MODEL_DIR is not used any more."
    )


@app.command()
def disconnect(project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")]) -> None:
    """Leave a project: give back its former sampling and model version, remove queue, webhook and connection."""
    from backend.rounds.disconnect import disconnect as leave

    settings, store = _start()
    leave(_context(settings, store), project)
    typer.echo(f"Project {project} is as it was before. Its adapters and scores stay in {settings.model_dir}.")


@app.command()
def doctor(
    project: Annotated[int | None, typer.Argument(help="Number of a project; default: every connected one.")] = None,
    url: Annotated[str | None, typer.Option(help="This backend's address as Label Studio sees it.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check this installation from end to end, and say what to do. Exit code 1 if there is a problem."""
    from backend.doctor.report import report

    raise typer.Exit(report(_examination(project, url, fix), as_json=as_json))


@app.command()
def demo(
    label_studio: Annotated[Path, typer.Option(help="The label-studio program to start.")] = Path("label-studio"),
    simulate: Annotated[bool, typer.Option(help="Let two simulated annotators work, then stop.")] = False,
    rounds: Annotated[int, typer.Option(help="How many batches the simulated annotators label.", min=1)] = 4,
    kind: Annotated[
        Literal["choices", "multiple", "taxonomy", "rating", "ner", "pairwise", "answers", "several"],
        typer.Option(help="What is labeled."),
    ] = "choices",
    folder: Annotated[Path | None, typer.Option(help="Where to keep the data; default: a temporary folder.")] = None,
) -> None:
    """Start Label Studio with a sample project, connect this backend, and stay up until Ctrl-C."""
    from backend.demo.kinds import KINDS
    from backend.demo.run import run

    raise typer.Exit(run(label_studio, folder, KINDS[kind], simulate_rounds=rounds if simulate else 0))


@app.command()
def simulate(
    train: Annotated[Path, typer.Option(help="Labeled texts to choose from: JSONL, CSV, or Label Studio's JSON.")],
    test: Annotated[Path, typer.Option(help="Labeled texts to measure on.")],
    strategy: Annotated[str, typer.Option(help="Names, separated by commas; 'default' and 'all' are names too.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; a run that was interrupted goes on there.")],
    rounds: Annotated[int, typer.Option(min=1)] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Labels a round.")] = 50,
    seeds: Annotated[int, typer.Option(min=1, help="How often each strategy runs.")] = 5,
    learner: Annotated[
        Literal["probe", "lora"], typer.Option(help="probe: a linear head, seconds a run. lora: the real thing.")
    ] = "probe",
    text: Annotated[str, typer.Option(help="The field that holds the text.")] = "text",
    label: Annotated[str, typer.Option(help="The field that holds the label.")] = "label",
    extra_params: Annotated[str, typer.Option(help="JSON, as in the model's Extra params in Label Studio.")] = "{}",
) -> None:
    """Replay the loop on labeled texts, to see what each strategy would have saved."""
    from backend.simulation.report import report

    quiet_libraries()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    use_cores(spare=0)
    report(
        train, test, strategy.split(","), out, rounds=rounds, batch=batch, seeds=seeds, learner=learner, text=text,
        label=label, extra_params=extra_params, bar=bar,
    )  # fmt: skip


def application() -> Flask:
    """The web application, for a server other than `lsal web`."""
    settings, _ = _start()
    return _flask(settings)


@cache
def open_store() -> Store:
    """The store of this installation, with its tables up to date."""
    return _store(load_settings())


def _examination(project: int | None, url: str | None, fix: bool) -> Iterator[Finding]:
    from backend.doctor.examine import examine
    from backend.doctor.finding import Finding
    from backend.learners.base_model import BaseModels

    quiet_libraries()
    try:
        settings = load_settings()
    except BackendError as error:
        yield Finding("environment", "problem", str(error), "correct the environment variable")
        return
    logging.basicConfig(level=logging.ERROR)
    yield from examine(settings, lambda: _store(settings), BaseModels(), project_id=project, url=url, fix=fix)


def _start() -> tuple[Settings, Store]:
    """Settings, logging, and a store whose tables are up to date."""
    settings = load_settings()
    logs.set_up(settings.log_level)
    return settings, _store(settings)


def _store(settings: Settings) -> Store:
    store = Store(settings.model_dir, settings.database, settings.shared_url)
    store.database.migrate()
    return store


def _require_embedded(store: Store, doing: str, by: str) -> None:
    if store.database.file is None:
        raise BackendError(f"the state is in PostgreSQL; {doing} it there, by {by}")


def _flask(settings: Settings) -> Flask:
    from backend.app import create_app
    from backend.learners.base_model import BaseModels
    from backend.web.serving import Serving

    quiet_libraries()
    store = Store(settings.model_dir, settings.database, settings.shared_url)
    serving = Serving(store, BaseModels())
    threading.Thread(target=serving.warm_up, daemon=True, name="warm-up").start()
    return create_app(settings, store, serving)


def _context(settings: Settings, store: Store) -> Context:
    from backend.labelstudio.client import Client
    from backend.learners.base_model import BaseModels
    from backend.notify import notifier
    from backend.rounds.context import Context

    quiet_libraries()
    url, api_key = settings.label_studio()
    return Context(
        store, Client(url, api_key), BaseModels(), bar,
        keep_adapters=settings.keep_adapters, min_free_mb=settings.min_free_mb, notify=notifier(settings.notify_url),
    )  # fmt: skip
