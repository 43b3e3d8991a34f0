"""The model's labels of new texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from backend.errors import BackendError
from backend.labelstudio.label_config.inputs import fields_of, text_of
from backend.labelstudio.predictions import answered
from backend.learners.base import Arrays, Progress
from backend.rounds.context import spec_of
from backend.store.sql.models import Project
from backend.targets import Target

_AT_ONCE = 512  # texts


class NewTextsError(BackendError):
    """The texts cannot be labeled."""


def predicted(
    predict: Callable[[int, Sequence[str]], tuple[str, Sequence[Target], Arrays]],
    project: Project,
    rows: Sequence[Any],
    progress: Progress,
) -> Iterator[str]:
    """Each row as a line of JSON with `labels` and `confidences` by control, and the `model_version`.

    predict: as `Serving.predict`. rows: objects with the fields of the project's tasks. Raises `NewTextsError` if the
    project has no model, or a row has no text.
    """
    if not project.adapter:
        raise NewTextsError(f"project {project.id} has no model yet; label a batch of tasks first")
    spec = spec_of(project)
    texts = []
    for number, row in enumerate(rows, start=1):
        data = row["data"] if isinstance(row, Mapping) and isinstance(row.get("data"), Mapping) else row
        text = text_of(data, spec)
        if not text.strip():
            read, there = (", ".join(each) for each in ([each.value for each in spec.inputs], fields_of(data)))
            raise NewTextsError(
                f"row {number} has no text in the fields that project {project.id} reads ({read}); it has: "
                f"{there or 'no fields'}"
            )
        texts.append(text)
    for start in range(0, len(texts), _AT_ONCE):
        some = texts[start : start + _AT_ONCE]
        version, targets, outputs = predict(project.id, some)
        for place, text in enumerate(some):
            labels, confidences = answered(spec, targets, outputs, place, text)
            found = {"labels": labels, "confidences": confidences, "model_version": version}
            yield json.dumps({**rows[start + place], **found}, ensure_ascii=False) + "\n"
        progress(start + len(some), len(texts))
