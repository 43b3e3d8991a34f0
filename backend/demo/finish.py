"""The end of the simulated demo: the model labels the rest, as far as a random sample proves it right."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bars

from backend.demo.label_studio import Annotator
from backend.errors import BackendError
from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.task_spec import TaskSpec
from backend.labelstudio.predictions import spelled
from backend.rounds import commands
from backend.rounds.context import options_of
from backend.rounds.finishing.answers import obstacle, right
from backend.store import Store
from backend.store.finishes import CERTIFIED, REFUSED, SAMPLING, TAKEN, WHOLE
from backend.store.sql.models import Finish

_ACCURACY = 0.9
_PATIENCE = 600.0  # seconds


def finish(
    console: Console,
    store: Store,
    project_id: int,
    spec: TaskSpec,
    annotators: Sequence[Annotator],
    truth: Mapping[str, Mapping[str, Any]],
) -> None:
    """Let the annotators label a sample, take the labels that it proves, and compare them with the truth, by text."""
    project, mine = store.projects.get(project_id), store.of(project_id)
    assert project is not None
    if (reason := obstacle(spec, options_of(project))) is not None:
        console.print(f"The model cannot label the rest: {reason}")
        return
    commands.finish(store, project_id, accuracy=_ACCURACY, scope=WHOLE)
    if _wait(store, project_id, SAMPLING, REFUSED).state == SAMPLING:
        sample = set(mine.tasks.sampled())
        _until(lambda: _next(store, project_id) in sample)
        with Bars(console=console, transient=True) as bars:
            for annotator, _ in zip(cycle(annotators), bars.track(sample, description="They label a random sample")):
                task = annotator.next_task(project_id)
                if task is None:
                    raise BackendError("Label Studio has no more tasks to label")
                text = text_of(task["data"], spec)
                annotator.submit(task["id"], spelled(spec, truth[text], text))
        if _wait(store, project_id, CERTIFIED, REFUSED).state == CERTIFIED:
            commands.finish_with(store, project_id, "take")
            _wait(store, project_id, TAKEN)
    last = mine.finishes.last()
    assert last is not None
    if last.error is not None:
        console.print(f"The model labels nothing of the rest: {last.error}.")
        return
    given = mine.finishes.given(last.number)
    texts = mine.tasks.texts([each.task_id for each in given])
    wrong = sum(not right(spec, each.labels, truth[texts[each.task_id].text], 0.0) for each in given)
    console.print(
        f"A random sample of {last.labels} tasks proves: {_ACCURACY:.0%} of all tasks are right if the model labels "
        f"{len(given)} of the remaining {mine.tasks.count_open_tasks() + len(given)}. It is wrong on {wrong} of them.",
        highlight=False,
    )


def _next(store: Store, project_id: int) -> int | None:
    """The first task of the published queue."""
    project = store.projects.get(project_id)
    queue = store.of(project_id).rounds.queue(project.queue) if project is not None else []
    return queue[0].task_id if queue else None


def _wait(store: Store, project_id: int, *states: str) -> Finish:
    def there() -> bool:
        last = store.of(project_id).finishes.last()
        return last is not None and last.wanted is None and last.state in states

    _until(there)
    last = store.of(project_id).finishes.last()
    assert last is not None
    return last


def _until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not there():
        if time.monotonic() > deadline:
            raise BackendError(f"the rest was not labeled within {_PATIENCE:.0f} s; see the backend's log")
        time.sleep(0.3)
