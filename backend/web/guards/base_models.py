"""Which base models a project may name: its managers are not the operators of this server.

A name can be a folder of this machine or a repository of any size, which is fetched with the operator's token.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from backend.errors import UnsupportedConfigError
from backend.learners.models.loading import FOUR_BITS, is_served
from backend.learners.models.packaged import PACKAGED
from backend.options import AUTO, ProjectOptions
from backend.settings import Settings
from backend.store import Store


class AllowedBaseModels:
    """The packaged ones, those on the configured server, those in use, and those of `ALLOWED_BASE_MODELS`."""

    def __init__(self, settings: Settings, store: Store) -> None:
        named = (settings.allowed_base_models or "").split(",")
        self._patterns = [each.strip() for each in named if each.strip()]
        self._store = store

    def refuse_other(self, project_id: int, name: str) -> None:
        """Raise `UnsupportedConfigError` with the line that allows it. Does not depend on whether the model exists."""
        plain = name.removesuffix(FOUR_BITS)
        if plain in PACKAGED or is_served(name) or name in (AUTO, ProjectOptions.from_extra_params({}).base_model):
            return
        inside = ".." not in plain.split("/")  # of the folder that a pattern names
        if inside and any(fnmatchcase(plain, pattern) for pattern in self._patterns):
            return
        known = self._store.projects.get(project_id)
        if known is not None and known.options.get("base_model") == name:  # since before this rule existed
            return
        raise UnsupportedConfigError(
            f"extra_params.base_model: this server does not allow '{name[:100]}', but {', '.join(PACKAGED)}; its "
            f"operator can add it to the list ALLOWED_BASE_MODELS (ALLOWED_BASE_MODELS={plain[:100]})"
        )
