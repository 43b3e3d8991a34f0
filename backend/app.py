"""The Flask application, put together from parts that are handed in."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from backend.errors import BackendError, InvalidRequestError
from backend.settings import Settings
from backend.store import Store
from backend.web import auth, metrics, ml
from backend.web.serving import Serving

log = logging.getLogger(__name__)


def create_app(settings: Settings, store: Store, serving: Serving) -> Flask:
    """All routes, behind basic auth if it is set; every error answered with a sentence."""
    app = Flask("backend")
    app.register_blueprint(metrics.blueprint(app, store))
    app.register_blueprint(ml.blueprint(store, serving))
    auth.protect(app, settings.basic_auth)

    @app.errorhandler(InvalidRequestError)
    def refuse(error: InvalidRequestError) -> Response:
        return _answer(error.status, str(error))

    @app.errorhandler(HTTPException)
    def standard(error: HTTPException) -> Response:
        return _answer(error.code or 500, error.description or error.name)

    @app.errorhandler(BackendError)
    def unable(error: BackendError) -> Response:
        log.error("%s", error)
        return _answer(503, str(error))

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("unexpected %s", type(error).__name__, exc_info=True)
        return _answer(500, "Internal error; the backend's log says more")

    return app


def _answer(status: int, message: str) -> Response:
    """The message as JSON and as the HTTP reason phrase, the only part that Label Studio shows to a person."""
    response = jsonify(error=message)
    phrase = " ".join(message.split()).encode("ascii", "replace").decode()[:500]
    response.status = f"{status} {phrase}"
    return response
