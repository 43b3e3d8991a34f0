"""Calls to Label Studio's API. Label Studio is the source of truth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from backend.errors import LabelStudioError
from backend.labelstudio.api.calls import Api
from backend.labelstudio.api.refusals import RefusedCallError
from backend.labelstudio.api.responses import AnnotatedTask, ConnectedBackend, ListedTask, ProjectInfo
from backend.labelstudio.api.transport import TooLargeError

UNCERTAINTY_SAMPLING = "Uncertainty sampling"
_PAGE = 1000  # tasks
_MOST_BYTES = 16 * 2**20  # of a page; decoded it can take thirty times as much memory
_GROWS_AFTER = 8  # pages, after which a smaller page grows again
_IMPORT_CHUNK = 500
# Fields of tasks and of their annotations, in one list.
_WITH_ANNOTATIONS = "id,data,updated_at,annotations,result,was_cancelled,ground_truth,completed_by,lead_time,updated_by"


class Client(Api):
    """Reads projects, tasks and annotations; writes predictions, ML backends and webhooks."""

    def project(self, project_id: int) -> ProjectInfo:
        """The current state of the project."""
        with self.explaining(f"read project {project_id}"):
            found = _mapping(self.request("GET", f"api/projects/{project_id}/"))
            return ProjectInfo(
                label_config=found["label_config"] or "",
                sampling=found["sampling"],
                model_version=found["model_version"] or "",
                task_number=found["task_number"] or 0,
                annotated=found["num_tasks_with_annotations"] or 0,
                shows_predictions=found["show_collab_predictions"] is not False,
                overlap=found["maximum_annotations"] or 1,
                title=found["title"] or "",
                trains_on_submission=bool(found.get("start_training_on_annotation_update")),
            )

    def exists(self, project_id: int) -> bool:
        """Whether the project exists and the API key's user may see it. Lists projects: a 404 may have other causes."""
        with self.explaining("list projects"):
            found = self.request("GET", "api/projects/", params={"ids": str(project_id), "include": "id"})
            return any(project["id"] == project_id for project in found["results"])

    def people(self) -> dict[int, str]:
        """The names of all users, or their addresses where they have none, by id."""
        with self.explaining("list users"):
            return {
                user["id"]: " ".join(user[part] for part in ("first_name", "last_name") if user[part]) or user["email"]
                for user in _list(self.request("GET", "api/users/"))
            }

    def new_tasks(self, project_id: int, after: int) -> Iterator[list[ListedTask]]:
        """Pages of tasks with an id above `after`, ordered by id."""
        include = "id,data,total_annotations,cancelled_annotations,updated_at"
        for page in self._pages(project_id, after, [], fields="task_only", include=include):
            yield [
                ListedTask(
                    task["id"],
                    task["data"],
                    bool(task.get("total_annotations") or task.get("cancelled_annotations")),
                    task["updated_at"],
                )
                for task in page
            ]

    def changed_tasks(self, project_id: int, since: str, up_to: int) -> Iterator[list[AnnotatedTask]]:
        """Pages of tasks with an id up to `up_to` that changed after `since`, with all their annotations.

        `updated_at` changes with the task's data and whenever an annotation is created, changed or deleted.
        """
        return self._annotated(project_id, _filter("updated_at", "greater", "Datetime", since), up_to)

    def annotated_tasks(self, project_id: int, up_to: int) -> Iterator[list[AnnotatedTask]]:
        """Pages of tasks with an id up to `up_to` that have annotations, including skips, by Label Studio's counts."""
        yield from self._annotated(project_id, _filter("total_annotations", "greater", "Number", 0), up_to)
        yield from self._annotated(project_id, _filter("cancelled_annotations", "greater", "Number", 0), up_to)

    def tasks_of_several(self, project_id: int, up_to: int) -> Iterator[list[AnnotatedTask]]:
        """Pages of tasks with several annotations and an id up to `up_to`, with their annotations."""
        return self._annotated(project_id, _filter("total_annotations", "greater", "Number", 1), up_to)

    def set_overlap(self, task_id: int, number: int, *, labeled: bool) -> int:
        """Set how many people label a task, and whether it is left out of the queue as labeled.

        Returns how many annotations it has.
        """
        with self.explaining(f"change the overlap of task {task_id}"):
            values = {"overlap": number, "is_labeled": labeled}
            task = _mapping(self.request("PATCH", f"api/tasks/{task_id}/", json=values))
            return int(task.get("total_annotations") or 0)

    def all_tasks(self, project_id: int, up_to: int) -> Iterator[list[AnnotatedTask]]:
        """Pages of all tasks with an id up to `up_to`, with their annotations.

        A busy Label Studio on SQLite sometimes leaves a task's count of annotations at 0: no other filter finds it.
        """
        return self._annotated(project_id, _filter("id", "greater", "Number", 0), up_to)

    def _annotated(self, project_id: int, wanted: dict[str, Any], up_to: int) -> Iterator[list[AnnotatedTask]]:
        filters = [_filter("id", "less_or_equal", "Number", up_to), wanted]
        for page in self._pages(project_id, 0, filters, fields="all", include=_WITH_ANNOTATIONS):
            yield [
                AnnotatedTask(task["id"], task["data"], task.get("annotations") or [], task["updated_at"])
                for task in page
            ]

    def task_ids(self, project_id: int) -> set[int]:
        """The ids of all tasks."""
        pages = self._pages(project_id, 0, [], fields="task_only", include="id")
        return {task["id"] for page in pages for task in page}

    def import_predictions(self, project_id: int, predictions: Sequence[dict[str, Any]], *, one_by_one: bool) -> None:
        """Create predictions. Raises `LabelStudioError` unless every one was created.

        one_by_one: send one request per prediction.
        """
        with self.explaining(f"import predictions into project {project_id}"):
            if one_by_one:
                for prediction in predictions:
                    self.request("POST", "api/predictions/", json=prediction)
                return
            for start in range(0, len(predictions), _IMPORT_CHUNK):
                chunk = list(predictions[start : start + _IMPORT_CHUNK])
                created = self.request("POST", f"api/projects/{project_id}/import/predictions", json=chunk)["created"]
                if created != len(chunk):
                    raise LabelStudioError(
                        f"Label Studio created {created} of {len(chunk)} predictions in project {project_id}; "
                        "the queue was not switched"
                    )

    def recounts_on_import(self, project_id: int) -> bool:
        """Whether Label Studio recounts the whole project at each import of predictions (4.5 ms per task).

        A feature flag decides, which cannot be read with a token. Both code paths reject an unknown task, but with
        different messages. This imports a prediction for task 0, which never exists: nothing is written.
        """
        probe = [{"task": 0, "result": [], "score": 0.0, "model_version": "probe"}]
        with self.explaining(f"import predictions into project {project_id}"):
            try:
                self.request("POST", f"api/projects/{project_id}/import/predictions", json=probe)
            except RefusedCallError as error:
                if error.status != 400:
                    raise
                return "task ID 0 not found in project" not in error.body
        return True

    def switch_queue(self, project_id: int, *, sampling: str | None, model_version: str) -> None:
        """Set the sampling and the version whose predictions order the queue, in one call.

        sampling: None leaves it unchanged.
        """
        values: dict[str, Any] = {"model_version": model_version}
        if sampling is not None:
            values["sampling"] = sampling
        with self.explaining(f"switch project {project_id} to version '{model_version}'"):
            self.request("PATCH", f"api/projects/{project_id}/", json=values)

    def delete_version(self, project_id: int, version: str) -> None:
        """Delete all predictions of one version."""
        with self.explaining(f"delete predictions '{version}' of project {project_id}"):
            self.request("DELETE", f"api/projects/{project_id}/model-versions/", json={"model_version": version})

    def versions(self, project_id: int) -> dict[str, int]:
        """Number of predictions by version."""
        with self.explaining(f"read versions of project {project_id}"):
            counts = _mapping(self.request("GET", f"api/projects/{project_id}/model-versions/"))
            return {str(version): int(count) for version, count in counts.items()}

    def annotations(self, task_id: int) -> list[dict[str, Any]]:
        """The annotations of one task."""
        with self.explaining(f"list annotations of task {task_id}"):
            return _list(self.request("GET", f"api/tasks/{task_id}/annotations/"))

    def create_annotation(self, task_id: int, result: Sequence[dict[str, Any]], unique_id: str) -> int | None:
        """Create an annotation of the API key's user. Returns its number; None if there is one of this `unique_id`.

        Raises `RefusedCallError` if Label Studio does not take it.
        """
        values = {"result": list(result), "unique_id": unique_id, "lead_time": 0}
        with self.explaining(f"create an annotation of task {task_id}"):
            try:
                return int(self.request("POST", f"api/tasks/{task_id}/annotations/", json=values)["id"])
            except RefusedCallError as error:
                if error.status == 409:
                    return None
                raise

    def delete_annotation(self, annotation_id: int) -> None:
        """Delete an annotation."""
        with self.explaining(f"delete annotation {annotation_id}"):
            self._delete(f"api/annotations/{annotation_id}/")

    def backends(self, project_id: int) -> list[ConnectedBackend]:
        """The ML backends of a project. Label Studio calls `/setup` of each before it answers."""
        with self.explaining(f"list ML backends of project {project_id}"):
            return [
                ConnectedBackend(b["id"], b["url"], b["title"] or "", _error(b), b["extra_params"])
                for b in _list(self.request("GET", "api/ml/", params={"project": project_id}))
            ]

    def connect_backend(self, project_id: int, url: str, basic_auth: tuple[str, str] | None) -> None:
        """Connect an ML backend, as *Settings → Model* does."""
        model = {"project": project_id, "url": url, "title": "Active learning", **credentials(basic_auth)}
        with self.explaining(f"connect {url}"):
            self.request("POST", "api/ml/", json=model)

    def set_credentials(self, project_id: int, backend: ConnectedBackend, basic_auth: tuple[str, str] | None) -> None:
        """Change the user and password with which Label Studio calls an ML backend."""
        # Label Studio validates a change by calling /setup with the values sent here only.
        values = {
            "project": project_id,
            "url": backend.url,
            "extra_params": backend.extra_params,
            **credentials(basic_auth),
        }
        with self.explaining(f"change ML backend {backend.id}"):
            self.request("PATCH", f"api/ml/{backend.id}", json=values)

    def delete_backend(self, backend_id: int) -> None:
        """Remove an ML backend from its project."""
        with self.explaining(f"remove ML backend {backend_id}"):
            self._delete(f"api/ml/{backend_id}")

    def webhooks(self, project_id: int) -> list[dict[str, Any]]:
        """The webhooks of a project, as Label Studio's API returns them."""
        with self.explaining(f"list webhooks of project {project_id}"):
            return _list(self.request("GET", "api/webhooks/", params={"project": project_id}))

    def create_webhook(self, values: dict[str, Any]) -> None:
        """Create a webhook."""
        with self.explaining("create a webhook"):
            self.request("POST", "api/webhooks/", json=values)

    def update_webhook(self, webhook_id: int, values: dict[str, Any]) -> None:
        """Change a webhook."""
        with self.explaining(f"change webhook {webhook_id}"):
            self.request("PATCH", f"api/webhooks/{webhook_id}/", json=values)

    def delete_webhook(self, webhook_id: int) -> None:
        """Delete a webhook."""
        with self.explaining(f"delete webhook {webhook_id}"):
            self._delete(f"api/webhooks/{webhook_id}/")

    def _delete(self, path: str) -> None:
        """Delete something that another process may have deleted meanwhile."""
        try:
            self.request("DELETE", path)
        except RefusedCallError as error:
            if error.status != 404:
                raise

    def _pages(
        self, project_id: int, after: int, filters: list[dict[str, Any]], *, fields: str, include: str
    ) -> Iterator[list[dict[str, Any]]]:
        """Page by task id: with page numbers, tasks deleted in between would make others be skipped.

        Pages that are too large are read again in smaller ones; one task is read whatever its size.
        """
        size, since = _PAGE, 0
        while True:
            query = {"filters": {"conjunction": "and", "items": [*filters, _filter("id", "greater", "Number", after)]}}
            params = {
                "project": project_id,
                "fields": fields,
                "include": include,
                "resolve_uri": False,
                "page_size": size,
                "query": json.dumps({**query, "ordering": ["tasks:id"]}),
            }
            with self.explaining(f"list tasks of project {project_id}"):
                try:
                    most = _MOST_BYTES if size > 1 else None
                    tasks = _list(self.request("GET", "api/tasks/", params=params, most=most)["tasks"])
                except TooLargeError:
                    size, since = max(1, size // 4), 0
                    continue
            if tasks:
                yield tasks
                after = max(task["id"] for task in tasks)
            if len(tasks) < size:
                return
            since += 1
            if since == _GROWS_AFTER:
                size, since = min(_PAGE, size * 2), 0


def _mapping(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise TypeError(f"an object was expected, not {type(answer).__name__}")
    return answer


def _list(answer: Any) -> list[dict[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
        raise TypeError("a list of objects was expected")
    return answer


def _filter(column: str, operator: str, kind: str, value: object) -> dict[str, Any]:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def credentials(basic_auth: tuple[str, str] | None) -> dict[str, Any]:
    """The API fields for the user and password of an ML backend."""
    if basic_auth is None:
        return {"auth_method": "NONE"}
    user, password = basic_auth
    return {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}


def _error(backend: dict[str, Any]) -> str | None:
    if backend["state"] == "DI":
        return "it does not answer at /health"
    return backend["error_message"] or "it rejects /setup" if backend["state"] == "ER" else None
