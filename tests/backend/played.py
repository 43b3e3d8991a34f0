"""A project as real rounds with a tiny model left it, for whoever shows one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

from backend.labelstudio.predictions import queue_version
from backend.learners.models.cache import BaseModels
from backend.rounds.context import Context
from backend.store import Store
from tests.backend.steps import play
from tests.backend.web.test_ml import CONFIG
from tests.conftest import CLASSES, WORDS, labeled_sentences

COUNT = 90
WRONG = (4, 10, 25)  # texts of a fruit that are called tools
OPTIONS = {
    "batch_size": 8, "min_steps": 60, "epochs": 1, "learning_rate": 5e-3, "max_length": 32, "cold_start_per_class": 0,
    "audit_share": 0.3, "target": 0.9,
}  # fmt: skip


@contextlib.contextmanager
def no_bar(title: str) -> Any:
    """Work without a progress bar."""
    yield lambda done, total: None


@pytest.fixture(scope="session")
def played_folder(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Project 7 after three rounds: the first queue, and two of labels by two annotators, some of them wrong."""
    context, data = _new(
        tmp_path_factory.mktemp("played"), CONFIG, "Fruit & tools", COUNT, base_model=str(tiny_encoder)
    )
    for number, labeled in enumerate((0, 30, 60), 1):
        _label(context.store, data[:labeled])
        _round(context, number)
    return context.store.files.root


@pytest.fixture
def played(played_folder: Path, tmp_path: Path) -> Store:
    """A copy of it to change."""
    return _copy(played_folder, tmp_path)


SEVERAL = """<View><Text name="text" value="$text"/>
<Choices name="topics" toName="text" choice="multiple"><Choice value="fruit"/><Choice value="tool"/></Choices>
<Labels name="words" toName="text"><Label value="Fruit"/><Label value="Tool"/></Labels>
<Rating name="stars" toName="text" maxRating="5"/><TextArea name="note" toName="text"/></View>"""


@pytest.fixture(scope="session")
def several_folder(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Project 7 with several controls, after two rounds."""
    others = {"base_model": str(tiny_encoder), "ignore_controls": ["note"], "target": {"topics": 0.9}}
    context, data = _new(tmp_path_factory.mktemp("several"), SEVERAL, "Several", 40, **others)
    for number, labeled in enumerate((0, 30), 1):
        for task, (text, label) in enumerate(data[:labeled], 1):
            context.store.of(7).tasks.put_annotations([(task, _said(text, label), True, False)])
        _round(context, number)
    return context.store.files.root


@pytest.fixture
def several(several_folder: Path, tmp_path: Path) -> Store:
    """A copy of it to change."""
    return _copy(several_folder, tmp_path)


# Class names and a control's, as somebody would choose who wants scripts to run or links to be followed.
HOSTILE = {
    "fruit": "</script><script>document.title='evil'</script>",
    "tool": '<a href="javascript:document.title=\'evil\'">x</a> <a href="https://evil.example/">Sign in again</a>',
    "animal": "<img src=x onerror=\"document.title='evil'\">",
}
HOSTILE_CONTROL = "{{7*7}} [/b] `code` <b>bold</b><br>x"


@pytest.fixture
def hostile(tiny_encoder: Path, tmp_path: Path) -> Store:
    """Project 7 with such names, after two rounds; title and texts are of the same kind."""
    config = CONFIG.replace('"topic"', quoteattr(HOSTILE_CONTROL))
    for name, evil in HOSTILE.items():
        config = config.replace(f'"{name}"', quoteattr(evil))
    title = "<svg onload=\"document.title='evil'\">"
    context, data = _new(tmp_path / "hostile", config, title, 60, base_model=str(tiny_encoder))
    tasks = context.store.of(7).tasks
    evil = " ".join(HOSTILE.values())
    tasks.put_texts([(task, f"{text} {evil}") for task, (text, _) in enumerate(data, 1)], seed=0, audit_share=0.3)
    for number, labeled in enumerate((0, 40), 1):
        for task, (_, label) in enumerate(data[:labeled], 1):
            tasks.put_annotations([(task, {HOSTILE_CONTROL: HOSTILE[label]}, True, False)])
        _round(context, number)
    return _copy(context.store.files.root, tmp_path)


def _new(folder: Path, config: str, title: str, count: int, **options: Any) -> tuple[Context, list[tuple[str, str]]]:
    store = Store(folder)
    store.database.migrate()
    store.projects.connect(7, label_config=config, options={**OPTIONS, **options}, host="b.local")
    store.projects.set(7, title=title, webhook_ready=True)
    data = labeled_sentences(count)
    store.of(7).tasks.put_texts([(i, text) for i, (text, _) in enumerate(data, 1)], seed=0, audit_share=0.3)
    return Context(store=store, client=None, models=BaseModels(), bar=no_bar), data  # type: ignore[arg-type]


def _copy(folder: Path, to: Path) -> Store:
    store = Store(Path(shutil.copytree(folder, to / "copy")))
    store.workers.beat("worker-1", None)
    return store


def _said(text: str, label: str) -> dict[str, Any]:
    spans = [
        [text.index(word), text.index(word) + len(word), name]
        for name, words in (("Fruit", WORDS["fruit"]), ("Tool", WORDS["tool"]))
        for word in words
        if word in text.split()
    ]
    topics = [] if label == "animal" else [label]
    return {"topics": topics, "words": sorted(spans), "stars": 1.0 + CLASSES.index(label)}


def _label(store: Store, data: list[tuple[str, str]]) -> None:
    for task, (_, label) in enumerate(data, 1):
        given = "tool" if task in WRONG else label
        store.of(7).tasks.put_annotations([(task, {"topic": given}, True, False)])
        said = [
            {"id": 10 * task + who, "annotator": who, "skipped": False, "seconds": 6.0 * who, "labels": {"topic": each}}
            for who, each in ((1, given), (2, label))
        ]
        store.of(7).tasks.put_annotations([], {task: said})


def _round(context: Context, number: int) -> None:
    def store_queue(version: int, queue: int) -> None:
        context.store.projects.add_published(7, queue, queue_version(7, version, queue))
        context.store.of(7).rounds.set(number, queue=queue)

    play(context, number, store_queue=store_queue)


def mark_truths(store: Store, task_ids: Iterable[int]) -> None:
    """Make the labels of these tasks ground truth to evaluate with."""
    labels = {each.id: each.values for audit in (False, True) for each in store.of(7).tasks.labeled(audit=audit)}
    store.of(7).tasks.put_annotations([(task_id, labels[task_id], True, False, True) for task_id in task_ids])


def project_of(store: Store) -> Any:
    found = store.projects.get(7)
    assert found is not None
    return found
