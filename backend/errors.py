"""The exceptions of the backend. A message names what was expected, what came, and what to do."""

from __future__ import annotations


class BackendError(Exception):
    """Base class of all errors that the backend itself raises."""

    exit_code = 1  # of a command that fails with this error


class RefusedStartError(BackendError):
    """The process cannot run with its current settings. A restart would not help."""

    exit_code = 78  # EX_CONFIG of sysexits.h


class InvalidRequestError(BackendError):
    """A malformed request. The response is a 4xx with this message."""

    status = 400


class UnknownError(InvalidRequestError):
    """The project, task, adapter, format or action does not exist."""

    status = 404


class UnsupportedConfigError(InvalidRequestError):
    """The label config or the extra params need something unsupported. Label Studio shows the message."""

    status = 422


class LabelStudioError(BackendError):
    """Label Studio could not be reached, refused a call, or sent an unexpected response.

    `status` is the HTTP status of a refusal.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether the error may be temporary, so that the same call can be repeated."""
        return self.status not in (400, 401, 403, 404)


class FencedError(BackendError):
    """Another process has taken over this one's work. This process must not write any more."""


class CancelledError(BackendError):
    """A round is no longer wanted: it ends before its next training step, and the former adapter serves."""


class TimeOverError(BackendError):
    """A computation took longer than allowed. The project is paused: a repetition would take as long."""


class UnexpectedError(BackendError):
    """An unforeseen error. The log has the traceback."""


class ModelError(BackendError):
    """A base model or an adapter cannot be loaded or trained."""


class BudgetError(ModelError):
    """Calls of a language model would exceed the option `llm_budget`."""


class DamagedError(ModelError):
    """The files of an adapter are damaged or incomplete."""
