"""A real Chromium, and what a person does in it."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from backend.app import create_app
from backend.demo.label_studio import LabelStudioServer
from backend.learners.models.cache import BaseModels
from backend.settings import Settings
from backend.store import Store
from backend.web.serving import Serving
from tests.servers import free_port

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
          "--no-first-run", "--disable-sync", "--enable-unsafe-swiftshader"]  # fmt: skip
PATIENCE = 300_000  # milliseconds, far more than needed on a quiet machine


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's, or whatever CHROMIUM names; else the one that playwright installed.

    For this folder only: while it runs, playwright has an event loop in this thread, beside which DBOS does not work.
    """
    program = os.environ.get("CHROMIUM") or next((found for name in _NAMES if (found := shutil.which(name))), None)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=_QUIET)
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a window of its own; what scripts of our pages complain of fails the test, Label Studio's do sometimes."""
    contexts, wrong = [], []

    def open_(*, ours: bool = True, **options: object) -> Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))  # type: ignore[arg-type]
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        if ours:
            page.on("pageerror", lambda error: wrong.append(str(error)))
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def served() -> Iterator[Callable[[Store], str]]:
    """Serves a store as `lsal web` does, in this process and without a password; the address."""
    servers = []

    def serve(store: Store) -> str:
        app = create_app(Settings(), store, Serving(store, BaseModels()))  # type: ignore[call-arg]
        servers.append(make_server("localhost", free_port(), app, threaded=True))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://localhost:{servers[-1].port}"

    yield serve
    for server in servers:
        server.shutdown()


class Person:
    """A user of Label Studio, who sees and does only what its pages offer."""

    def __init__(self, page: Page, server: LabelStudioServer) -> None:
        self.page, self.server = page, server

    def sign_in(self) -> None:
        self.page.goto(f"{self.server.url}/user/login/")
        self.page.fill("input[name=email]", self.server.owner.email)
        self.page.fill("input[name=password]", self.server.owner.password)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: "login" not in url)

    def create_project(self, name: str, config: str, file: Path) -> int:
        """By the dialog: the name, a file of texts, and a label config pasted into the code editor."""
        page = self.page
        page.goto(f"{self.server.url}/projects")
        page.locator("button", has_text="Create").first.click()
        page.fill("input[name=name]", name)
        page.wait_for_load_state("networkidle")  # it makes a draft first
        page.get_by_text("Data Import", exact=True).click()
        page.set_input_files("input[type=file]", file)
        expect(page.get_by_text(file.name).first).to_be_visible()
        page.wait_for_load_state("networkidle")
        page.get_by_text("Labeling Setup", exact=True).click()
        page.get_by_text("Custom template").click()
        page.locator(".CodeMirror").click()
        page.keyboard.press("ControlOrMeta+A")
        page.keyboard.insert_text(config)
        page.locator("button", has_text="Save").first.click()
        page.wait_for_url(re.compile(r"/projects/\d+/data"))
        return int(re.findall(r"/projects/(\d+)/", page.url)[0])

    def connect(self, project: int, url: str, *, auth: tuple[str, str] | None = None, extra: str = "") -> None:
        """Settings → Model → Connect Model."""
        page = self.page
        page.goto(f"{self.server.url}/projects/{project}/settings/ml")
        page.locator("button", has_text="Connect Model").first.click()
        page.fill("[name=title]", "Active learning")
        page.fill("[name=url]", url)
        if auth is not None:
            page.locator("button", has_text="No Authentication").click()
            page.get_by_role("option", name="Basic Authentication").click()
            page.fill("[name=basic_auth_user]", auth[0])
            page.fill("[name=basic_auth_pass]", auth[1])
        page.fill("[name=extra_params]", extra)
        page.locator("button", has_text="Validate and Save").click()

    def start_labeling(self, project: int) -> None:
        """Label All Tasks."""
        self.page.goto(f"{self.server.url}/projects/{project}/data")
        self.page.locator("button", has_text="Label All Tasks").click()
        self.task()

    def task(self, other_than: int | None = None) -> int:
        """The number of the task on the screen, once it is another than the one that was there."""
        place = self.page.locator(".lsf-current-task__task-id")
        pattern = re.compile(rf"^(?!{other_than}\b)\d+")
        expect(place).to_have_text(pattern)
        return int(re.findall(r"^\d+", place.inner_text())[0])

    def chosen(self) -> list[str]:
        """The choices that are ticked."""
        boxes = self.page.locator("input[type=checkbox]:checked, input[type=radio]:checked")
        return [box.get_attribute("name") or "" for box in boxes.all()]

    def text(self) -> str:
        """The text of the task."""
        return self.page.locator(".lsf-richtext__line").first.inner_text()

    def choose(self, name: str) -> None:
        """Tick a choice."""
        self.page.locator("label", has_text=name).first.click()

    def submit(self) -> None:
        """Submit; the next task comes by itself."""
        before = self.task()
        self.page.get_by_label("Submit current annotation").click()
        self.task(other_than=before)


@pytest.fixture
def person(open_page: Callable[..., Page], label_studio: LabelStudioServer) -> Person:
    """The owner of the Label Studio, signed in."""
    made = Person(open_page(ours=False), label_studio)
    made.sign_in()
    return made
