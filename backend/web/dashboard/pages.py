"""The routes of the dashboard."""

from __future__ import annotations

import gzip
import re
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import plotly
from flask import Blueprint, Flask, Response, jsonify, redirect, render_template, request, url_for
from markupsafe import Markup, escape
from werkzeug.wrappers import Response as AnyResponse

import strategies
from backend import __version__
from backend.evaluation.bounds import ENOUGH
from backend.learners.models.cache import BaseModels
from backend.learners.models.languages import ENCODERS
from backend.overview import audit, history, labels, llm, unlearned
from backend.overview.confusion import confusion
from backend.overview.effort import efforts
from backend.overview.export import FORMATS
from backend.overview.first_steps import first_steps
from backend.overview.quality import quality
from backend.overview.state import Summary, base_model, suggestions, summary
from backend.overview.tasks import queue
from backend.overview.tasks.finish import doubtful, finish_state
from backend.rounds.context import options_of, spec_of
from backend.rounds.selection.compatibility import works
from backend.settings import Settings
from backend.store import Store
from backend.store.sql.models import Project
from backend.web.api_actions import act
from backend.web.dashboard import charts, find_page, finish_sentences, quality_sentences, reasons, sentences
from backend.web.dashboard.forms import values_of
from backend.web.dashboard.language import spoken
from backend.web.parameters import project_of

_TASKS = 10  # shown of the queue
_ROUNDS = 50
_ENTRIES = 10  # of the audit trail
_SUSPECTS = 10
_PAGES = {"finish": "dashboard.finish", "finish_labels": "dashboard.finish", "first": "dashboard.find"}  # of an action
_YEAR = 365 * 24 * 3600
_POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def blueprint(app: Flask, store: Store, models: BaseModels, settings: Settings) -> Blueprint:
    """The pages at `/ui/`."""
    routes = Blueprint("dashboard", __name__, url_prefix="/ui", template_folder="templates", static_folder="static")
    label_studio = settings.public_url
    _speak(app)

    @routes.context_processor
    def everywhere() -> dict[str, Any]:
        return {
            "version": __version__,
            "plotly_version": plotly.__version__,
            "label_studio": label_studio,
            "exposed": settings.basic_auth is None and settings.insecure,
        }

    @routes.get("/")
    def projects() -> str:
        return render_template("projects.html", projects=[summary(store, each) for each in store.projects.all()])

    @routes.get("/projects/<project_id>")
    def project(project_id: str) -> str:
        return render_template("project.html", **_panels(store, project_of(store, project_id)))

    @routes.get("/projects/<project_id>/now")
    def now(project_id: str) -> Response:
        """The project's state, for polling, and a stamp that changes when other parts of the page do."""
        found = project_of(store, project_id)
        current = summary(store, found)
        return jsonify(
            html=render_template("_now.html", now=current),
            announcement=sentences.briefly(current["state"], spoken()),
            stamp=_stamp(store, found, current),
            busy=current["state"]["name"] == "working",
        )

    @routes.get("/projects/<project_id>/map")
    def map_(project_id: str) -> str:
        return render_template("map.html", project=project_of(store, project_id))

    @routes.route("/projects/<project_id>/find", methods=["GET", "POST"])  # POST: a text is no part of an address
    def find(project_id: str) -> tuple[str, int]:
        return find_page.page(store, models, project_of(store, project_id))

    @routes.get("/projects/<project_id>/finish")
    def finish(project_id: str) -> str:
        project, t = project_of(store, project_id), spoken()
        found = finish_state(store, project)
        return render_template(
            "finish.html",
            project=project,
            found=found,
            sentences_of_finish=finish_sentences.summary(found, t),
            curve=charts.accuracies(found["decided"]["curve"], t) if found["decided"] else None,
            examples=doubtful(store, project),
            done=sentences.done(request.args.get("done", ""), t),
        )

    @routes.post("/projects/<project_id>/<action>")
    def do(project_id: str, action: str) -> AnyResponse:
        """Perform the API's `action` for a form of the page, then redirect to the page."""
        found = project_of(store, project_id)
        act(store, found.id, action, values_of(action))
        done = {"0": "resumed", "1": "paused"}.get(request.form.get("paused", ""), action)
        page = _PAGES.get(action, "dashboard.project")
        return redirect(url_for(page, project_id=found.id, done=done), 303)

    @routes.get("/plotly.js")
    def plotly_js() -> Response:
        """Plotly's script from its Python package. Cacheable: the address contains its version."""
        response = Response(_packed_plotly(), content_type="text/javascript; charset=utf-8")
        response.headers["Content-Encoding"] = "gzip"
        response.cache_control.max_age, response.cache_control.immutable = _YEAR, True
        return response

    @routes.after_request
    def secure(response: Response) -> Response:
        # Plotly's WebGL charts generate code at run time.
        scripts = " 'unsafe-eval'" if request.endpoint == "dashboard.map_" else ""
        response.headers["Content-Security-Policy"] = _POLICY.format(scripts=scripts)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    return routes


