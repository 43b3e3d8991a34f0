"""Labeled texts from a file: JSONL, CSV, or a JSON export of Label Studio."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from backend.errors import BackendError


class DataError(BackendError):
    """A file cannot be read as labeled texts; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Labeled:
    """N texts and the class of each."""

    texts: Sequence[str]
    labels: Sequence[str]

    @property
    def fingerprint(self) -> str:
        """Equal for equal texts and labels."""
        return sha256(json.dumps([list(self.texts), list(self.labels)]).encode()).hexdigest()[:16]


def read(path: Path, text: str = "text", label: str = "label") -> Labeled:
    """The texts and labels of a file, by the names of its fields; rows without a label are left out.

    In a Label Studio export `text` names the field of a task's data and `label` may be left at its default: an
    annotation's choice, or the column of a JSON-MIN export that holds one. Raises `DataError`.
    """
    try:
        content = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}") from None
    try:
        rows = list(_rows(path, content))
    except (json.JSONDecodeError, csv.Error) as error:
        raise DataError(f"{path} is neither JSONL, CSV nor a JSON export of Label Studio: {error}") from None
    found: list[tuple[str, str]] = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise DataError(f"{path}, row {number}: an object with '{text}' and '{label}' was expected")
        source = row["data"] if isinstance(row.get("data"), Mapping) else row
        if text not in source:
            names = ", ".join(sorted(map(str, source)))
            raise DataError(f"{path}, row {number} has no field '{text}'; it has {names}. Name the field with --text")
        value = _choice(row["annotations"]) if isinstance(row.get("annotations"), list) else row.get(label)
        if value is None and "annotations" not in row and label not in row:
            raise DataError(f"{path}, row {number} has no field '{label}'. Name the field with --label")
        if value not in (None, ""):
            found.append((str(source[text]), str(value)))
    if len({value for _, value in found}) < 2:
        raise DataError(f"{path} holds labels of fewer than two classes; at least two are needed")
    texts, labels = zip(*found, strict=True)
    return Labeled(texts, labels)


def _rows(path: Path, content: str) -> Iterable[Any]:
    if path.suffix.lower() == ".csv":
        return csv.DictReader(content.splitlines(keepends=True))
    if content.lstrip().startswith("["):
        exported = json.loads(content)
        return exported if isinstance(exported, list) else [exported]
    return (json.loads(line) for line in content.splitlines() if line.strip())


def _choice(annotations: Iterable[Any]) -> str | None:
    """The class that most annotators chose, ground truth before all; None if nobody did, or they are tied."""
    submitted = [a for a in annotations if isinstance(a, Mapping) and not a.get("was_cancelled")]
    truths = [a for a in submitted if a.get("ground_truth")]
    votes: Counter[str] = Counter()
    for annotation in truths or submitted:
        for region in annotation.get("result") or ():
            chosen = (region.get("value") or {}).get("choices") or []
            if region.get("type") == "choices" and len(chosen) == 1:
                votes[str(chosen[0])] += 1
    most = max(votes.values(), default=0)
    winners = [name for name, count in votes.items() if count == most]
    return winners[0] if len(winners) == 1 else None
