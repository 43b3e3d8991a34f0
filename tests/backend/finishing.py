"""A project whose rest the model can label, without a Label Studio."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backend.errors import LabelStudioError
from backend.labelstudio.api.responses import ProjectInfo
from backend.learners.models.cache import BaseModels
from backend.rounds.context import Context
from backend.store import Store
from tests.backend.played import no_bar
from tests.backend.steps import do, play
from tests.backend.web.test_ml import CONFIG
from tests.conftest import labeled_sentences

COUNT = 500
LABELED = 120


@dataclass
class Annotations:
    """The calls of Label Studio's API that finishing makes, and what they leave."""

    url: str = "http://label-studio.test"
    given: dict[int, dict[str, Any]] = field(default_factory=dict)  # by annotation
    unique: dict[str, int] = field(default_factory=dict)
    published: list[dict[str, Any]] = field(default_factory=list)  # the queue's predictions
    shown: list[dict[str, Any]] = field(default_factory=list)  # predictions of the tab of taken labels
    tabs: list[dict[str, Any]] = field(default_factory=list)
    fails: Callable[[str], bool] = lambda call: False
    refuses: set[int] = field(default_factory=set)  # tasks
    between: Callable[[], None] = lambda: None

    def create_annotation(self, task_id: int, result: list[dict[str, Any]], unique_id: str) -> int | None:
        self.between()
        if self.fails("create"):
            raise LabelStudioError("Label Studio is down")
        if task_id in self.refuses:
            raise LabelStudioError("refused", 400)
        if unique_id in self.unique:
            return None
        self.unique[unique_id] = number = 1000 + len(self.unique)
        self.given[number] = {"id": number, "task": task_id, "result": result, "completed_by": 1, "updated_by": 1}
        return number

    def annotations(self, task_id: int) -> list[dict[str, Any]]:
        return [each for each in self.given.values() if each["task"] == task_id]

    def delete_annotation(self, annotation_id: int) -> None:
        self.given.pop(annotation_id, None)

    def guarded(self, check: Callable[[], None]) -> Annotations:
        return self

    def project(self, project_id: int) -> ProjectInfo:
        return ProjectInfo(
            CONFIG, "Uncertainty sampling", "", COUNT, 0, shows_predictions=True, overlap=1, title="A project",
            trains_on_submission=False,
        )  # fmt: skip

    def task_ids(self, project_id: int) -> set[int]:
        return set(range(1, COUNT + 1))

    def versions(self, project_id: int) -> dict[str, int]:
        return Counter(each["model_version"] for each in self.published)

    def import_predictions(self, project_id: int, predictions: list[dict[str, Any]], *, one_by_one: bool) -> None:
        if self.fails("publish"):
            raise LabelStudioError("Label Studio is down")
        if one_by_one:
            self.shown = list(predictions)
        else:
            self.published = list(predictions)

    def recounts_on_import(self, project_id: int) -> bool:
        return False

    def switch_queue(self, project_id: int, *, sampling: str, model_version: str) -> None:
        pass

    def delete_version(self, project_id: int, version: str) -> None:
        pass

    @contextlib.contextmanager
    def explaining(self, _what: str) -> Iterator[None]:
        yield

    def request(self, method: str, path: str, **values: Any) -> Any:
        """Tabs of the Data Manager."""
        if method == "GET":
            return self.tabs
        self.tabs = [{"id": 1, **values["json"]}]
        return self.tabs[0]


@dataclass
class Finishing:
    """The project, and what its people do."""

    context: Context
    there: Annotations
    truth: dict[int, str]

    @property
    def store(self) -> Store:
        return self.context.store

    def label(self, tasks: list[int], wrong: Callable[[int], bool] = lambda task: False) -> None:
        others = {"fruit": "tool", "tool": "animal", "animal": "fruit"}
        given = {task: others[self.truth[task]] if wrong(task) else self.truth[task] for task in tasks}
        self.store.of(7).tasks.put_annotations([(task, {"topic": name}, True, False) for task, name in given.items()])

    def step(self) -> None:
        do(self.context, "finish")

    def request(self, **values: Any) -> None:
        wanted = {"accuracy": 0.95, "scope": "machine", "tolerance": 0.0, "labels": None} | values
        self.store.of(7).finishes.request(**wanted)
        self.step()

    def state(self) -> str:
        last = self.store.of(7).finishes.last()
        assert last is not None
        return last.state

    def wants(self, what: str) -> None:
        last = self.store.of(7).finishes.last()
        assert last is not None
        assert self.store.of(7).finishes.wish(what)
        self.step()


@pytest.fixture(scope="session")
def trained_folder(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Project 7 after a round that 120 labels taught nearly everything."""
    store = Store(tmp_path_factory.mktemp("finishing"))
    store.database.migrate()
    options = {
        "base_model": str(tiny_encoder), "batch_size": 8, "min_steps": 300, "learning_rate": 5e-3, "audit_share": 0.1,
    }  # fmt: skip
    store.projects.connect(7, label_config=CONFIG, options=options, host="b.local")
    data = labeled_sentences(COUNT)
    store.of(7).tasks.put_texts([(i, text) for i, (text, _) in enumerate(data, 1)], seed=0, audit_share=0.1)
    store.of(7).tasks.put_annotations(
        [(i, {"topic": name}, True, False) for i, (_, name) in enumerate(data[:LABELED], 1)]
    )
    context = Context(store=store, client=None, models=BaseModels(), bar=no_bar)  # type: ignore[arg-type]
    store.projects.set(7, adapter=play(context, 1))
    return store.files.root


@pytest.fixture
def finishing(trained_folder: Path, tmp_path: Path) -> Finishing:
    """A copy of it to change."""
    there, store = Annotations(), Store(Path(shutil.copytree(trained_folder, tmp_path / "copy")))
    context = Context(store=store, client=there, models=BaseModels(), bar=no_bar)  # type: ignore[arg-type]
    return Finishing(context, there, {number: name for number, (_, name) in enumerate(labeled_sentences(COUNT), 1)})
