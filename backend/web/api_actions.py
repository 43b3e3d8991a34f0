"""The API's actions on projects. The dashboard's forms share them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from flask import Blueprint

from backend.errors import UnknownError
from backend.rounds import commands
from backend.store import Store
from backend.web.action_bodies import BaseModelChoice, Finish, FinishLabels, First, Pause, Rollback, Strategy
from backend.web.openapi import operation
from backend.web.parameters import ProjectId, project_of
from backend.web.request_bodies import checked
from backend.web.responses import Accepted

_ACCEPTED: Accepted = {"status": "asked for"}


def blueprint(store: Store) -> Blueprint:
    """The routes."""
    routes = Blueprint("actions", __name__, url_prefix="/api/projects")

    @routes.post("/<project_id>/finish")
    @operation(409)
    def finish(project_id: ProjectId, body: Finish) -> tuple[Accepted, Literal[202]]:
        """Draw a random sample of the remaining tasks, which people label first.

        Its labels decide which of the model's labels are proven right.
        """
        commands.finish(store, project_of(store, project_id).id, **body.model_dump())
        return _ACCEPTED, 202

    @routes.post("/<project_id>/finish/labels")
    @operation(409)
    def finish_labels(project_id: ProjectId, body: FinishLabels) -> tuple[Accepted, Literal[202]]:
        """Take the model's labels, write them as annotations, take them back, or give the sample up."""
        commands.finish_with(store, project_of(store, project_id).id, body.wanted)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/rounds")
    @operation(409)
    def train(project_id: ProjectId) -> tuple[Accepted, Literal[202]]:
        """Start a round, whatever the number of new labels."""
        commands.start_round(store, project_of(store, project_id).id)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/strategy")
    @operation(409)
    def strategy(project_id: ProjectId, body: Strategy) -> tuple[Accepted, Literal[202]]:
        """Publish a new queue that another strategy chooses.

        The strategy stays in force until the options change. Null: that of the options again.
        """
        commands.choose_strategy(store, project_of(store, project_id).id, body.strategy)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/base_model")
    @operation(409)
    def base_model(project_id: ProjectId, body: BaseModelChoice) -> tuple[Accepted, Literal[202]]:
        """Train with another base model, where the options leave the choice to this backend."""
        commands.choose_base_model(store, project_of(store, project_id).id, body.base_model)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/rollback")
    @operation(409)
    def rollback(project_id: ProjectId, body: Rollback) -> tuple[Accepted, Literal[202]]:
        """Put an earlier adapter into service again."""
        commands.rollback(store, project_of(store, project_id).id, body.adapter)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/cancel")
    @operation(409)
    def cancel(project_id: ProjectId) -> tuple[Accepted, Literal[202]]:
        """End the running round soon. The next begins after a batch of labels or on request."""
        commands.cancel(store, project_of(store, project_id).id)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/pause")
    @operation(409)
    def pause(project_id: ProjectId, body: Pause) -> tuple[Accepted, Literal[202]]:
        """Stop starting rounds by itself, or resume."""
        commands.pause(store, project_of(store, project_id).id, paused=body.paused)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/first")
    @operation(409)
    def first(project_id: ProjectId, body: First) -> tuple[Accepted, Literal[202]]:
        """Put tasks at the head of the queue, until they are labeled.

        They come before tasks that were put first earlier.
        """
        commands.put_first(store, project_of(store, project_id).id, body.tasks)
        return _ACCEPTED, 202

    return routes


def act(store: Store, project_id: int, action: str, values: Mapping[str, Any]) -> None:
    """Do what a form of the dashboard sends. values: the body of the API's call of the same name.

    Raises `InvalidRequestError` if a value is invalid or the action is not possible now.
    """
    if action == "train":
        commands.start_round(store, project_id)
    elif action == "strategy":
        commands.choose_strategy(store, project_id, checked(Strategy, values).strategy)
    elif action == "base_model":
        commands.choose_base_model(store, project_id, checked(BaseModelChoice, values).base_model)
    elif action == "rollback":
        commands.rollback(store, project_id, checked(Rollback, values).adapter)
    elif action == "cancel":
        commands.cancel(store, project_id)
    elif action == "pause":
        commands.pause(store, project_id, paused=checked(Pause, values).paused)
    elif action == "finish":
        commands.finish(store, project_id, **checked(Finish, values).model_dump())
    elif action == "finish_labels":
        commands.finish_with(store, project_id, checked(FinishLabels, values).wanted)
    elif action == "first":
        commands.put_first(store, project_id, checked(First, values).tasks)
    else:
        raise UnknownError(
            f"there is no action {action}; use train, cancel, strategy, base_model, rollback, pause, finish, "
            "finish_labels or first"
        )
