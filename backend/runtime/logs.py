"""Logging: our messages at the chosen level, warnings of libraries, and never a token or the text of a task."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType

from backend.errors import BackendError

_OURS = ("backend", "lsal")
_Caught = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _Discreet(logging.Formatter):
    """Formats an exception as stack and type, without its message, which may quote the text of a task.

    The message of a `BackendError` is kept: it quotes none. Control characters are escaped: a name from outside cannot
    begin a line of its own, or change the colours of a terminal.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line of a record."""
        return _escaped(super().formatMessage(record))

    def formatException(self, ei: _Caught) -> str:  # noqa: N802 (logging's name)
        """Stack and type of the exception and of those that caused it, the first cause first."""
        lines: list[str] = []
        error = ei[1]
        while error is not None:
            message = f": {_escaped(str(error))}" if isinstance(error, BackendError) else ""
            stack = "".join(traceback.format_tb(error.__traceback__))
            lines.insert(0, f"{stack}{type(error).__module__}.{type(error).__qualname__}{message}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n".join(lines)


def _escaped(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class _Others(logging.Filter):
    """Keeps only the constant part of library messages: arguments may hold a task's text or a token.

    A message without arguments may have been formatted by the caller. It is replaced by the place of the call.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Remove arguments from records of libraries. Drops no record."""
        if not record.name.startswith(_OURS):
            place = f"{record.module}.{record.funcName}, line {record.lineno}"
            record.msg = str(record.msg).partition("\n")[0] if record.args else f"see {place}"
            record.args = None
        return True


def set_up(level: str) -> None:
    """Log to standard error: our loggers from `level` on, libraries from WARNING on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_Others())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
