"""The log never contains secrets or texts of tasks, whichever logger writes to it."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from backend.errors import BackendError
from backend.runtime import logs

SECRET = "the text of a task"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """The output to standard error at the lowest level."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("backend", "lsal")}
    logs.set_up("DEBUG")
    stream = io.StringIO()
    (handler,) = root.handlers
    handler.setStream(stream)  # type: ignore[attr-defined]
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)


def test_our_messages_are_logged_at_the_chosen_level(written: io.StringIO) -> None:
    logging.getLogger("backend.rounds").debug("project %d begins", 7)
    assert "DEBUG backend.rounds: project 7 begins" in written.getvalue()


def test_libraries_are_logged_from_warning_on_without_arguments(written: io.StringIO) -> None:
    theirs = logging.getLogger("httpcore.http11")
    theirs.debug("send_request_headers %s", SECRET)
    theirs.info("HTTP Request: %s", SECRET)
    theirs.warning("cannot parse %r", SECRET)
    theirs.error(f"cannot parse {SECRET} either")
    assert "WARNING httpcore.http11: cannot parse %r" in written.getvalue()
    assert "ERROR httpcore.http11: see test_logs.test_libraries_are_logged" in written.getvalue()
    assert SECRET not in written.getvalue()
    assert "HTTP Request" not in written.getvalue()


def test_control_characters_are_escaped(written: io.StringIO) -> None:
    name = "a\n2026-01-01 INFO backend: forged\x1b[31m\u2028\x85"
    logging.getLogger("backend.web").warning("project %s", name)
    try:
        raise BackendError(name)
    except BackendError:
        logging.getLogger("backend.web").exception("it failed")
    assert written.getvalue().count("a\\n2026-01-01 INFO backend: forged\\x1b[31m\\u2028\\x85\n") == 2


def test_exceptions_are_logged_with_stack_and_type_without_message(written: io.StringIO) -> None:
    def inner() -> None:
        raise ValueError(f"could not convert string to float: '{SECRET}'")

    try:
        try:
            inner()
        except ValueError as error:
            raise KeyError(SECRET) from error
    except KeyError:
        logging.getLogger("backend.x").exception("a step failed")
    output = written.getvalue()
    assert SECRET not in output
    assert "builtins.ValueError" in output
    assert "builtins.KeyError" in output
    assert "in inner" in output


def test_messages_of_our_exceptions_are_logged(written: io.StringIO) -> None:
    try:
        raise BackendError("do this or that")
    except BackendError:
        logging.getLogger("backend.x").exception("a step failed")
    assert "BackendError: do this or that" in written.getvalue()
