"""Labeled texts from a file: JSONL, CSV, TSV, or a JSON export of Label Studio."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from backend.labelstudio.annotations import state_of
from backend.labelstudio.controls.tree import joined
from backend.labelstudio.label_config.task_spec import Control, TaskSpec
from backend.targets import Target
from backend.text_files import DataError, read_rows

_EVERY = 5  # of a class, every fifth text is tested on


@dataclass(frozen=True, slots=True)
class Labeled:
    """N texts and the class of each."""

    texts: Sequence[str]
    labels: Sequence[str]

    @property
    def fingerprint(self) -> str:
        """Hash of texts and labels."""
        return sha256(json.dumps([list(self.texts), list(self.labels)]).encode()).hexdigest()[:16]


def read(path: Path, text: str = "text", label: str = "label") -> Labeled:
    """Read texts and labels from a file by field names; rows without a text or a label are skipped.

    In a full JSON export of Label Studio, `text` names a field of the task's data, and `label` the control whose
    choices are read; it may be omitted if there is only one. Raises `DataError`.
    """
    rows = read_rows(path)
    spec = _spec(path, rows, label)
    found: list[tuple[str, str]] = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise DataError(f"{path}, row {number}: expected an object with '{text}' and '{label}'")
        source = row["data"] if isinstance(row.get("data"), Mapping) else row
        if text not in source:
            names = ", ".join(sorted(map(str, source)))
            raise DataError(f"{path}, row {number} has no field '{text}'; it has {names}. Name the field with --text")
        if isinstance(row.get("annotations"), list):
            value = state_of(0, row["annotations"], spec).values.get(spec.controls[0].name)
        elif label in row:
            value = row[label]
        else:
            raise DataError(f"{path}, row {number} has no field '{label}'. Name the field with --label")
        if isinstance(value, list | Mapping):
            raise DataError(f"{path}, row {number}: '{label}' holds several values; expected one class per text")
        if value not in (None, "") and source[text] is not None:
            found.append((str(source[text]), str(value)))
    if len({value for _, value in found}) < 2:
        raise DataError(f"{path} holds labels of fewer than two classes; at least two are needed")
    texts, labels = zip(*found, strict=True)
    return Labeled(texts, labels)


def split(labeled: Labeled) -> tuple[Labeled, Labeled]:
    """Most texts to choose from, and of each class every fifth one to test on, never its only one. Deterministic.

    A text that occurs several times is not tested on if it can also be chosen.
    """
    by_class: dict[str, list[int]] = {}
    for row in np.random.default_rng(0).permutation(len(labeled.texts)).tolist():
        by_class.setdefault(labeled.labels[row], []).append(row)
    tested = {row for rows in by_class.values() for row in rows[1::_EVERY]}
    train = [row for row in range(len(labeled.texts)) if row not in tested]
    known = {labeled.texts[row] for row in train}
    test = sorted(row for row in tested if labeled.texts[row] not in known)
    if len({labeled.labels[row] for row in test}) < 2:
        raise DataError("there are too few texts to test on some of them; name others with --test")
    to_choose, to_test = (
        Labeled([labeled.texts[row] for row in rows], [labeled.labels[row] for row in rows]) for rows in (train, test)
    )
    return to_choose, to_test


def _spec(path: Path, rows: Iterable[Any], label: str) -> TaskSpec:
    """The control whose choices are the labels: the one named `label`, or the only one."""
    regions = [
        region
        for row in rows
        for annotation in (row.get("annotations") or () if isinstance(row, Mapping) else ())
        for region in annotation.get("result") or ()
        if region.get("type") in ("choices", "taxonomy")
    ]
    names = sorted({str(region.get("from_name")) for region in regions})
    if len(names) > 1 and label not in names:
        raise DataError(f"{path} holds choices of {', '.join(names)}; name one of them with --label")
    name = label if label in names or not names else names[0]
    own = [region for region in regions if region.get("from_name") == name]
    kind = own[0]["type"] if own else "choices"
    chosen = [each for region in own for each in (region.get("value") or {}).get(kind) or ()]
    paths = tuple(dict.fromkeys(tuple(map(str, each)) for each in chosen if isinstance(each, list)))  # nested choices
    target = Target(name, "classification", tuple(joined(paths)))
    return TaskSpec((Control(target, "", kind, paths=paths),), ())
