"""Commands that run the backend: web server, worker, demo."""

from __future__ import annotations

import gc
import socket
from pathlib import Path
from typing import Annotated

import typer

from backend.cli.build import new_app, new_context, start
from backend.cli.group import app
from backend.demo.kinds import KINDS, Name
from backend.runtime.libraries import share_arenas, use_cores


@app.command()
def serve() -> None:
    """Run web server and worker together."""
    from backend.runtime.processes import both

    settings, store = start()
    store.database.close()  # no child may inherit a connection
    settings.label_studio()
    raise typer.Exit(both(settings, _serve, _work))


@app.command()
def web() -> None:
    """Run the web server, which answers Label Studio."""
    from backend.runtime import logs
    from backend.runtime.processes import web as run
    from backend.settings import load_settings

    settings = load_settings()
    logs.set_up(settings.log_level)
    raise typer.Exit(run(settings, _serve))


@app.command()
def worker() -> None:
    """Run the worker, which trains and publishes queues."""
    _work()


def _serve(listening: socket.socket | None) -> None:
    """Answer requests in this process. listening: the socket that several processes share."""
    from backend.runtime import web_server

    share_arenas()
    settings, _ = start()
    listening = listening or web_server.listen(settings)  # first: it refuses a port that is taken
    served = new_app(settings)
    gc.freeze()  # what is imported stays: no collection needs to visit it, which takes 0.3 s
    web_server.run(served, listening, settings)


def _work(_listening: socket.socket | None = None) -> None:
    """Run rounds in this process."""
    from backend.labelstudio.api.client import Client
    from backend.rounds.engine.heartbeat import Heartbeat
    from backend.rounds.engine.worker import work
    from backend.rounds.engine.workflow import RoundExecutor

    settings, store = start()
    use_cores(spare=1)
    context = new_context(settings, store)
    heartbeat = Heartbeat(store, Client(*settings.label_studio(), timeout=10.0), settings.executor)
    work(lambda: RoundExecutor(context, settings.model_dir, settings.executor), store, heartbeat, settings)


@app.command()
def demo(
    label_studio: Annotated[Path, typer.Option(help="Path of the label-studio program.")] = Path("label-studio"),
    simulate: Annotated[bool, typer.Option(help="Let two simulated annotators label, then stop.")] = False,
    rounds: Annotated[int, typer.Option(help="Number of batches that the simulated annotators label.", min=1)] = 4,
    kind: Annotated[Name, typer.Option(help="Kind of label, or `chinese` texts.")] = "choices",
    folder: Annotated[Path | None, typer.Option(help="Folder for the data. Default: a temporary folder.")] = None,
) -> None:
    """Start Label Studio with a sample project, connect this backend, and run until Ctrl-C."""
    from backend.demo.run import run

    raise typer.Exit(run(label_studio, folder, KINDS[kind], simulate_rounds=rounds if simulate else 0))
