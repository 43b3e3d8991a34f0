"""`/metrics` for Prometheus: the state of projects and rounds, read from the store, and request times."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Annotated

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from backend.store import Store
from backend.web.openapi import Media, operation

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 100)  # seconds


class _Rounds(Collector):
    """Gauges read from the store, so that any web process reports the work of all."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """One gauge per figure, with one sample per project."""
        labels = ["project"]
        labeled = GaugeMetricFamily("lsal_labeled_tasks", "Tasks with a label", labels=labels)
        adapter = GaugeMetricFamily("lsal_adapter_version", "Adapter in service, 0 = none", labels=labels)
        failing = GaugeMetricFamily("lsal_project_error", "1 while the project needs attention", labels=labels)
        queued = GaugeMetricFamily("lsal_queue_open_tasks", "Unlabeled tasks of the published queue", labels=labels)
        stopped = GaugeMetricFamily("lsal_stopped", "1 once labeling may stop", labels=labels)
        for project in self._store.projects.all():
            name = [str(project.id)]
            items = self._store.of(project.id).rounds.queue(project.queue)
            labeled.add_metric(name, self._store.of(project.id).tasks.count_labeled())
            adapter.add_metric(name, project.adapter)
            stopped.add_metric(name, float(project.stopped is not None))
            failing.add_metric(name, float(project.error is not None))
            queued.add_metric(name, len(self._store.of(project.id).tasks.to_label([item.task_id for item in items])))
        number = GaugeMetricFamily("lsal_round", "Number of the last round", labels=labels)
        score = GaugeMetricFamily("lsal_held_out_score", "Held-out score", labels=["project", "control", "metric"])
        held_out = GaugeMetricFamily("lsal_held_out_labels", "Labels of that score", labels=["project", "control"])
        seconds = GaugeMetricFamily("lsal_round_step_seconds", "Step times, last round", labels=["project", "step"])
        for last in self._store.rounds.newest():
            number.add_metric([str(last.project_id)], last.number)
            for name, found in (last.evaluation or {}).get("controls", {}).items():
                score.add_metric([str(last.project_id), name, found["metric"]], found["score"])
                held_out.add_metric([str(last.project_id), name], found["labels"])
            for step, spent in last.seconds.items():
                seconds.add_metric([str(last.project_id), step], spent)
        events = GaugeMetricFamily("lsal_events_waiting", "Webhook events not yet processed")
        events.add_metric([], self._store.events.count())
        yield from (labeled, adapter, failing, stopped, queued, number, score, held_out, seconds, events)


def blueprint(app: Flask, store: Store) -> Blueprint:
    """The route, and a timer on every request of `app`."""
    registry = CollectorRegistry()
    requests = Histogram(
        "lsal_request_seconds", "Time of a request", ["endpoint", "status"], registry=registry, buckets=_BUCKETS
    )

    @app.before_request
    def _start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def _stop(response: Response) -> Response:
        if "started" in g:
            spent = time.perf_counter() - g.started
            requests.labels(request.endpoint or "none", str(response.status_code)).observe(spent)
        return response

    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    @operation()
    def metrics() -> Annotated[Response, Media("text/plain", {"type": "string"})]:
        """Metrics for Prometheus."""
        everything = registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):  # where several web processes write their timings
            everything = CollectorRegistry()
            MultiProcessCollector(everything)  # type: ignore[no-untyped-call]
        state = CollectorRegistry()
        state.register(_Rounds(store))
        return Response(generate_latest(everything) + generate_latest(state), content_type=CONTENT_TYPE_LATEST)

    return routes
