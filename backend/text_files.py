"""Files with one text a row: JSONL, CSV, TSV, or a JSON list."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from charset_normalizer import from_bytes

from backend.errors import BackendError

log = logging.getLogger(__name__)
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # the marks at the begin of what spreadsheets call Unicode text


class DataError(BackendError):
    """A file cannot be read; the message states what was expected."""


def read_rows(path: Path) -> list[Any]:
    """The rows of a file, mostly objects. Raises `DataError`."""
    content = _text(path)
    try:
        return list(_rows(path, content))
    except (json.JSONDecodeError, csv.Error) as error:
        raise DataError(f"{path} is neither JSONL, CSV, TSV nor a JSON export of Label Studio: {error}") from None


def _text(path: Path) -> str:
    """The content of a file. Spreadsheets save in older encodings: one that is not UTF-8 is guessed, and logged."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    with suppress(UnicodeDecodeError):
        return content.decode("utf-16" if content[:2] in _UTF_16 else "utf-8-sig")
    guess = from_bytes(content).best()
    if guess is None:
        raise DataError(f"{path} is in an encoding that is not recognised; save it as UTF-8")
    log.warning("%s is not UTF-8 and read as %s; if its texts look wrong, save it as UTF-8", path, guess.encoding)
    return str(guess)


def _rows(path: Path, content: str) -> Iterable[Any]:
    if path.suffix.lower() in _DELIMITERS:
        return csv.DictReader(io.StringIO(content, newline=""), delimiter=_DELIMITERS[path.suffix.lower()])
    if content.lstrip().startswith("["):
        return list(json.loads(content))
    return (json.loads(line) for line in content.split("\n") if line.strip())
