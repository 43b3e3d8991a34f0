"""Which base models a project may name: its managers are not the operators of this server.

A name can be a folder of this machine or a repository of any size, which is fetched with the operator's token.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from backend.errors import UnsupportedConfigError
from backend.learners.models.loading import FOUR_BITS, is_served
from backend.learners.models.packaged import PACKAGED
from backend.options import AUTO
from backend.settings import Settings
from backend.store import Store


class AllowedBaseModels:
    """The packaged ones, those on the configured server, those in use, and those of `ALLOWED_BASE_MODELS`."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._patterns = [each for each in (settings.allowed_base_models or "").replace(" ", "").split(",") if each]
        self._store = store

    def refuse_other(self, name: str) -> None:
        """Raise `UnsupportedConfigError` with the line that allows it. Does not depend on whether the model exists."""
        plain = name.removesuffix(FOUR_BITS)
        if plain in PACKAGED or plain == AUTO or is_served(name):
            return
        if any(fnmatchcase(plain, pattern) for pattern in self._patterns) or self._in_use(name):
            return
        raise UnsupportedConfigError(
            f"extra_params.base_model: this server does not allow '{name[:100]}'; its operator can, with "
            f"ALLOWED_BASE_MODELS={plain[:100]} in its environment. Allowed: {', '.join([*PACKAGED, *self._patterns])}"
        )

    def _in_use(self, name: str) -> bool:
        """Whether a project was connected with it before this rule existed."""
        return any(each.options.get("base_model") == name for each in self._store.projects.all(connected=False))
