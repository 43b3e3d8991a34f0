"""A Label Studio in memory, for what a real one cannot be made to do at the right moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.errors import LabelStudioError
from backend.labelstudio.api.responses import AnnotatedTask, ConnectedBackend, ListedTask, ProjectInfo
from tests.backend.web.test_ml import CONFIG

START = datetime(2026, 1, 1, tzinfo=UTC)


class Memory:
    """Tasks with one annotation at most; pages of two; `between` is called after each page."""

    def __init__(self) -> None:
        self.clock = START
        self.config = CONFIG
        self.tasks: dict[int, tuple[dict[str, Any], Any, datetime]] = {}
        self.between: Callable[[], None] = lambda: None
        self.listings = 0
        self.uncounted: set[int] = set()  # tasks with annotations whose count is 0
        self.queue: tuple[str, str] = ("Sequential sampling", "")
        self.existing: set[str] = set()

    def put(self, task_id: int, label: Any = None, **data: Any) -> None:
        """label: a choice, the `value` of a result, or a whole `result`, which is a list."""
        self.clock += timedelta(seconds=1)
        self.tasks[task_id] = (data or {"text": f"t{task_id}"}, label, self.clock)

    def guarded(self, check: Callable[[], None]) -> Memory:
        return self

    def now(self) -> datetime:
        return self.clock

    def project(self, project_id: int) -> ProjectInfo:
        annotated = sum(label is not None for _, label, _ in self.tasks.values())
        return ProjectInfo(
            self.config, *self.queue, len(self.tasks), annotated, shows_predictions=True, overlap=1, title="A project",
            trains_on_submission=False,
        )  # fmt: skip

    def people(self) -> dict[int, str]:
        return {}

    def switch_queue(self, project_id: int, *, sampling: str, model_version: str) -> None:
        if model_version not in self.existing:
            raise LabelStudioError("refused", 400)
        self.queue = (sampling, model_version)

    def versions(self, project_id: int) -> dict[str, int]:
        return dict.fromkeys(self.existing, 1)

    def backends(self, project_id: int) -> list[ConnectedBackend]:
        return [ConnectedBackend(1, "http://b.local:9090", "us", None, {})]

    def webhooks(self, project_id: int) -> list[dict[str, Any]]:
        return []

    def create_webhook(self, values: dict[str, Any]) -> None:
        pass

    def task_ids(self, project_id: int) -> set[int]:
        self.listings += 1
        return set(self.tasks)

    def new_tasks(self, project_id: int, after: int) -> Iterator[list[ListedTask]]:
        for page in self._pages(lambda i: i > after):
            yield [ListedTask(i, d, bool(a), _spell(u)) for i, (d, a, u) in page]

    def changed_tasks(self, project_id: int, since: str, up_to: int) -> Iterator[list[AnnotatedTask]]:
        yield from self._annotated(lambda i: i <= up_to and _spell(self.tasks[i][2]) > since)

    def annotated_tasks(self, project_id: int, up_to: int) -> Iterator[list[AnnotatedTask]]:
        yield from self._annotated(lambda i: i <= up_to and bool(self.tasks[i][1]) and i not in self.uncounted)

    def all_tasks(self, project_id: int, up_to: int) -> Iterator[list[AnnotatedTask]]:
        yield from self._annotated(lambda i: i <= up_to)

    def _annotated(self, wanted: Callable[[int], bool]) -> Iterator[list[AnnotatedTask]]:
        for page in self._pages(wanted):
            yield [AnnotatedTask(i, d, [_annotation(i, a)] if a else [], _spell(u)) for i, (d, a, u) in page]

    def _pages(self, wanted: Callable[[int], bool]) -> Iterator[list[Any]]:
        last = 0
        while page := [(i, self.tasks[i]) for i in sorted(self.tasks) if i > last and wanted(i)][:2]:
            last = page[-1][0]
            yield page
            self.between()


def _spell(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _annotation(number: int, label: Any) -> dict[str, Any]:
    value = {"choices": [label]} if isinstance(label, str) else label
    result = [{"from_name": "topic", "type": "choices", "value": value}]
    return {
        "id": number,
        "completed_by": 1,
        "lead_time": 9.0,
        "result": label if isinstance(label, list) else result,
    }
