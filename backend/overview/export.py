"""All labels of a project in one file: those of people, and those of the model that were taken."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from backend.errors import BackendError
from backend.labelstudio.label_config.task_spec import TaskSpec
from backend.labelstudio.predictions import adapter_version, spelled
from backend.rounds.context import spec_of
from backend.store import Store
from backend.store.sql.models import Project

_ABOUT = ("task", "text", "by", "confidence", "adapter", "annotators", "held_out")  # columns before those of controls


class Row(TypedDict):
    """A labeled task."""

    task: int
    text: str
    labels: Annotated[dict[str, Any], Field(description="By control")]
    by: Literal["person", "model"]
    confidence: Annotated[float | None, Field(description="Of the model; null for a person's label")]
    adapter: Annotated[str | None, Field(description="Version of the model; null for a person's label")]
    annotators: Annotated[list[str], Field(description="Names, or numbers where Label Studio does not give them")]
    held_out: Annotated[bool, Field(description="Measures or tests the model, which has not learned it")]


class ExportError(BackendError):
    """The format is not available."""


def rows(store: Store, project: Project) -> Iterator[Row]:
    """Every labeled task, ordered by number: those of people, then those of the model."""
    mine = store.of(project.id)
    people: dict[int, list[str]] = {}
    for each in mine.annotations.all():
        people.setdefault(each.task_id, []).append(project.annotators.get(str(each.annotator)) or str(each.annotator))
    given = {each.task_id: each for each in mine.finishes.given()}
    for labeled, held_out in mine.tasks.all_labeled():
        given.pop(labeled.id, None)
        yield {
            "task": labeled.id,
            "text": labeled.text,
            "labels": labeled.values,
            "by": "person",
            "confidence": None,
            "adapter": None,
            "annotators": people.get(labeled.id, []),
            "held_out": held_out,
        }
    adapters = {each.number: adapter_version(project.id, each.adapter) for each in mine.finishes.all()}
    texts = mine.tasks.texts(list(given))
    for task_id, answer in given.items():
        if task_id in texts:
            yield {
                "task": task_id,
                "text": texts[task_id].text,
                "labels": answer.labels,
                "by": "model",
                "confidence": answer.confidence,
                "adapter": adapters[answer.finish],
                "annotators": [],
                "held_out": False,
            }


def as_jsonl(_spec: TaskSpec, found: Iterator[Row]) -> Iterator[bytes]:
    """One line of JSON per task."""
    for row in found:
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def as_csv(spec: TaskSpec, found: Iterator[Row]) -> Iterator[bytes]:
    """One column per control; labels with several parts as JSON."""
    line = io.StringIO(newline="")
    writer = csv.DictWriter(line, [*_ABOUT, *(control.name for control in spec.controls)], extrasaction="ignore")
    writer.writeheader()
    for row in found:
        writer.writerow(_flat(row))
        yield line.getvalue().encode()
        line.seek(0)
        line.truncate()
    yield line.getvalue().encode()


def as_parquet(spec: TaskSpec, found: Iterator[Row]) -> Iterator[bytes]:
    """The columns of the CSV. Raises `ExportError` where pyarrow is not installed."""
    try:
        from pyarrow import Table, parquet
    except ImportError:
        raise ExportError("Parquet needs pyarrow: install label-studio-active-learning[parquet]") from None
    names, file = [*_ABOUT, *(control.name for control in spec.controls)], io.BytesIO()
    flat = [_flat(row) for row in found]
    parquet.write_table(Table.from_pylist([{name: row.get(name) for name in names} for row in flat]), file)
    yield file.getvalue()


def as_label_studio(spec: TaskSpec, found: Iterator[Row]) -> Iterator[bytes]:
    """Tasks as Label Studio imports them: a person's labels as an annotation, the model's as a prediction."""
    field = _field(spec)
    yield b"["
    for number, row in enumerate(found):
        labels: dict[str, Any] = {"result": spelled(spec, _known(spec, row["labels"]), row["text"])}
        task: dict[str, Any] = {"id": row["task"], "data": {field: row["text"]}}
        if row["by"] == "person":
            task["annotations"] = [labels]
        else:
            task["predictions"] = [{**labels, "score": row["confidence"], "model_version": row["adapter"]}]
        yield (b",\n" if number else b"\n") + json.dumps(task, ensure_ascii=False).encode()
    yield b"\n]\n"


FORMATS: Mapping[str, tuple[Callable[[TaskSpec, Iterator[Row]], Iterator[bytes]], str, str]] = {
    "jsonl": (as_jsonl, "jsonl", "application/jsonl"),
    "csv": (as_csv, "csv", "text/csv"),
    "parquet": (as_parquet, "parquet", "application/vnd.apache.parquet"),
    "label-studio": (as_label_studio, "json", "application/json"),
}  # by name: writer, ending of the file's name, media type


def export(store: Store, project: Project, name: str) -> Iterator[bytes]:
    """The file in parts. name: one of `FORMATS`. Raises `ExportError`."""
    return FORMATS[name][0](spec_of(project), rows(store, project))


def _flat(row: Row) -> dict[str, Any]:
    """A row as columns."""
    labels = {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
        for name, value in row["labels"].items()
    }
    return {**row, "annotators": ", ".join(row["annotators"]), **labels}


def _field(spec: TaskSpec) -> str:
    """The field of the task's data with the text; `text` where several fields are read as one."""
    value = spec.inputs[0].value if len(spec.inputs) == 1 else ""
    return value[1:] if value.startswith("$") and value[1:].isidentifier() else "text"


def _known(spec: TaskSpec, labels: Mapping[str, Any]) -> dict[str, Any]:
    """The labels that are still valid for the label config."""
    targets = {control.name: control.target for control in spec.controls}
    return {name: value for name, value in labels.items() if name in targets and targets[name].offers(value)}
