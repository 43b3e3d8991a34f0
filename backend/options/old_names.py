"""Environment variables of project options without the prefix `LSAL_`: read for one more release. Remove in 0.2.0."""

from __future__ import annotations

import logging
import os

from pydantic_settings import BaseSettings, EnvSettingsSource

log = logging.getLogger(__name__)

_IGNORED = frozenset({"target", "map", "seed", "budget"})  # other programs set variables of these names
_REPORTED = "LSAL_OLD_NAMES_REPORTED"


class OldNames(EnvSettingsSource):
    """Defaults from unprefixed variables whose prefixed variable is not set."""

    def __init__(self, options: type[BaseSettings]) -> None:
        super().__init__(options, env_prefix="")
        prefix = str(options.model_config.get("env_prefix")).lower()
        # `env_vars` has names in lower case, and no empty values.
        found = [name for name in options.model_fields if name in self.env_vars and prefix + name not in self.env_vars]
        self.ignored = [name for name in found if name in _IGNORED]
        self.env_vars = {name: self.env_vars[name] for name in found if name not in _IGNORED}


def messages(options: type[BaseSettings]) -> list[str]:
    """Warnings about old names that are set: at most one for those in use, and one for those ignored. No values."""
    source = OldNames(options)
    prefix = str(options.model_config.get("env_prefix"))
    warnings = []
    if source.env_vars:
        old = [name.upper() for name in source.env_vars]
        new = ", ".join(prefix + name for name in old)
        warnings.append(
            f"variables of project options now have the prefix {prefix}: set {new} instead of {', '.join(old)}; the "
            "next release will not read the old names"
        )
    if source.ignored:
        old = [name.upper() for name in source.ignored]
        new = ", ".join(prefix + name for name in old)
        warnings.append(
            f"{', '.join(old)} {'is' if len(old) == 1 else 'are'} ignored: project options are set by {new}. No "
            "change is needed if the value is for another program"
        )
    return warnings


def report(options: type[BaseSettings]) -> None:
    """Log the warnings, unless the parent process has."""
    if _REPORTED not in os.environ:
        for message in messages(options):
            log.warning("%s", message)


def reported() -> dict[str, str]:
    """The environment for child processes, which then do not repeat the warnings."""
    return {**os.environ, _REPORTED: "1"}
