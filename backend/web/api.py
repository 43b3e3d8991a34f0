"""The API of projects for scripts: their state, labels and files."""

from __future__ import annotations

import tempfile
from itertools import chain
from typing import Annotated

from flask import Blueprint, Response, send_file

from backend.errors import DamagedError, UnknownError
from backend.learners.models.cache import BaseModels
from backend.overview import audit, card, confusion, effort, history, labels, llm, quality, unlearned
from backend.overview.export import FORMATS, ExportError
from backend.overview.export import export as everything
from backend.overview.state import ProjectState, details, summary
from backend.overview.tasks import duplicates, pool
from backend.overview.tasks import find as finding
from backend.overview.tasks import queue as queues
from backend.overview.tasks.finish import FinishState, finish_state
from backend.pool.near_duplicates import SIMILAR
from backend.rounds import commands
from backend.rounds.adapters import kept
from backend.store import Store
from backend.store.sql.models import Project
from backend.web.action_bodies import Find
from backend.web.openapi import Media, operation
from backend.web.parameters import AdapterNumber, ExportFormat, ProjectId, TaskId, number_of, project_of
from backend.web.responses import Adapters, AuditTrail, NotLearned, Projects, Rounds, Suspects

MOST = 100  # rows of a list
_ENTRIES = 10_000  # of the audit trail
_JSON_LINES, _ZIP = "application/jsonl", "application/zip"


def blueprint(store: Store, models: BaseModels) -> Blueprint:
    """The routes."""
    routes = Blueprint("api", __name__, url_prefix="/api/projects")

    def known(project_id: str) -> Project:
        return project_of(store, project_id)

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

    @routes.get("/<project_id>/llm")
    @operation()
    def llm_(project_id: ProjectId) -> llm.LlmSpent:
        """Calls of language models behind a server so far."""
        return llm.spent(store, known(project_id))

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
        found = pool.task(store, known(project_id), number_of(task_id))
        if found is None:
            raise UnknownError(f"task {task_id} is not known here; it was deleted, or has not been read yet")
        return found

    @routes.post("/<project_id>/find")
    @operation(503)
    def find(project_id: ProjectId, body: Find) -> finding.Found:
        """The open tasks most similar to a text or a task, or most probably of a class."""
        query = finding.Query(body.text, body.task, body.name, body.control)
        return finding.find(store, models, known(project_id), query, body.most)

    @routes.get("/<project_id>/duplicates")
    @operation(503)
    def duplicates_(project_id: ProjectId) -> duplicates.Duplicates:
        """Tasks whose texts nearly repeat each other. Takes seconds for thousands of texts."""
        return duplicates.duplicates(store, models, known(project_id), SIMILAR, MOST)

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
        is_kept = number_of(number) in kept(store, found.id)
        record = store.of(found.id).rounds.adapter(number_of(number)) if is_kept else None
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

    return routes
