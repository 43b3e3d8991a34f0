"""The audit trail as shown: actions, downloads and failed sign-ins."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from backend.overview.unlearned import N_
from backend.store import Store
from backend.store.sql.models import Project

ACTIONS = {
    "round": N_("requested a round"),
    "strategy": N_("chose a strategy"),
    "base model": N_("chose a base model"),
    "cancel": N_("cancelled a round"),
    "restore": N_("restored a backup"),
    "reconcile": N_("compared all labels with Label Studio"),
    "doctor": N_("repaired by lsal doctor --fix"),
    "rollback": N_("requested an earlier adapter"),
    "pause": N_("paused or resumed"),
    "finish": N_("requested a sample to finish"),
    "finish labels": N_("decided about the model's labels"),
    "first": N_("changed which tasks come first"),
    "settings": N_("connected, or changed the options"),
    "disconnect": N_("disconnected"),
    "forget": N_("deleted all that was kept"),
    "rotate-secret": N_("replaced the secret of the webhook"),
    "labels downloaded": N_("downloaded labels"),
    "adapter downloaded": N_("downloaded an adapter"),
    "failed sign-in": N_("wrong password"),
}


class Entry(TypedDict):
    """One action."""

    at: Annotated[float, Field(description="Seconds since 1970")]
    user: Annotated[str, Field(description="Empty if no password is required")]
    origin: Annotated[str, Field(description="Address of the caller, or `command line`")]
    action: str
    detail: Annotated[str, Field(description="What was chosen")]


def audit(store: Store, project: Project, most: int) -> list[Entry]:
    """The last entries of a project, and failed sign-ins; newest first."""
    return [
        {"at": each.at, "user": each.user, "origin": each.origin, "action": each.action, "detail": each.detail}
        for each in store.audit.newest(project.id, most)
    ]
