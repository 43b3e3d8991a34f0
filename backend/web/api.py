"""The API of projects: their state as JSON, and actions on them, for scripts. The dashboard shares the actions."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from itertools import chain
from typing import Annotated, Any, Literal

from flask import Blueprint, Response, send_file
from pydantic import WithJsonSchema

from backend.errors import DamagedError, InvalidRequestError
from backend.overview import audit, card, confusion, effort, history, labels, pool, quality, unlearned
from backend.overview import queue as queues
from backend.overview.export import FORMATS, ExportError
from backend.overview.export import export as everything
from backend.overview.finish import FinishState, finish_state
from backend.overview.state import ProjectState, details, summary
from backend.rounds import commands
from backend.rounds.adapters import kept
from backend.store import Store
from backend.store.sql.models import Project
from backend.web.openapi import Media, operation
from backend.web.request_bodies import BaseModelChoice, Finish, FinishLabels, Pause, Rollback, Strategy, checked
from backend.web.responses import Accepted, Adapters, AuditTrail, NotLearned, Projects, Rounds, Suspects

MOST = 100  # rows of a list
_ENTRIES = 10_000  # of the audit trail
_JSON_LINES, _ZIP = "application/jsonl", "application/zip"
_ACCEPTED: Accepted = {"status": "asked for"}

ProjectId = Annotated[
    str,
    WithJsonSchema(
        {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "description": "ID of the project in Label Studio"}
    ),
]
TaskId = Annotated[
    str,
    WithJsonSchema(
        {"type": "integer", "minimum": 0, "maximum": 10**18 - 1, "description": "ID of the task in Label Studio"}
    ),
]
AdapterNumber = Annotated[
    str,
    WithJsonSchema(
        {"type": "integer", "minimum": 0, "maximum": 10**18 - 1, "description": "Number of the adapter: 12 of p7-a12"}
    ),
]


ExportFormat = Annotated[str, WithJsonSchema({"type": "string", "enum": list(FORMATS)})]


class UnknownError(InvalidRequestError):
    """The project, task, adapter or action does not exist."""

    status = 404


def blueprint(store: Store) -> Blueprint:
    """The routes."""
    routes = Blueprint("api", __name__, url_prefix="/api/projects")

    def known(project_id: str) -> Project:
        return find(store, project_id)

    @routes.get("")
    @operation()
    def projects() -> Projects:
        """All projects, one line each."""
        return {"projects": [summary(store, each) for each in store.projects.all(connected=False)]}

    @routes.get("/<project_id>")
    @operation()
    def project(project_id: ProjectId) -> ProjectState:
        """How good the model of a project is, and whether labeling may stop."""
        return details(store, known(project_id))

    @routes.get("/<project_id>/quality")
    @operation()
    def quality_(project_id: ProjectId) -> quality.Quality:
        """Learning curves, targets, and labels still needed."""
        return quality.quality(store, known(project_id))

    @routes.get("/<project_id>/classes")
    @operation()
    def classes(project_id: ProjectId) -> dict[str, dict[str, int]]:
        """Labeled tasks by control and class."""
        return labels.classes(store, known(project_id))

    @routes.get("/<project_id>/confusion")
    @operation()
    def confusion_(project_id: ProjectId) -> dict[str, confusion.Confusion]:
        """Which classes the model confuses, and how well it knows each, by control."""
        return confusion.confusion(store, known(project_id))

    @routes.get("/<project_id>/queue")
    @operation()
    def queue(project_id: ProjectId) -> queues.Queue:
        """The tasks that annotators are served next, and why."""
        return queues.queue(store, known(project_id), MOST)

    @routes.get("/<project_id>/rounds")
    @operation()
    def rounds(project_id: ProjectId) -> Rounds:
        """The last rounds, newest first."""
        return {"rounds": history.history(store, known(project_id), MOST)}

    @routes.get("/<project_id>/annotators")
    @operation()
    def annotators(project_id: ProjectId) -> labels.Annotators:
        """Work, speed and agreement of annotators."""
        return labels.annotators(store, known(project_id))

    @routes.get("/<project_id>/effort")
    @operation()
    def effort_(project_id: ProjectId) -> effort.Efforts:
        """Labels, hours and money: spent, saved, and still needed."""
        project = known(project_id)
        return effort.efforts(store, project, quality.quality(store, project))

    @routes.get("/<project_id>/suspects")
    @operation()
    def suspects(project_id: ProjectId) -> Suspects:
        """Labels that are rather wrong than right, the worst first, and how many seem wrong in all."""
        project = known(project_id)
        return {"suspects": labels.suspects(store, project, MOST), "errors": labels.errors(store, project)}

    @routes.get("/<project_id>/unlearned")
    @operation()
    def unlearned_(project_id: ProjectId) -> NotLearned:
        """Labels and tasks that are not learned from, and why."""
        found = known(project_id)
        return {"labels": unlearned.unlearned(store, found), "without_text": unlearned.without_text(store, found)}

    @routes.get("/<project_id>/audit")
    @operation()
    def audit_(project_id: ProjectId) -> AuditTrail:
        """Actions, downloads and failed sign-ins; the last 10,000 entries."""
        return {"entries": audit.audit(store, known(project_id), _ENTRIES)}

    @routes.get("/<project_id>/map")
    @operation()
    def map_(project_id: ProjectId) -> pool.Map:
        """The map of the pool: columns with one row per text."""
        return pool.chart(store, known(project_id))

    @routes.get("/<project_id>/tasks/<task_id>")
    @operation()
    def task(project_id: ProjectId, task_id: TaskId) -> pool.Text:
        """A task with its labels and the model's predictions."""
        found = pool.task(store, known(project_id), _number(task_id))
        if found is None:
            raise UnknownError(f"task {task_id} is not known here; it was deleted, or has not been read yet")
        return found

    @routes.get("/<project_id>/labels")
    @operation()
    def labels_(project_id: ProjectId) -> Annotated[Response, Media(_JSON_LINES, {"type": "string"})]:
        """All labeled tasks, one line of JSON each."""
        found = known(project_id)
        name = f"project-{found.id}-labels.jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(labels.lines(store, found), content_type=_JSON_LINES, headers=headers)

    @routes.get("/<project_id>/export/<form>")
    @operation(409)
    def export(project_id: ProjectId, form: ExportFormat) -> Annotated[Response, Media("*/*", {"type": "string"})]:
        """All labels in one file: those of people, and those of the model that were taken."""
        found = known(project_id)
        if form not in FORMATS:
            raise UnknownError(f"there is no format '{form[:20]}'; use {', '.join(FORMATS)}")
        _, ending, media = FORMATS[form]
        parts = everything(store, found, form)
        try:
            first = next(parts, b"")
        except ExportError as error:
            raise commands.CommandError(str(error)) from None
        headers = {"Content-Disposition": f'attachment; filename="project-{found.id}.{ending}"'}
        return Response(chain([first], parts), content_type=media, headers=headers)

    @routes.get("/<project_id>/adapters")
    @operation()
    def adapters(project_id: ProjectId) -> Adapters:
        """The adapters whose files are kept, newest first."""
        return {"adapters": history.adapters(store, known(project_id))}

    @routes.get("/<project_id>/adapters/<number>")
    @operation(409)
    def adapter(
        project_id: ProjectId, number: AdapterNumber
    ) -> Annotated[Response, Media(_ZIP, {"type": "string", "format": "binary"})]:
        """The files of an adapter with a model card, as a ZIP archive."""
        found = known(project_id)
        is_kept = _number(number) in kept(store, found.id)
        record = store.of(found.id).rounds.adapter(_number(number)) if is_kept else None
        if record is None:
            raise UnknownError(f"adapter {number} of project {found.id} is not kept here (see KEEP_ADAPTERS)")
        file = tempfile.TemporaryFile()  # noqa: SIM115 (the response closes it)
        try:
            card.write_zip(store, found, record, file)
            store.adapter_folder(found.id, record.number)  # raises if a round has deleted it meanwhile
        except DamagedError as error:
            raise commands.CommandError(str(error)) from None
        except OSError as error:
            raise commands.CommandError(
                f"adapter {number} of project {found.id} cannot be read ({type(error).__name__})"
            ) from None
        file.seek(0)
        return send_file(file, _ZIP, as_attachment=True, download_name=f"p{found.id}-a{record.number}.zip")

    @routes.get("/<project_id>/finish")
    @operation()
    def finish_(project_id: ProjectId) -> FinishState:
        """How much of the rest the model can label, with a guarantee, and what was done so far."""
        return finish_state(store, known(project_id))

    @routes.post("/<project_id>/finish")
    @operation(409)
    def finish(project_id: ProjectId, body: Finish) -> tuple[Accepted, Literal[202]]:
        """Draw a random sample of the remaining tasks, which people label first.

        Its labels decide which of the model's labels are proven right.
        """
        commands.finish(store, known(project_id).id, **body.model_dump())
        return _ACCEPTED, 202

    @routes.post("/<project_id>/finish/labels")
    @operation(409)
    def finish_labels(project_id: ProjectId, body: FinishLabels) -> tuple[Accepted, Literal[202]]:
        """Take the model's labels, write them as annotations, take them back, or give the sample up."""
        commands.finish_with(store, known(project_id).id, body.wanted)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/rounds")
    @operation(409)
    def train(project_id: ProjectId) -> tuple[Accepted, Literal[202]]:
        """Start a round, whatever the number of new labels."""
        commands.start_round(store, known(project_id).id)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/strategy")
    @operation(409)
    def strategy(project_id: ProjectId, body: Strategy) -> tuple[Accepted, Literal[202]]:
        """Publish a new queue that another strategy chooses.

        The strategy stays in force until the options change. Null: that of the options again.
        """
        commands.choose_strategy(store, known(project_id).id, body.strategy)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/base_model")
    @operation(409)
    def base_model(project_id: ProjectId, body: BaseModelChoice) -> tuple[Accepted, Literal[202]]:
        """Train with another base model, where the options leave the choice to this backend."""
        commands.choose_base_model(store, known(project_id).id, body.base_model)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/rollback")
    @operation(409)
    def rollback(project_id: ProjectId, body: Rollback) -> tuple[Accepted, Literal[202]]:
        """Put an earlier adapter into service again."""
        commands.rollback(store, known(project_id).id, body.adapter)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/cancel")
    @operation(409)
    def cancel(project_id: ProjectId) -> tuple[Accepted, Literal[202]]:
        """End the running round soon. The next begins after a batch of labels or on request."""
        commands.cancel(store, known(project_id).id)
        return _ACCEPTED, 202

    @routes.post("/<project_id>/pause")
    @operation(409)
    def pause(project_id: ProjectId, body: Pause) -> tuple[Accepted, Literal[202]]:
        """Stop starting rounds by itself, or resume."""
        commands.pause(store, known(project_id).id, paused=body.paused)
        return _ACCEPTED, 202

    return routes


def find(store: Store, project_id: str) -> Project:
    """The project with this ID. Raises `InvalidRequestError` if there is none."""
    found = store.projects.get(_number(project_id))
    if found is None:
        raise UnknownError(f"project {project_id} is not known here; connect this backend in its Settings → Model")
    return found


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
    else:
        raise UnknownError(
            f"there is no action {action}; use train, cancel, strategy, base_model, rollback, pause, finish or "
            "finish_labels"
        )


def _number(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise InvalidRequestError(f"'{value[:20]}' is not the number of a project, a task or an adapter")
    return int(value)
