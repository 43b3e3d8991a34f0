"""The Flask application, built from the parts passed in."""

from __future__ import annotations

import logging

from flask import Flask, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from backend.errors import BackendError, InvalidRequestError
from backend.settings import Settings
from backend.store import Store
from backend.web import api, api_actions, metrics, ml, ready
from backend.web.dashboard import pages
from backend.web.error_responses import answer
from backend.web.guards import allowed_hosts, audit, auth, load, same_origin
from backend.web.guards.base_models import AllowedBaseModels
from backend.web.serving import Serving

log = logging.getLogger(__name__)


def create_app(settings: Settings, store: Store, serving: Serving) -> Flask:
    """All routes, behind basic authentication if configured. Every error response has a message in one sentence."""
    app = Flask("backend")
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_mb * 2**20
    app.register_blueprint(metrics.blueprint(app, store))
    app.register_blueprint(ready.blueprint(store))
    app.register_blueprint(ml.blueprint(store, serving, AllowedBaseModels(settings, store)))
    app.register_blueprint(api.blueprint(store, serving.models))
    app.register_blueprint(api_actions.blueprint(store))
    app.register_blueprint(pages.blueprint(app, store, serving.models, settings))
    allowed_hosts.protect(app, settings)
    auth.protect(app, settings, store)
    same_origin.protect(app)
    load.protect(app, settings.threads)
    audit.keep(app, store)

    @app.errorhandler(InvalidRequestError)
    def refuse(error: InvalidRequestError) -> Response:
        return answer(error.status, str(error))

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(_error: RequestEntityTooLarge) -> Response:
        most = (request.max_content_length or 0) / 2**20
        advice = "send fewer tasks, or raise MAX_BODY_MB" if most == settings.max_body_mb else "send less"
        return answer(413, f"The body has more than {most:g} MB; {advice}")

    @app.errorhandler(HTTPException)
    def standard(error: HTTPException) -> Response:
        return answer(error.code or 500, error.description or error.name)

    @app.errorhandler(BackendError)
    def unable(error: BackendError) -> Response:
        log.error("%s", error)
        return answer(503, str(error))

    @app.errorhandler(SQLAlchemyError)
    def no_database(error: SQLAlchemyError) -> Response:
        log.error("the database failed: %s", getattr(error, "orig", type(error).__name__))
        return answer(503, "The backend's database cannot be used at the moment; see the backend's log")

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("unexpected %s", type(error).__name__, exc_info=True)
        return answer(500, "Internal error; see the backend's log")

    return app
