"""The audit trail of commands."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.store import Store


def record(store: Store, action: str, project: int | None, detail: str = "") -> None:
    """Write an entry. The user is that of the operating system."""
    from backend.store.audit import COMMAND_LINE

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in containers
        user = str(os.getuid())
    store.audit.add(action, project, user=user, origin=COMMAND_LINE, detail=detail)
