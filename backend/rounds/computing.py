"""One computation at a time: projects take turns in the order in which they came, and one that hangs is ended."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

_WAIT = 1.0  # seconds between two calls of `meanwhile`


def _end_process() -> None:
    """End this process at once: a thread that computes cannot be ended. The supervisor starts another one."""
    logging.shutdown()
    os._exit(1)


class _Ticket:
    """A place in the line. Its owner may be busy with new labels when its turn comes; then the next one goes first."""

    ready = False


class Computing:
    """The turn to compute. Two models at work would need twice the memory and take as long together.

    patience: seconds that a computation may take without a call of `beat`; then `give_up` is called.
    """

    def __init__(self, patience: float = math.inf, give_up: Callable[[], None] = _end_process) -> None:
        self._patience, self._give_up = patience, give_up
        self._line: deque[_Ticket] = deque()
        self._changed = threading.Condition()
        self._thread: int | None = None  # that computes
        self._beat = 0.0

    @contextmanager
    def turn(self, what: str, meanwhile: Callable[[], None]) -> Iterator[None]:
        """Wait for the turn and keep it. Step by step the turn goes round the projects.

        what: the computation, for the log. meanwhile: called about once a second while waiting; may raise.
        """
        ticket = _Ticket()
        with self._changed:
            self._line.append(ticket)
        try:
            while not self._take(ticket):
                meanwhile()
        finally:
            with self._changed:
                self._line.remove(ticket)
                self._changed.notify_all()
        try:
            with self._watched(what):
                yield
        finally:
            with self._changed:
                self._thread = None
                self._changed.notify_all()

    def beat(self) -> None:
        """Note that the computation makes progress. Ignored in threads that do not have the turn."""
        if threading.get_ident() == self._thread:
            self._beat = time.monotonic()

    def _take(self, ticket: _Ticket) -> bool:
        """Take the turn if it comes within a second."""

        def is_next() -> bool:
            return self._thread is None and next(each for each in self._line if each.ready) is ticket

        with self._changed:
            ticket.ready = True
            if taken := self._changed.wait_for(is_next, _WAIT):
                self._thread = threading.get_ident()
            ticket.ready = False
            self._changed.notify_all()
            return taken

    @contextmanager
    def _watched(self, what: str) -> Iterator[None]:
        ended, self._beat = threading.Event(), time.monotonic()

        def watch() -> None:
            while (left := self._beat + self._patience - time.monotonic()) > 0:
                if ended.wait(min(left, threading.TIMEOUT_MAX)):
                    return
            log.error(
                "%s made no progress for %.0f minutes (MAX_STALL_MINUTES); the worker ends and is started again",
                what, self._patience / 60,
            )  # fmt: skip
            self._give_up()

        threading.Thread(target=watch, daemon=True, name="watch").start()
        try:
            yield
        finally:
            ended.set()