def _panels(store: Store, project: Project) -> dict[str, Any]:
    """The values that the page of a project shows."""
    t, current = spoken(), summary(store, project)
    measured, rounds = quality(store, project), history.history(store, project, _ROUNDS)
    counts = labels.classes(store, project)
    options, targets = options_of(project), spec_of(project).targets
    kinds = [target.kind for target in targets]
    goals = [each["target"] for each in measured["controls"].values() if each["target"] is not None]
    ahead = measured["forecast"] if len(goals) == 1 else None  # with several targets it belongs to no single control
    errors = labels.errors(store, project)
    return {
        "project": project,
        "now": current,
        "chosen": base_model(project),
        "encoders": ENCODERS,
        "unread": sentences.unread(project.encoder, t),
        "announcement": sentences.briefly(current["state"], t),
        "stamp": _stamp(store, project, current),
        "several": len(targets) > 1,
        "done": sentences.done(request.args.get("done", ""), t),
        "measured": measured,
        "curves": {name: charts.curve(each, ahead, t) for name, each in measured["controls"].items()},
        "forecast": quality_sentences.forecast(measured, asked=options.target is not None, t=t),
        "queue": queue.queue(store, project, _TASKS),
        "classes": {name: (each, charts.bars(each, t)) for name, each in counts.items()},
        "minimum": options.minimum_per_class,
        "confusions": {name: (each, charts.matrix(each, t)) for name, each in confusion(store, project).items()},
        "rounds": rounds,
        "seconds": charts.seconds(rounds, t) if rounds else None,
        "first_steps": first_steps(store, project),
        "suggestions": suggestions(store, project),
        "efforts": efforts(store, project, measured),
        "llm": llm.spent(store, project),
        "annotators": labels.annotators(store, project),
        "suspects": labels.suspects(store, project, _SUSPECTS),
        "suspects_in_all": labels.count_suspects(store, project),
        "found_errors": errors,
        "errors": {name: quality_sentences.errors(each, t) for name, each in errors.items()},
        "left_out": spec_of(project).left_out,
        "unlearned": unlearned.unlearned(store, project),
        "meanings": unlearned.MEANINGS,
        "formats": list(FORMATS),
        "audit": audit.audit(store, project, _ENTRIES),
        "actions": audit.ACTIONS,
        "without_text": sentences.without_text(unlearned.without_text(store, project), t),
        "adapters": history.adapters(store, project),
        "strategies": [name for name in strategies.names() if works(strategies.get(name), kinds)],
    }  # fmt: skip


def _stamp(store: Store, project: Project, current: Summary) -> str:
    """A value that changes with the panels: by a round, a user's action, or data read from Label Studio."""
    skipped = [store.of(project.id).tasks.count_skipped(audit=audit) for audit in (False, True)]
    wishes = (project.paused, project.chosen_strategy, project.connected, project.encoder)
    marks = (project.webhook_ready, project.title, project.change_mark, project.task_mark)
    read = (*marks, current["labels"], current["tasks"], *skipped)
    seen = (project.round, project.queue, project.adapter, current["state"]["name"], *wishes, *read)
    return blake2b(repr(seen).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _speak(app: Flask) -> None:
    """Set up translation in the templates."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda message: spoken().gettext(message), lambda one, many, n: spoken().ngettext(one, many, n), newstyle=True
    )
    app.jinja_env.globals.update(
        spoken=spoken,
        sentences=sentences,
        quality_sentences=quality_sentences,
        reasons=reasons,
        ENOUGH=ENOUGH,
        finish_sentences=finish_sentences,
    )
    app.jinja_env.filters["code"] = _with_code


def _with_code(sentence: str) -> Markup:
    """An escaped sentence, with its `commands` as HTML code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))  # noqa: S704 (escaped)  # nosec B704


@cache
def _packed_plotly() -> bytes:
    path = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    return gzip.compress(path.read_bytes(), 4)
