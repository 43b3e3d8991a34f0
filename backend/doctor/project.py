"""Checks of one project: its state in Label Studio and in the store, and whether they agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from backend.doctor import warnings
from backend.doctor.finding import Finding
from backend.errors import BackendError, LabelStudioError
from backend.labelstudio.api import probes, webhook_registration
from backend.labelstudio.api.client import Client
from backend.labelstudio.api.refusals import PRIVATE_ADDRESSES
from backend.labelstudio.api.responses import ConnectedBackend, ProjectInfo
from backend.options import ProjectOptions
from backend.rounds.connection import repair
from backend.rounds.context import options_of, parsed
from backend.store import Store
from backend.store.sql.models import Project

_SECONDS_A_TASK = 0.0045  # per task, for an import of predictions that recounts the project
_MOMENT = 3.0  # seconds until a problem is checked again
_CONNECT = "connect this backend in the project's Settings → Model → Connect Model"


@dataclass(frozen=True)
class Examination:
    """Checks one project, and repairs it if `fix` is set. url: of this backend as seen from Label Studio, if known."""

    client: Client
    store: Store
    basic_auth: tuple[str, str] | None
    project_id: int
    url: str | None
    fix: bool

    def run(self) -> Iterator[Finding]:
        """Run the checks in order. Stops at a problem that makes the following checks meaningless."""
        try:
            info = self.client.project(self.project_id)
        except LabelStudioError as error:
            yield self._problem("project", str(error), "check the project number and the user of the API key")
            return
        yield self._ok("project", f"visible, with {info.task_number} tasks")
        project = self.store.projects.get(self.project_id)
        yield self._label_config(
            info,
            options_of(project) if project else ProjectOptions.from_extra_params({}),
            keeps_leaf=project is not None and not project.options.get("taxonomy"),
        )
        backends = self.client.backends(self.project_id)
        ours = self._ours(backends, project)
        url = self.url or (ours.url if ours else None)
        if url is None:
            yield self._no_address(backends)
            return
        reached = self._reached(url)
        yield reached
        if ours is None:
            yield self._not_connected(url, can_be=reached.status == "ok")
            return
        # A server that does not accept our password may not be this backend: do not change its settings.
        sure = replace(self, fix=self.fix and reached.status == "ok")
        yield sure._connection(ours)
        if len(same := [each.id for each in backends if each.url == ours.url]) > 1:
            yield sure._twice(sorted(same))
        if project is not None:
            yield sure._webhook(ours.url)
        if project is None or not project.connected:
            yield self._problem(
                "state",
                "Label Studio knows this backend, but this MODEL_DIR does not know the project",
                "check that the doctor and the server use the same MODEL_DIR",
            )
            return
        options = options_of(project)
        yield from sure._queue(project, options, info)
        yield from warnings.of_queue(self.store, project, options, info)
        yield from warnings.of_labels(self.store, project)
        yield from warnings.of_teacher(self.store, project)
        if project.error:
            yield self._problem("state", f"the last round failed: {project.error}", "see other findings and the log")

    def _ours(self, backends: list[ConnectedBackend], project: Project | None) -> ConnectedBackend | None:
        """The connection of this backend: at `self.url` if given, otherwise chosen by the project in the store."""
        if self.url is not None:
            return next((each for each in backends if each.url.rstrip("/") == self.url.rstrip("/")), None)
        return repair.choose(backends, project) if project is not None else None

    def _no_address(self, backends: list[ConnectedBackend]) -> Finding:
        if not backends:
            return self._problem("connection", "no ML backend is connected", f"{_CONNECT}; or give its URL with --url")
        urls = ", ".join(each.url for each in backends)
        return self._problem(
            "connection",
            f"this MODEL_DIR does not know the project, nor which of its ML backends is this one ({urls})",
            "give the URL with --url, and check that the doctor and the server use the same MODEL_DIR",
        )

    def _label_config(self, info: ProjectInfo, options: ProjectOptions, *, keeps_leaf: bool) -> Finding:
        try:
            spec = parsed(info.label_config, options)
            allowed = parsed(info.label_config, options.model_copy(update={"taxonomy": "nodes"}))
        except BackendError as error:
            return self._problem("label_config", str(error), "change it in Settings → Labeling Interface")
        controls = ", ".join(f"{control.name} ({control.target.kind})" for control in spec.controls)
        texts = ", ".join(source.value for source in spec.inputs)
        learns = f"learns {controls} from {texts}"
        if spec.left_out:
            return self._warning(
                "label_config",
                f"{learns}. Left out: {' '.join(spec.left_out)}",
                "change the label config if it shall be learned",
            )
        if keeps_leaf and spec.targets != allowed.targets:
            return self._warning(
                "label_config",
                f"{learns}; of a Taxonomy one leaf per text, although annotators can choose more",
                'set {"taxonomy": "nodes"} in the extra params to learn all that they can choose',
            )
        return self._ok("label_config", learns)

    def _reached(self, url: str) -> Finding:
        """Have Label Studio call this backend. Its error message shows what blocks the connection."""
        message = probes.try_backend(self.client, self.project_id, url, self.basic_auth)
        if probes.REACHED in message:
            return self._ok("reached", f"Label Studio reaches this backend at {url}")
        host = urlsplit(url).hostname
        if "reserved network address" in message:
            return self._problem(
                "reached", f"Label Studio refuses {url}: private addresses are blocked", PRIVATE_ADDRESSES
            )
        if "Can't resolve hostname" in message:
            return self._problem(
                "reached",
                f"Label Studio cannot resolve the name '{host}'",
                "use a name or address that Label Studio's machine or container can resolve",
            )
        if "authentication parameters" in message:
            return self._problem(
                "reached",
                f"the server at {url} refuses BASIC_AUTH_USER and BASIC_AUTH_PASS",
                "start the server with the same values as the doctor",
            )
        details = message.partition("Additional info: ")[2]
        if details.startswith("404"):
            return self._warning(
                "reached",
                f"the server at {url} is not this backend's own server (404)",
                "check the URL and its path; ignore this if label-studio-ml serves this backend there",
            )
        where = " in a container localhost is the container itself;" if host in ("localhost", "127.0.0.1") else ""
        return self._problem(
            "reached",
            f"Label Studio does not reach this backend at {url}: {(details or message)[:300]}",
            f"start the server;{where} check address, port, firewalls and proxies",
        )

    def _not_connected(self, url: str, *, can_be: bool) -> Finding:
        if not (self.fix and can_be):
            return self._problem("connection", "this backend is not connected", f"{_CONNECT}, with the URL {url}")
        try:
            self.client.connect_backend(self.project_id, url, self.basic_auth)
        except LabelStudioError as error:  # it may be saved nevertheless: Label Studio creates the webhook afterwards
            return self._problem("connection", str(error), "run the doctor again to see the current state")
        return self._fixed("connection", f"connected {url}; the first round starts")

    def _connection(self, ours: ConnectedBackend) -> Finding:
        if ours.error is None:
            return self._ok("connection", f"'{ours.title}' is connected at {ours.url}")
        if ours.error.startswith("401") and self.fix:
            self.client.set_credentials(self.project_id, ours, self.basic_auth)
            return self._fixed("connection", "user and password in the model's settings set to this backend's")
        if ours.error.startswith("401"):
            return self._problem(
                "connection",
                "the model's settings hold a wrong user or password",
                "enter BASIC_AUTH_USER and BASIC_AUTH_PASS there, or run with --fix",
            )
        return self._problem(
            "connection",
            f"Label Studio got an error when it called {ours.url}: {ours.error}",
            "correct it in Settings → Model",
        )

    def _twice(self, ids: list[int]) -> Finding:
        """Of several connections at one address the newest stays: each has extra params, and calls this backend."""
        found = f"this backend is connected {len(ids)} times, each with its own extra params"
        if not self.fix:
            return self._problem("connections", found, "run with --fix: the newest one stays")
        for each in ids[:-1]:
            self.client.delete_backend(each)
        return self._fixed("connections", f"{found}: only the newest one is left")

    def _webhook(self, url: str) -> Finding:
        try:
            secret = repair.secret_of(self.store, self.project_id)
            wrong = _lasting(lambda: webhook_registration.problem(self.client, self.project_id, url, secret))
            # Try it even if there is one: an address that was allowed when it was created may be blocked now.
            probes.try_webhook(self.client, self.project_id, webhook_registration.address(url))
            if wrong is None:
                return self._ok("webhook", f"one webhook to {webhook_registration.address(url)}, with our secret")
            if not self.fix:
                return self._problem("webhook", f"{wrong}: rounds start late, by the timer", "run with --fix")
            webhook_registration.ensure(self.client, self.project_id, url, secret)
        except LabelStudioError as error:
            return self._problem("webhook", str(error), "until then rounds start late, by the timer")
        return self._fixed("webhook", f"{wrong}; repaired")

    def _queue(self, project: Project, options: ProjectOptions, info: ProjectInfo) -> Iterator[Finding]:
        if not options.manage_queue:
            yield self._ok("queue", "not managed: the option manage_queue is false")
            return
        if not project.queue:
            yield self._warning("queue", "none is published yet", "wait for the first round; check that a worker runs")
        elif wrong := _lasting(self._switched_away):
            project = self.store.projects.get(self.project_id) or project  # the worker may have published meanwhile
            if self.fix:
                repair.switch_back(self.client, self.store, project)
                still = repair.switched_away(self.client, self.store, project)
                yield (
                    self._problem("queue", still, "its predictions were deleted: the next round publishes a new queue")
                    if still
                    else self._fixed("queue", f"{wrong}; switched back")
                )
            else:
                yield self._problem("queue", f"{wrong}: Label Studio serves at random", "run with --fix")
        else:
            yield self._ok("queue", f"queue {project.queue} is in use")
        seconds = info.task_number * _SECONDS_A_TASK
        if seconds > 1 and self.client.recounts_on_import(self.project_id):
            yield self._warning(
                "publishing",
                f"Label Studio recounts the project at each import ({seconds:.0f} s)",
                "start Label Studio with fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short=true",
            )

    def _switched_away(self) -> str | None:
        project = self.store.projects.get(self.project_id)
        return repair.switched_away(self.client, self.store, project) if project is not None else None

    def _ok(self, check: str, found: str) -> Finding:
        return Finding(check, "ok", found, project=self.project_id)

    def _fixed(self, check: str, found: str) -> Finding:
        return Finding(check, "fixed", found, project=self.project_id)

    def _warning(self, check: str, found: str, remedy: str) -> Finding:
        return Finding(check, "warning", found, remedy, self.project_id)

    def _problem(self, check: str, found: str, remedy: str) -> Finding:
        return Finding(check, "problem", found, remedy, self.project_id)


def _lasting(check: Callable[[], str | None]) -> str | None:
    """What is wrong, if it still is after a moment: the worker may be repairing or publishing just now."""
    if check() is None:
        return None
    time.sleep(_MOMENT)
    return check()
