"""The page on which people look for tasks, and put them first."""

from __future__ import annotations

from flask import render_template, request

from backend.errors import InvalidRequestError
from backend.learners.models.cache import BaseModels
from backend.overview.tasks.duplicates import duplicates
from backend.overview.tasks.find import Found, Query, classes_to_find, find
from backend.overview.tasks.queue import excerpt
from backend.pool.near_duplicates import SIMILAR
from backend.store import Store
from backend.store.sql.models import Project
from backend.web.dashboard import sentences
from backend.web.dashboard.language import spoken
from backend.web.parameters import number_of

_MOST = 20  # tasks that a search shows
_FIRST = 50  # shown of the tasks that come first


def page(store: Store, models: BaseModels, project: Project) -> tuple[str, int]:
    """The page and its status code."""
    found: Found | None = None
    error, asked = None, {name: request.values.get(name, "").strip() for name in ("text", "task", "name", "control")}
    try:
        if any(asked.values()):
            task = number_of(asked["task"]) if asked["task"] else None
            query = Query(asked["text"] or None, task, asked["name"] or None, asked["control"] or None)
            found = find(store, models, project, query, _MOST)
    except InvalidRequestError as refused:
        error = refused
    tasks = store.of(project.id).tasks
    repeated = duplicates(store, models, project, SIMILAR, _MOST) if "duplicates" in request.args else None
    first = tasks.first()
    texts = tasks.texts(first[:_FIRST])
    html = render_template(
        "find.html",
        project=project,
        asked=asked,
        found=found,
        repeated=repeated,
        error=error,
        classes=classes_to_find(project),
        first=[{"task": task, "text": excerpt(texts[task].text)} for task in first[:_FIRST] if task in texts],
        firsts=len(first),
        done=sentences.done(request.args.get("done", ""), spoken()),
    )
    return html, error.status if error else 200
