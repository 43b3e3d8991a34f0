"""The command `lsal`, and the composition root: the only place that builds concrete classes."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from backend.errors import BackendError
from backend.settings import Settings, load_settings
from backend.store import Store

if TYPE_CHECKING:  # torch and transformers take seconds to import: only the commands that need them do
    from flask import Flask

    from backend.doctor.finding import Finding
    from backend.learners.base import Progress
    from backend.rounds.context import Context

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Active learning for Label Studio.")


def main() -> None:
    """Run the command; what the backend refuses is said in one line, without a traceback."""
    try:
        app()
    except BackendError as error:
        typer.secho(f"lsal: {error}", fg="red", err=True)
        sys.exit(1)


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
    from backend.rounds.worker import work
    from backend.rounds.workflow import Rounds

    settings, store = _start()
    _use_cores(spare=1)
    rounds = Rounds(_context(settings, store), settings.model_dir, settings.executor_id)
    work(rounds, store, settings)


@app.command("round")
def round_(project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")]) -> None:
    """Ask for a round now, whatever the number of new labels."""
    from backend.rounds.reasons import ROUND_REQUESTED

    _, store = _start()
    found = store.projects.get(project)
    if found is None or not found.connected:
        raise BackendError(f"project {project} is not connected to this backend; connect it in its Settings → Model")
    store.events.add(project, ROUND_REQUESTED)
    typer.echo(f"A round of project {project} will begin as soon as the worker is free.")


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
    _use_cores(spare=0)
    report(
        train, test, strategy.split(","), out, rounds=rounds, batch=batch, seeds=seeds, learner=learner, text=text,
        label=label, extra_params=extra_params, bar=bar,
    )  # fmt: skip


def application() -> Flask:
    """The web application, for a server other than `lsal web`."""
    settings, _ = _start()
    return _flask(settings)


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
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpcore", "alembic", "filelock", "urllib3", "dbos"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
    return settings, _store(settings)


def _store(settings: Settings) -> Store:
    store = Store(settings.model_dir)
    store.database.migrate()
    return store


def _flask(settings: Settings) -> Flask:
    from backend.app import create_app
    from backend.learners.base_model import BaseModels
    from backend.web.serving import Serving

    quiet_libraries()
    store = Store(settings.model_dir)
    serving = Serving(store, BaseModels())
    threading.Thread(target=serving.warm_up, daemon=True, name="warm-up").start()
    return create_app(settings, store, serving)


def _context(settings: Settings, store: Store) -> Context:
    from backend.labelstudio.client import Client
    from backend.learners.base_model import BaseModels
    from backend.rounds.context import Context

    quiet_libraries()
    url, api_key = settings.label_studio()
    return Context(store, Client(url, api_key), BaseModels(), settings.basic_auth, bar)


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A progress bar on a terminal; elsewhere a log line now and then."""
    from rich.progress import Progress as Bars

    if not sys.stderr.isatty():
        yield _LoggedProgress(title)
        return
    from rich.console import Console

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


class _LoggedProgress:
    """Says how far the work is at each tenth."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._tenth = 0

    def __call__(self, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        if tenth > self._tenth:
            self._tenth = tenth
            logging.getLogger("lsal").info("%s: %d %%", self._title, 10 * tenth)


def _use_cores(*, spare: int) -> None:
    import torch

    # Of the processors this process may run on, which a container's or taskset's limit makes fewer.
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, there - spare))


def quiet_libraries() -> None:
    """No progress bars of weights in a server's log."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    # peft calls a name that transformers is about to drop, at every training.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
