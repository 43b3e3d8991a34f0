"""All checks in order. A check runs only if the checks that it depends on succeeded."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime

import numpy as np

from backend.doctor import access, machine
from backend.doctor.finding import Finding
from backend.doctor.project import Examination
from backend.errors import BackendError
from backend.labelstudio.api.client import Client
from backend.learners.models.cache import BaseModels
from backend.learners.models.languages import ENGLISH
from backend.options import AUTO, ProjectOptions
from backend.rounds.context import options_of
from backend.settings import Settings
from backend.store import Store

_SAMPLE = 200  # texts of a project that are compared with the base model's vocabulary


def examine(
    settings: Settings,
    open_store: Callable[[], Store],
    models: BaseModels,
    *,
    project_id: int | None = None,
    url: str | None = None,
    fix: bool = False,
) -> Iterator[Finding]:
    """Yield each finding as soon as its check is done. Without `project_id`: for every connected project."""
    disk = machine.disk(settings.model_dir)
    yield disk
    store = None
    if disk.status == "ok":
        try:
            store = open_store()
        except BackendError as error:
            yield Finding("store", "problem", str(error))
    if store is not None and store.files.shared is not None:
        yield machine.shared_storage(store)
    yield from _models(store, models, project_id)
    if disk.status == "ok":
        yield machine.worker(settings.model_dir, store)
    yield machine.web(settings)
    yield access.password(settings)
    client = yield from _client(settings)
    if client is None or store is None:
        return
    projects = [project_id] if project_id is not None else [project.id for project in store.projects.all()]
    if not projects:
        yield Finding(
            "project",
            "warning",
            "no project is connected yet",
            "connect one in Settings → Model, or give the number of a project to check",
        )
    for number in projects:
        try:
            yield from Examination(client, store, settings.basic_auth, number, url, fix).run()
        except BackendError as error:
            yield Finding("project", "problem", str(error), "see the findings above", number)


def _models(store: Store | None, models: BaseModels, project_id: int | None) -> Iterator[Finding]:
    """Check the base models: of the project, of every project, or the default if there is none."""
    every = [] if store is None else store.projects.all(connected=project_id is None)
    projects = [project for project in every if project_id in (None, project.id)]
    try:
        used = [options_of(project) for project in projects]
    except BackendError as error:
        yield Finding("model", "problem", str(error), "correct the Extra params in Settings → Model")
        return
    for options in {each.base_model: each for each in used or [ProjectOptions.from_extra_params({})]}.values():
        yield machine.model(models, ENGLISH if options.base_model == AUTO else options.base_model, options.max_length)
    for teacher in sorted({each.teacher for each in used if each.teacher is not None}):
        yield machine.teacher(models, teacher)
    for project, options in zip(projects, used, strict=True):
        assert store is not None
        ids = store.of(project.id).tasks.listed().ids
        some = np.random.default_rng(project.id).permutation(ids)[:_SAMPLE].tolist()
        texts = [each.text for each in store.of(project.id).tasks.texts(some).values()]
        if (found := machine.language(options, texts, project.id)) is not None:
            yield found


def _client(settings: Settings) -> Generator[Finding, None, Client | None]:
    """Check access to Label Studio. Returns the client if the API key is accepted."""
    try:
        url, api_key = settings.label_studio()
    except BackendError as error:
        yield Finding("environment", "problem", str(error), "set both and start again")
        return None
    reachable = list(access.label_studio(url, datetime.now(UTC)))
    yield from reachable
    if reachable[0].status != "ok":
        return None
    try:
        client = Client(url, api_key)
    except BackendError as error:
        yield Finding("token", "problem", str(error), access.NEW_KEY)
        return None
    token = access.token(client, api_key)
    yield token
    if token.status != "ok":
        return None
    yield access.setup_token(client)
    return client
