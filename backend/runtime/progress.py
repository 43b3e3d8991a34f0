"""Progress of long work, on a terminal or in the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bars

from backend.learners.base import Progress


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A progress bar on a terminal; elsewhere a log line at each 10 %."""
    if not sys.stderr.isatty():
        yield _LoggedProgress(title)
        return
    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


class _LoggedProgress:
    """Logs the progress at each 10 %."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._tenth = 0

    def __call__(self, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        if tenth > self._tenth:
            self._tenth = tenth
            logging.getLogger("lsal").info("%s: %d %%", self._title, 10 * tenth)
