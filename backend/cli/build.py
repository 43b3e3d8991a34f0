"""The composition root: the only place that builds concrete classes."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imports take seconds: only the commands that need them import them
    from flask import Flask

    from backend.learners.models.cache import BaseModels
    from backend.rounds.context import Context
    from backend.settings import Settings
    from backend.store import Store


def application() -> Flask:
    """The web application, for a server other than `lsal web`."""
    settings, _ = start()
    return new_app(settings)


@cache
def open_store() -> Store:
    """The store of this installation, with its tables migrated."""
    from backend.settings import load_settings

    return new_store(load_settings())


def start(project: int | None = None) -> tuple[Settings, Store]:
    """Load the settings, set up logging, and open the store with its tables migrated.

    project: must be known. Commands call this before they import what takes seconds, so that mistakes show at once.
    """
    from backend.options import ProjectOptions, old_names
    from backend.runtime import logs
    from backend.settings import load_settings

    settings = load_settings()
    logs.set_up(settings.log_level)
    old_names.report(ProjectOptions)
    store = new_store(settings)
    if project is not None:
        store.projects.known(project)
    return settings, store


def new_store(settings: Settings) -> Store:
    """A store with its tables migrated, in files that only this user reads."""
    from backend.store import Store, backup
    from backend.store.files import private

    private.new_files_are_private()
    store = Store(settings.model_dir, settings.database, settings.shared_url)
    private.restrict(backup.files(settings.model_dir))
    store.database.migrate()
    return store


def new_app(settings: Settings) -> Flask:
    """The web application. A thread loads the adapters in service."""
    from backend.app import create_app
    from backend.runtime.libraries import quiet_libraries
    from backend.store import Store, backup
    from backend.web.serving import Serving

    attendance = backup.attend(settings.model_dir)
    quiet_libraries()
    store = Store(settings.model_dir, settings.database, settings.shared_url)
    if store.files.shared is not None:
        store.files.shared.tolerant = True
    serving = Serving(store, new_models(settings, tries=2, patience=20.0))  # Label Studio waits for the response
    threading.Thread(target=serving.warm_up, daemon=True, name="warm-up").start()
    app = create_app(settings, store, serving)
    app.extensions["attendance"] = attendance
    return app


def new_models(settings: Settings, **how: Any) -> BaseModels:
    """Base models, loaded on first use, and the server of `openai:…` models if set. how: options of `Server`."""
    from backend.learners.models import hub
    from backend.learners.models.cache import BaseModels
    from backend.learners.served.server import Server

    hub.limit(settings.max_base_model_gb)
    if (url := settings.openai_base_url) is None:
        return BaseModels(settings.max_base_models)
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    server = Server(url, key, settings.openai_extra_body, settings.openai_concurrency, **how)
    return BaseModels(settings.max_base_models, server)


def new_context(settings: Settings, store: Store) -> Context:
    """The objects that rounds need. Raises `SettingsError` if URL or API key of Label Studio is missing."""
    from backend.labelstudio.api.client import Client
    from backend.pool.cluster import Cluster
    from backend.rounds.beside import watch
    from backend.rounds.computing import Computing
    from backend.rounds.context import Context
    from backend.runtime.libraries import quiet_libraries
    from backend.runtime.notify import notifier
    from backend.runtime.progress import bar

    quiet_libraries()
    url, api_key = settings.label_studio()
    models, computing = new_models(settings), Computing(settings.max_stall_minutes * 60)
    models.at_work = computing.beat
    return Context(
        store=store, client=Client(url, api_key), models=models, bar=bar,
        keep_adapters=settings.keep_adapters, min_free_mb=settings.min_free_mb, max_hours=settings.max_hours,
        computing=computing, notify=notifier(settings.notify_url),
        accelerate_config=settings.accelerate_config,
        watch=watch, cluster=Cluster(settings.scoring_replicas) if settings.scoring == "ray" else None,
    )  # fmt: skip
