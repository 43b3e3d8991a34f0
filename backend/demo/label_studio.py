"""Start and stop a Label Studio on this machine, and use it like an annotator."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from backend.errors import LabelStudioError


@dataclass(frozen=True, slots=True)
class User:
    """A user of Label Studio."""

    email: str
    password: str
    token: str


class LabelStudioServer:
    """A Label Studio with its own folder and a first user. A context manager: its exit ends the process."""

    def __init__(self, program: Path, folder: Path, port: int, environment: dict[str, str] | None = None) -> None:
        self.url = f"http://localhost:{port}"
        self.owner = User("demo@example.com", "demo-" + secrets.token_urlsafe(9), secrets.token_hex(20))
        self.folder = folder
        self._program, self._port = program, port
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [str(self._program), "start", "--no-browser", "--port", str(self._port)]
        log = (self.folder / "label-studio.log").open("wb")
        try:
            self._process = subprocess.Popen(
                command, env=self._settings(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        except FileNotFoundError:
            raise LabelStudioError(
                f"'{self._program}' does not exist; install Label Studio with `make label-studio`"
            ) from None
        finally:
            log.close()
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        for stop in (self._process.terminate, self._process.kill):
            stop()
            try:
                self._process.wait(15)
                break
            except subprocess.TimeoutExpired:
                continue

    def sign_up(self, email: str) -> User:
        """Register another user on the sign-up page."""
        password = "annotator-" + secrets.token_urlsafe(9)
        with httpx.Client(base_url=self.url, follow_redirects=True, timeout=300) as browser:
            page = browser.get("/user/signup/").text
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
            form = {"email": email, "password": password, "csrfmiddlewaretoken": found.group(1) if found else ""}
            browser.post("/user/signup/", data=form, headers={"Referer": f"{self.url}/user/signup/"})
            answer = browser.get("/api/current-user/token")
            if answer.status_code != 200:
                raise LabelStudioError(f"sign-up of '{email}' in Label Studio failed (status {answer.status_code})")
            return User(email, password, answer.json()["token"])

    def _settings(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LABEL_STUDIO_", "DJANGO_"))},
            "LABEL_STUDIO_USERNAME": self.owner.email,
            "LABEL_STUDIO_PASSWORD": self.owner.password,
            "LABEL_STUDIO_USER_TOKEN": self.owner.token,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.folder.absolute()),
            "LABEL_STUDIO_HOST": self.url,
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "",  # no error reports, whose bookkeeping takes half the time of a short request
            "FRONTEND_SENTRY_DSN": "",
            # The backend has a private address. The address of cloud metadata stays blocked.
            "USE_DEFAULT_BANNED_SUBNETS": "false",
            "USER_ADDITIONAL_BANNED_SUBNETS": "169.254.0.0/16",
            "fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short": "true",
            **self._environment,
        }

    def _wait(self, patience: float = 240.0) -> None:
        assert self._process is not None
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise LabelStudioError(
                    f"Label Studio ended with code {self._process.returncode}; see {self.folder / 'label-studio.log'}"
                )
            try:
                if httpx.get(f"{self.url}/health", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.5)
        raise LabelStudioError(f"Label Studio did not answer within {patience:.0f} s at {self.url}")


class Annotator:
    """An annotator who uses *Label All Tasks*."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Token {token}"}, timeout=120)

    def next_task(self, project_id: int) -> dict[str, Any] | None:
        """The next task from Label Studio. None when no task is left."""
        answer = self._http.get(f"/api/projects/{project_id}/next")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        task: dict[str, Any] = answer.json()
        return task

    def choose(self, task_id: int, choice: str) -> int:
        """Submit a single choice. Returns the number of the annotation."""
        return self.submit(
            task_id, [{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [choice]}}]
        )

    def submit(self, task_id: int, result: list[dict[str, Any]]) -> int:
        """Submit a result. Returns the number of the annotation."""
        return self._annotate(task_id, {"result": result, "lead_time": 3.0})

    def skip(self, task_id: int) -> int:
        """Skip a task. Returns the number of the annotation."""
        return self._annotate(task_id, {"result": [], "was_cancelled": True})

    def change(self, annotation_id: int, result: list[dict[str, Any]]) -> None:
        """Update an annotation, also without changing it."""
        self._http.patch(f"/api/annotations/{annotation_id}/", json={"result": result}).raise_for_status()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _annotate(self, task_id: int, annotation: dict[str, Any]) -> int:
        answer = self._http.post(f"/api/tasks/{task_id}/annotations/", json=annotation)
        answer.raise_for_status()
        return int(answer.json()["id"])
