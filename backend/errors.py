"""The exceptions of the backend. A message says what was expected, what came, and what to do."""

from __future__ import annotations


class BackendError(Exception):
    """Anything that the backend itself refuses or cannot do."""

    exit_code = 1  # of a command that ends with it


class RefusedStartError(BackendError):
    """A process that cannot do its work as things are set up: starting it again would not help."""

    exit_code = 78  # EX_CONFIG of sysexits.h


class InvalidRequestError(BackendError):
    """A request is malformed; answered with a 4xx and this message."""

    status = 400


class UnsupportedConfigError(InvalidRequestError):
    """The label config or the extra params ask for what the backend cannot do; Label Studio shows the message."""

    status = 422


class LabelStudioError(BackendError):
    """Label Studio could not be reached, refused a call, or answered what it should not.

    `status` is the HTTP status of a refusal.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed in a moment."""
        return self.status not in (400, 401, 403, 404)


class FencedError(BackendError):
    """The process was given up, and another goes on with what it was doing: it is to write nothing more."""


class UnexpectedError(BackendError):
    """Something that nobody thought of; the log tells where."""


class ModelError(BackendError):
    """A base model or an adapter cannot be loaded or trained."""


class DamagedError(ModelError):
    """The files of an adapter are not what was written."""
