"""What the backend knows of projects, as JSON, and what people ask of it: for the dashboard and scripts of a team."""

from __future__ import annotations

import tempfile
from typing import Any

from flask import Blueprint, Response, jsonify, send_file

from backend.errors import DamagedError, InvalidRequestError
from backend.overview import card, history, labels, pool, quality
from backend.overview import queue as queues
from backend.overview.state import summary
from backend.rounds import adapters, commands
from backend.rounds.context import options_of
from backend.rounds.quality.stopping import stopped_by
from backend.store import Store
from backend.store.models import Project
from backend.web.bodies import json_body

MOST = 100  # rows of a list
_JSON_LINES = "application/jsonl"


class UnknownError(InvalidRequestError):
    """There is no such thing."""

    status = 404


def blueprint(store: Store) -> Blueprint:
    """The routes."""
    routes = Blueprint("api", __name__, url_prefix="/api/projects")

    def known(project_id: str) -> Project:
        return find(store, project_id)

    @routes.get("")
    def projects() -> Response:
        return jsonify(projects=[summary(store, each) for each in store.projects.all(connected=False)])

    @routes.get("/<project_id>")
    def project(project_id: str) -> Response:
        return jsonify(_told(store, known(project_id)))

    @routes.get("/<project_id>/quality")
    def quality_(project_id: str) -> Response:
        return jsonify(quality.quality(store, known(project_id)))

    @routes.get("/<project_id>/classes")
    def classes(project_id: str) -> Response:
        return jsonify(labels.classes(store, known(project_id)))

    @routes.get("/<project_id>/queue")
    def queue(project_id: str) -> Response:
        return jsonify(queues.queue(store, known(project_id), MOST))

    @routes.get("/<project_id>/rounds")
    def rounds(project_id: str) -> Response:
        return jsonify(rounds=history.history(store, known(project_id), MOST))

    @routes.get("/<project_id>/annotators")
    def annotators(project_id: str) -> Response:
        return jsonify(labels.annotators(store, known(project_id)))

    @routes.get("/<project_id>/suspects")
    def suspects(project_id: str) -> Response:
        return jsonify(suspects=labels.suspects(store, known(project_id), MOST))

    @routes.get("/<project_id>/map")
    def map_(project_id: str) -> Response:
        return jsonify(pool.chart(store, known(project_id)))

    @routes.get("/<project_id>/tasks/<task_id>")
    def task(project_id: str, task_id: str) -> Response:
        found = pool.task(store, known(project_id), _number(task_id))
        if found is None:
            raise UnknownError(f"task {task_id} is not known here; it may have been deleted, or not been read yet")
        return jsonify(found)

    @routes.get("/<project_id>/labels")
    def labels_(project_id: str) -> Response:
        """All labels, a task a line."""
        found = known(project_id)
        name = f"project-{found.id}-labels.jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(labels.lines(store, found), content_type=_JSON_LINES, headers=headers)

    @routes.get("/<project_id>/adapters")
    def adapters_(project_id: str) -> Response:
        return jsonify(adapters=history.adapters(store, known(project_id)))

    @routes.get("/<project_id>/adapters/<number>")
    def adapter(project_id: str, number: str) -> Response:
        """An adapter's files in a zip."""
        found = known(project_id)
        kept = (
            store.rounds.adapter(found.id, _number(number))
            if _number(number) in adapters.kept(store, found.id)
            else None
        )
        if kept is None:
            raise UnknownError(f"adapter {number} of project {found.id} is not kept here (see KEEP_ADAPTERS)")
        file = tempfile.TemporaryFile()  # noqa: SIM115 (the response closes it)
        try:
            card.write_zip(store, found, kept, file)
            store.adapter_folder(found.id, kept.number)  # a round may have deleted it meanwhile
        except DamagedError as error:
            raise commands.CommandError(str(error)) from None
        except OSError as error:
            raise commands.CommandError(
                f"adapter {number} of project {found.id} cannot be read ({type(error).__name__})"
            ) from None
        file.seek(0)
        return send_file(file, "application/zip", as_attachment=True, download_name=f"p{found.id}-a{kept.number}.zip")

    @routes.post("/<project_id>/rounds")
    def train(project_id: str) -> tuple[Response, int]:
        return _done(store, known(project_id), "train", {})

    @routes.post("/<project_id>/strategy")
    def strategy(project_id: str) -> tuple[Response, int]:
        return _done(store, known(project_id), "strategy", json_body())

    @routes.post("/<project_id>/rollback")
    def rollback(project_id: str) -> tuple[Response, int]:
        return _done(store, known(project_id), "rollback", json_body())

    @routes.post("/<project_id>/pause")
    def pause(project_id: str) -> tuple[Response, int]:
        return _done(store, known(project_id), "pause", json_body())

    return routes


def find(store: Store, project_id: str) -> Project:
    """The project of this number. Raises `InvalidRequestError` if there is none."""
    found = store.projects.get(_number(project_id))
    if found is None:
        raise UnknownError(f"project {project_id} is not known here; connect this backend in its Settings → Model")
    return found


def act(store: Store, project_id: int, action: str, wanted: dict[str, Any]) -> None:
    """Do what is asked for. Raises `InvalidRequestError` if it cannot be done, or `wanted` is not as described."""
    if action == "train":
        commands.start_round(store, project_id)
    elif action == "strategy":
        commands.choose_strategy(store, project_id, _of(wanted, "strategy", str, None))
    elif action == "rollback":
        commands.rollback(store, project_id, _of(wanted, "adapter", int))
    elif action == "pause":
        commands.pause(store, project_id, paused=_of(wanted, "paused", bool))
    else:
        raise UnknownError(f"there is no action {action}")


def _done(store: Store, project: Project, action: str, wanted: dict[str, Any]) -> tuple[Response, int]:
    act(store, project.id, action, wanted)
    return jsonify(status="asked for"), 202


def _of(wanted: dict[str, Any], name: str, kind: type, *others: object) -> Any:
    value = wanted.get(name, ...)
    if type(value) is not kind and not (others and value is None):
        raise InvalidRequestError(f"'{name}' must be given, as {kind.__name__}{' or null' if others else ''}")
    return value


def _number(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise InvalidRequestError(f"'{value[:20]}' is not the number of a project, a task or an adapter")
    return int(value)


def _told(store: Store, project: Project) -> dict[str, Any]:
    """What the last rounds told: how good the model is, and whether labeling may stop."""
    last, stopped = store.rounds.last, stopped_by(project, options_of(project))
    return {
        **summary(store, project),
        "paused": project.paused,
        "chosen_strategy": project.chosen_strategy,
        "strategy": last(project.id, "strategy"),
        "choosing": last(project.id, "choosing"),
        "evaluation": last(project.id, "evaluation"),
        "review": last(project.id, "review"),
        "stopping": last(project.id, "stopping"),
        "stopped": {key: stopped[key] for key in ("why", "round", "labels", "at")} if stopped else None,
    }
