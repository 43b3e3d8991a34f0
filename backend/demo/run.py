"""`lsal demo`: Label Studio with a sample project, and this backend connected to it, on one machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress as Bars
from rich.table import Table

from backend.demo.finish import finish
from backend.demo.kinds import DemoKind, Example
from backend.demo.label_studio import Annotator, LabelStudioServer
from backend.errors import BackendError, LabelStudioError
from backend.evaluation.measures import measure
from backend.labelstudio.annotations import values_of
from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.predictions import spelled
from backend.store import Store
from backend.store.sql.models import Round

LABEL_STUDIO_PORT, BACKEND_PORT = 8080, 9090
_BATCH, _SEED = 20, 7
_SCORES = {
    "classification": "accuracy", "multilabel": "micro-F1", "regression": "mean error", "spans": "span F1",
    "pairwise": "accuracy", "generation": "chrF",
}  # fmt: skip
_PATIENCE = 900.0  # seconds for one round


def run(program: Path, folder: Path | None, kind: DemoKind, *, simulate_rounds: int) -> int:
    """Start everything; then wait for Ctrl-C, or simulate annotators for `simulate_rounds` batches. The exit code."""
    console = Console(width=max(100, Console().width))
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell starts background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lsal-demo-")))
        for port in (LABEL_STUDIO_PORT, BACKEND_PORT):
            _must_be_free(port)
        try:
            with console.status("Starting Label Studio (half a minute, the first time longer) …"):
                server = stack.enter_context(LabelStudioServer(program, folder / "label-studio", LABEL_STUDIO_PORT))
            with console.status("Starting the backend …"):
                stack.enter_context(_backend(server, folder / "backend"))
            written = kind.grammar.write(kind.pool + kind.held_back, _SEED)
            pool, held_back = kind.examples(written[: kind.pool]), kind.examples(written[kind.pool :])
            project_id = _project(server, pool, kind)
            console.print(f"Label Studio: {server.url}/projects/{project_id}/data", highlight=False)
            console.print(f"Sign in as:   {server.owner.email}   password: {server.owner.password}", highlight=False)
            console.print(
                f"Backend:      http://localhost:{BACKEND_PORT} (connected: Settings → Model)", highlight=False
            )
            console.print(f"Dashboard:    http://localhost:{BACKEND_PORT}/ui/", highlight=False)
            if simulate_rounds:
                _simulate(
                    console, server, Store(folder / "backend"), project_id, kind, pool, held_back, simulate_rounds
                )
            else:
                console.print("Press Label All Tasks there. A round starts after every 20 labels. Ctrl-C stops it.")
                threading.Event().wait()
        except KeyboardInterrupt:
            console.print("Stopping …")
    return 0


def _must_be_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            raise BackendError(f"port {port} is in use; stop the program that uses it and start again") from None


@contextmanager
def _backend(server: LabelStudioServer, folder: Path) -> Iterator[None]:
    """Run `lsal serve` as a child process."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "LABEL_STUDIO_URL": server.url,
        "LABEL_STUDIO_API_KEY": server.owner.token,
        "MODEL_DIR": str(folder),
        "PORT": str(BACKEND_PORT),
    }
    with (folder / "backend.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "backend", "serve"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches it only once, through this process
        )
    try:
        deadline = time.monotonic() + 180
        while not _up():
            if process.poll() is not None or time.monotonic() > deadline:
                tail = (folder / "backend.log").read_text("utf-8", "replace")[-2000:]
                raise BackendError(f"the backend did not start; the end of its log:\n{tail}")
            time.sleep(0.3)
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _up() -> bool:
    try:
        return httpx.get(f"http://localhost:{BACKEND_PORT}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _project(server: LabelStudioServer, pool: list[Example], kind: DemoKind) -> int:
    """Create the sample project and connect the backend with the API call that the UI makes. Returns its number."""
    headers = {"Authorization": f"Token {server.owner.token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=120) as http:

        def post(path: str, body: Any) -> Any:
            answer = http.post(path, json=body)
            if answer.status_code >= 400:
                raise LabelStudioError(f"Label Studio refused {path}: {answer.text[:300]}")
            return answer.json()

        project_id = int(post("/api/projects/", {"title": "Support tickets", "label_config": kind.config})["id"])
        post(f"/api/projects/{project_id}/import", [dict(example.data) for example in pool])
        model = {
            "url": f"http://localhost:{BACKEND_PORT}",
            "title": "Active learning",
            "project": project_id,
            "extra_params": {"batch_size": _BATCH, **kind.options},
        }
        post("/api/ml/", model)
    return project_id


def _simulate(
    console: Console,
    server: LabelStudioServer,
    store: Store,
    project_id: int,
    kind: DemoKind,
    pool: list[Example],
    held_back: list[Example],
    wanted: int,
) -> None:
    """Let two annotators label `wanted` batches, and print a table with a row per round."""
    spec = parse(kind.config)
    truth = {text_of(example.data, spec): example.values for example in pool}
    scores = [f"{target.name}: {_SCORES[target.kind]}*" for target in spec.targets]
    annotators = [Annotator(server.url, server.sign_up(f"annotator{n}@example.com").token) for n in (1, 2)]
    table = Table("round", "labels", "adapter", *scores, "train s", "score s", "publish s", "to queue s")
    with Bars(console=console, transient=True) as bars:
        work = bars.add_task("Two annotators are labeling", total=wanted * _BATCH)
        _wait_for_round(store, project_id, 1)
        for number in range(1, wanted + 1):
            for count in range(_BATCH):
                annotator = annotators[count % len(annotators)]
                task = annotator.next_task(project_id)
                if task is None:
                    raise LabelStudioError("Label Studio has no more tasks to label")
                text = text_of(task["data"], spec)
                annotator.submit(task["id"], spelled(spec, truth[text], text))
                bars.advance(work)
            submitted = time.time()
            done = _wait_for_round(store, project_id, number + 1)
            took = (done.finished_at or time.time()) - submitted
            table.add_row(*_row(done, project_id, _held_back(project_id, held_back, kind), took))
    console.print(table)
    console.print(
        f"* on {len(held_back)} tasks outside the project; to queue: from the last label of a batch to the new queue",
        highlight=False,
    )
    finish(console, store, project_id, spec, annotators, truth)
    for annotator in annotators:
        annotator.close()


def _wait_for_round(store: Store, project_id: int, number: int) -> Round:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        found = store.of(project_id).rounds.get(number)
        if found is not None and found.state == "done":
            return found
        if found is not None and found.state == "failed":
            raise BackendError(f"round {number} failed: {found.error}")
        time.sleep(0.3)
    raise BackendError(f"round {number} did not finish within {_PATIENCE:.0f} s")


def _held_back(project_id: int, held_back: list[Example], kind: DemoKind) -> list[float]:
    """Score of each control on texts outside the project, with predictions from /predict."""
    tasks = [{"id": number, "data": dict(example.data)} for number, example in enumerate(held_back)]
    body = {"tasks": tasks, "project": f"{project_id}.0", "label_config": kind.config}
    answer = httpx.post(f"http://localhost:{BACKEND_PORT}/predict", json=body, timeout=300)
    answer.raise_for_status()
    spec = parse(kind.config)
    given = [values_of(result or {}, spec) for result in answer.json()["results"]]
    scores = []
    for target in spec.targets:
        predictions = [values.get(target.name, 0.0 if target.kind == "regression" else None) for values in given]
        scores.append(
            float(measure(target, [example.values[target.name] for example in held_back], predictions)["score"])
        )
    return scores


def _row(done: Round, project_id: int, scores: list[float], took: float) -> list[str]:
    seconds = [f"{done.seconds.get(step, 0.0):.1f}" for step in ("train", "score", "publish")]
    return [
        str(done.number),
        str(done.labels),
        f"p{project_id}-a{done.adapter}",
        *(f"{score:.3f}" for score in scores),
        *seconds,
        f"{took:.1f}",
    ]
