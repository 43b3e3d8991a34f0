"""What is logged: our own words at the chosen level, warnings of others, and never what a task or token says."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType

from backend.errors import BackendError

_OURS = ("backend", "lsal", "gunicorn")
_Caught = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _Discreet(logging.Formatter):
    """Writes where an exception came from and of which kind it is, without its message, which may quote a task's text.

    Messages of our own exceptions are written for people and quote none.
    """

    def formatException(self, ei: _Caught) -> str:  # noqa: N802 (logging's name)
        """The stack and the kinds of the exceptions that led to it."""
        lines: list[str] = []
        error = ei[1]
        while error is not None:
            said = f": {error}" if isinstance(error, BackendError) else ""
            stack = "".join(traceback.format_tb(error.__traceback__))
            lines.insert(0, f"{stack}{type(error).__module__}.{type(error).__qualname__}{said}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n".join(lines)


class _Others(logging.Filter):
    """Lets through what others say only as far as its wording is theirs: arguments may hold anything.

    A message without arguments may have been put together before: of such the place tells, which has the wording.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut the arguments out of foreign records."""
        if not record.name.startswith(_OURS):
            place = f"{record.module}.{record.funcName}, line {record.lineno}"
            record.msg = str(record.msg).partition("\n")[0] if record.args else f"see {place}"
            record.args = None
        return True


def set_up(level: str) -> None:
    """Log to standard error. `level` is that of our own loggers; libraries are heard from WARNING on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_Others())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
